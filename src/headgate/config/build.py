"""Makes models of sections; each thing that does not fit becomes a problem with its line and the nearest known key."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from headgate.config import wording
from headgate.config.inline import is_secret
from headgate.config.report import Path, Report
from headgate.core.errors import HeadgateError, nearest
from headgate.core.models import Model
from headgate.core.secrets import Secret

M = TypeVar("M", bound=Model)


def build(
    model: type[M],
    data: Mapping[str, Any],
    report: Report,
    path: Path,
    *,
    unresolved: Collection[Path] = (),
    hidden: Collection[Path] = (),
    also: Collection[str] = (),
) -> M | None:
    """The model of ``data``, which stands at ``path``; None when problems were noted, or values are missing.

    Args:
        unresolved: paths within ``data`` whose value is not known: nothing is said of them here.
        hidden: paths within ``data`` whose value is not to be shown.
        also: keys besides the model's own that hints may name.
    """
    try:
        return model(**data)
    except ValidationError as error:
        details = _joined(error.errors(include_url=False, include_context=True), data)
        for detail in sorted(details, key=lambda one: one["type"] != "extra_forbidden"):  # a misspelt key explains more
            _explain(detail, model, data, report, path, unresolved, hidden, also)
    except HeadgateError as error:
        report.note_error(error, path)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        report.note(f"it cannot be read: {error}", path)
    return None


def _explain(
    detail: Any,
    model: type[BaseModel],
    data: Mapping[str, Any],
    report: Report,
    path: Path,
    unresolved: Collection[Path],
    hidden: Collection[Path],
    also: Collection[str],
) -> None:
    kind = str(detail["type"])
    inner = _within(data, detail["loc"], keep_last=kind == "missing")
    if any(inner[: len(one)] == one for one in unresolved) or (not inner and unresolved and kind == "value_error"):
        return
    here = (*path, *inner)
    match kind:
        case "extra_forbidden":
            keys = known_keys(model, inner[:-1]) | (set(also) if len(inner) == 1 else set())
            report.note(f'unknown key "{inner[-1]}"', here, nearest(str(inner[-1]), keys))
        case "missing":
            report.note(f'"{inner[-1]}" is missing', here, _description(model, inner))
        case _:
            secret = any(inner[: len(one)] == one for one in hidden)
            report.note(_message(detail, inner, secret=secret), here, _description(model, inner))


def _joined(details: Sequence[Any], data: Mapping[str, Any]) -> list[Any]:
    """What one value could have been, told once; nothing of that where the fault lies deeper in one of those."""
    places = [_within(data, detail["loc"], keep_last=str(detail["type"]) == "missing") for detail in details]
    expected = [wording.is_expectation(str(detail["type"]), detail["msg"]) for detail in details]
    explained = {place for place, only in zip(places, expected, strict=True) if not only}
    alternatives: dict[Path, list[Any]] = {}
    found: list[Any] = []
    for place, detail, only in zip(places, details, expected, strict=True):
        if not only:
            found.append(detail)
        elif place in alternatives:
            alternatives[place].append(detail)
        elif place not in explained and not any(other[: len(place)] == place != other for other in places):
            alternatives[place] = [detail]
            found.append(detail)
    told = {id(several[0]): several for several in alternatives.values() if len(several) > 1}
    return [{**detail, "also": told.get(id(detail), [])} for detail in found]


def _within(data: Any, loc: tuple[str | int, ...], *, keep_last: bool) -> Path:
    """The parts of a location that are keys and places of the data; the rest are names of union members."""
    found: list[str | int] = []
    for number, part in enumerate(loc):
        match data, part:
            case dict(), str() if part in data:
                data = data[part]
                found.append(part)
            case ((list() | tuple()), int()) if part < len(data):
                data = data[part]
                found.append(part)
            case _ if keep_last and number == len(loc) - 1:
                found.append(part)
            case _:
                continue
    return tuple(found)


def _message(detail: Any, inner: Path, *, secret: bool) -> str:
    kinds = [(str(one["type"]), str(one["msg"])) for one in (detail["also"] or [detail])]
    text = wording.expectation(kinds) if wording.is_expectation(*kinds[0]) else wording.sentence(str(detail["msg"]))
    value = detail.get("input")
    if isinstance(value, dict) and str(detail["type"]) == "union_tag_invalid":
        value = value.get("type")
    if secret or any(isinstance(part, str) and is_secret(part) for part in inner):
        return "what the reference gives does not fit" if str(detail["type"]) == "value_error" else text
    if isinstance(value, str | int | float | bool) and str(detail["type"]) != "value_error":
        return f"{text}, got {value!r}"[:300]
    if isinstance(value, dict | list | tuple) and str(detail["type"]) not in ("value_error", "too_short", "too_long"):
        return f"{text}, got a {'mapping' if isinstance(value, dict) else 'list'}"
    return text[:300]


def secret_keys(model: type[BaseModel]) -> list[str]:
    """The keys of the model itself whose value is a secret, whatever they are called."""
    fields = model.model_fields.items()
    return [info.alias or name for name, info in fields if Secret in (info.annotation, *get_args(info.annotation))]


def known_keys(model: type[BaseModel], path: Path) -> set[str]:
    """The keys of the model, or of the models inside it that ``path`` leads to."""
    models = [model]
    for part in path:
        if isinstance(part, int):
            continue
        models = [
            inner
            for one in models
            for name, info in one.model_fields.items()
            if part in (name, info.alias)
            for inner in _models(info.annotation)
        ]
    return {info.alias or name for one in models for name, info in one.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if get_origin(annotation) in (Union, types.UnionType, Annotated, tuple, list, dict):
        for argument in get_args(annotation):
            yield from _models(argument)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation


def _description(model: type[BaseModel], inner: Path) -> str:
    """What the reference says of a field of the model itself."""
    names = [part for part in inner if isinstance(part, str)]
    models: list[type[BaseModel]] = [model]
    text = ""
    for part in names:
        infos = [info for one in models for name, info in one.model_fields.items() if part in (name, info.alias)]
        text = next((info.description for info in infos if info.description), "")
        models = [found for info in infos for found in _models(info.annotation)]
    return text
