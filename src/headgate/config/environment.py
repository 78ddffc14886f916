"""What stands above the files: ``.env``, variables such as ``HEADGATE__DEFAULTS__BATCH_SIZE``, and flags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.config.references import Given
from headgate.config.yaml import Items, RefusedError, Section, scalar
from headgate.core.errors import Problem, nearest

PREFIX = "HEADGATE__"
SECTIONS = ("defaults", "state", "lake", "connections")
"""What variables and flags may set: the surroundings of pipelines, never what they do."""

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*")


def read_env(root: Path) -> dict[str, str]:
    """The variables of ``.env``, if it is there. Raises RefusedError for lines that are not NAME=value."""
    path = root / ".env"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RefusedError(
            [Problem(f"it cannot be read: {error.strerror}", ".env", hint="check path and rights")]
        ) from None
    except UnicodeDecodeError:
        raise RefusedError([Problem("it is not UTF-8", ".env", 1, hint="save it as UTF-8")]) from None
    found: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        value = _unquoted(match["value"]) if match else None
        if match is None or value is None:
            problems.append(Problem("this is not NAME=value", ".env", number, hint='quotes come in pairs: NAME="a b"'))
        else:
            found[match["name"]] = value
    if problems:
        raise RefusedError(problems)
    return found


def _unquoted(text: str) -> str | None:
    """The value; None when a quote is not closed."""
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        rest = text[end + 1 :].strip()
        return text[1:end] if end > 0 and (not rest or rest.startswith("#")) else None
    return re.split(r"\s#", text, maxsplit=1)[0].rstrip()


def override(document: Section, environment: Mapping[str, str], overrides: Mapping[str, Any]) -> list[Problem]:
    """Set what variables and flags say in ``document``, flags last; gives what they may not set.

    ``overrides`` has paths with dots as keys, or mappings in mappings.
    """
    problems = []
    for name in sorted(environment):
        if name.startswith(PREFIX):
            path = name.removeprefix(PREFIX).split("__")
            problems += _set(document, path, _read(environment[name]), f"the variable {name}")
    for path, value in _flat(overrides, ()):
        problems += _set(document, path, _given(value), f"the option {'.'.join(path)}")
    return problems


def _set(document: Section, path: list[str], value: Any, what: str) -> list[Problem]:
    names = [_known(path[0], SECTIONS)]
    if names[0] not in SECTIONS or len(path) < 2 or not all(path):
        return [Problem(f"{what} sets nothing", "environment", 0, ".".join(path), nearest(path[0].lower(), SECTIONS))]
    section = document
    for part in path[:-1]:
        name = _known(part, section)
        inner = section.get(name)
        if not isinstance(inner, Section):
            inner = Section(document.file, section.line_of(name))
            section.put(name, inner, section.line_of(name))
        section = inner
        names.append(name)
    last = _known(path[-1], section)
    section.put(last, value, section.line_of(last))
    document.given[".".join((*names[1:], last))] = what
    return []


def _known(part: str, names: Any) -> str:
    """The existing name that ``part`` spells, whatever its case; else its lower case."""
    return next((name for name in names if name.lower() == part.lower()), part.lower())


def _read(text: str) -> Any:
    try:
        value = scalar(text)
    except ValueError:
        value = text
    return Given(value) if isinstance(value, str) else value


def _given(value: Any) -> Any:
    match value:
        case str():
            return Given(value)
        case list() | tuple():
            items = Items()
            for item in value:
                items.add(_given(item))
            return items
        case _:
            return value


def _flat(overrides: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[list[str], Any]]:
    found: list[tuple[list[str], Any]] = []
    for key, value in overrides.items():
        here = (*path, *key.split("."))
        if isinstance(value, Mapping):
            found += _flat(value, here)
        else:
            found.append((list(here), value))
    return found
