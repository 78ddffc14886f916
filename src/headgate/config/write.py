"""Pipelines as records: created, changed and deleted in the files, whole or not at all, with the comments around."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.config.dump import dump
from headgate.config.edit import remove_key, set_key
from headgate.config.files import FOLDER, find_pipeline, read_files
from headgate.config.load import project_problems
from headgate.config.models import refuse
from headgate.config.outline import is_name
from headgate.config.yaml import parse, plain
from headgate.core.contracts import Registry
from headgate.core.errors import Code, FatalError, Problem, nearest
from headgate.io import files


def create_pipeline(root: Path, name: str, definition: Mapping[str, Any], registry: Registry) -> Path:
    """Write a new pipeline to ``pipelines/<name>.yml``.

    Raises:
        FatalError: CONFIG_INVALID when the name is taken, or with every problem the pipeline would bring.
    """
    if name in read_files(root).pipelines:
        raise _refused(name, f'the pipeline "{name}" already exists', "change it with: headgate config set")
    path = root / FOLDER / f"{name}.yml"
    if not is_name(name) or path.exists():
        why = "the file is there already" if path.exists() else f'"{name}" cannot be a name'
        raise _refused(name, why, "choose another name: letters, digits, _ . and -")
    text = dump({"pipelines": {name: _without_nulls(definition)}})
    _check(root, registry, {f"{FOLDER}/{path.name}": text})
    files.make_folder(path.parent)
    files.replace_text(path, text)
    return path


def set_pipeline(root: Path, name: str, updates: Mapping[str, Any], registry: Registry) -> Path:
    """Change keys of a pipeline where it stands; comments on all else stay.

    Args:
        updates: paths with dots (``source.mode``) and their new values; None removes a key.

    Raises:
        FatalError: NOT_FOUND for an unknown pipeline; CONFIG_INVALID with every problem the change would bring.
    """
    path, place, old = _found(root, name)
    text, wanted = path.read_text("utf-8-sig"), plain(parse(path.read_text("utf-8-sig"), _file(root, path)))
    for key, value in updates.items():
        keys = (*place, *key.split("."))
        _apply(wanted, keys, value, name)
        text = remove_key(text, keys) if value is None else set_key(text, keys, _at(wanted, keys), wanted)
    if plain(parse(text, _file(root, path))) != wanted:
        text = dump(wanted)
    _check(root, registry, {_file(root, path): text})
    if text != old:
        files.replace_text(path, text)
    return path


def delete_pipeline(root: Path, name: str, registry: Registry) -> Path:
    """Remove a pipeline from its file, and the file with its last one.

    Raises:
        FatalError: NOT_FOUND for an unknown pipeline; CONFIG_INVALID when others depend on it.
    """
    path, place, text = _found(root, name)
    wanted = plain(parse(text, _file(root, path)))
    alone = not place or (path.parent.name == FOLDER and len(_at(wanted, place[:-1])) == 1)
    if alone:
        _check(root, registry, {_file(root, path): ""})
        files.unlink(path)
        files.sync_folder(path.parent)
        return path
    _apply(wanted, place, None, name)
    text = remove_key(text, place)
    if plain(parse(text, _file(root, path))) != wanted:
        text = dump(wanted)
    _check(root, registry, {_file(root, path): text})
    files.replace_text(path, text)
    return path


def _found(root: Path, name: str) -> tuple[Path, tuple[str, ...], str]:
    """The file of a pipeline, the keys that lead to it, and the file's text."""
    known = read_files(root).pipelines
    if name not in known:
        raise FatalError(
            Code.NOT_FOUND,
            f'there is no pipeline "{name}"',
            operation="configuration",
            object=name,
            hint=nearest(name, known) or "create it with: headgate config create",
        )
    _, file = known[name]
    path = root / file
    text = path.read_text("utf-8-sig")
    return path, find_pipeline(parse(text, file), name, file), text


def _check(root: Path, registry: Registry, instead: Mapping[str, str]) -> None:
    """Raise with the problems that the project has with these texts and had not before."""
    before = {_key(problem) for problem in project_problems(root, registry)}
    after = project_problems(root, registry, instead=instead)
    refuse([problem for problem in after if _key(problem) not in before], str(root))


def _key(problem: Problem) -> tuple[str, str, str]:
    return problem.message, problem.file, problem.path


def _file(root: Path, path: Path) -> str:
    return str(path.relative_to(root))


def _at(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = value[key]
    return value


def _apply(document: dict[str, Any], keys: tuple[str, ...], value: Any, name: str) -> None:
    inner: Any = document
    for key in keys[:-1]:
        if value is None and key not in inner:
            return
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise _refused(name, f"{'.'.join(keys)} leads through {key}, which is not a mapping", "set the whole of it")
    if value is None:
        inner.pop(keys[-1], None)
    else:
        inner[keys[-1]] = _without_nulls(value)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return plain(value)


def _refused(name: str, message: str, hint: str) -> FatalError:
    return FatalError(Code.CONFIG_INVALID, message, operation="configuration", object=name, hint=hint)
