"""Paths that a source puts together: names of files, and the files below a folder."""

from __future__ import annotations

import re

from headgate.diagrams.source.values import Called, Either, Items, Known, Thing, Value, joined

FILES = frozenset({"open", "read_text", "read_bytes", "write_text", "write_bytes"})
"""Methods of a path that read or write the file."""
_SAME = frozenset({"resolve", "absolute", "as_posix", "expanduser", "as_uri", "joinpath", "with_suffix", "with_name"})
_BELOW = frozenset({"glob", "rglob", "iterdir"})
METHODS = _SAME | _BELOW
_MODE = re.compile(r"[rwax][bt+]{0,2}")


def names_file(value: Value) -> bool:
    """Whether the first argument of ``open`` is a file: of methods (``path.open("w")``) it is the mode."""
    return not (isinstance(value, Known) and isinstance(value.value, str) and _MODE.fullmatch(value.value))


def called(path: str, call: Called) -> Value | None:
    """The result of a function of paths; None for any other."""
    if path in ("glob.glob", "glob.iglob") and call.args:
        return Items(call.args[0].origins, (call.args[0],))
    if path in ("os.listdir", "os.scandir") and call.args and _is_text(call.args[0]):
        return Items(items=(_below(call.args[0], "*"),))
    if path in ("os.path.basename", "posixpath.basename", "ntpath.basename") and call.args:
        return part(call.args[0], "name")
    if path in ("os.path.dirname", "posixpath.dirname") and call.args:
        return part(call.args[0], "parent")
    if path in ("os.fspath", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath") and call.args:
        return call.args[0]
    return None


def part(value: Value, name: str) -> Value | None:
    """``path.name`` and the like of a path whose text is known; None for what is none."""
    if not _is_text(value):
        return None
    found: list[Value] = []
    for text in value.texts():
        folder, _, last = text.rstrip("/").rpartition("/")
        stem, dot, suffix = last.rpartition(".")
        parts = {"name": last, "stem": stem or last, "suffix": dot + suffix if stem else "", "parent": folder or "."}
        if name not in parts:
            return None
        found.append(Known(value.origins, parts[name], whole=False))
    return found[0] if len(found) == 1 else Either(value.origins, tuple(found))


def method(value: Value, call: Called) -> Value | None:
    """The result of a method of a path whose text is known."""
    if call.name in _BELOW:
        return Items(items=(_below(value, call.args[0].text if call.args else "*"),))
    if call.name == "joinpath":
        return joined([value, *(one for given in call.args for one in (Known(value="/"), given))])
    if call.name == "with_suffix" and call.args:
        folder, stem = part(value, "parent"), part(value, "stem")
        if folder is not None and stem is not None:
            return joined([*((folder, Known(value="/")) if folder.text != "." else ()), stem, call.args[0]])
    if call.name == "with_name" and call.args:
        folder = part(value, "parent")
        return joined([folder, Known(value="/"), call.args[0]]) if folder is not None else None
    return value if call.name in _SAME else None


def handle(value: Value, name: str) -> Thing | None:
    """``path.read_text`` of a path whose text is known: the file is told by the call before."""
    if name in FILES and _is_text(value):
        return Thing(value.origins, f"pathlib.Path().{name}", (Called("Path", (value,)),))
    return None


def _below(folder: Value, pattern: str) -> Value:
    return joined([folder, Known(value="" if folder.text.endswith("/") else "/"), Known(value=pattern)])


def _is_text(value: Value) -> bool:
    if isinstance(value, Either):
        return all(_is_text(one) for one in value.options)
    return isinstance(value, Known) and isinstance(value.value, str)
