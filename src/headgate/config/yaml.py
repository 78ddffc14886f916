"""YAML to plain values that know their lines; a strict, small and safe part of YAML.

Keys are text and plain words stay text (``on``, ``no``, ``02:00``): only true/false, null, numbers, dates and times
are more. Tags, duplicate keys and documents beyond the first are refused; depth and size are bounded. The parser's
event stream is read, not its node tree: that one recurses in C and follows aliases without end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from headgate.core.errors import Code, FatalError, Problem

MAX_BYTES = 2_000_000
MAX_DEPTH = 40
MAX_NODES = 100_000
MAX_DIGITS = 400

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+")
_FLOAT = re.compile(r"[-+]?(\d[\d_]*\.[\d_]*|\.\d[\d_]*|\d[\d_]*(?=[eE]))([eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?( ?(Z|[-+]\d\d(:?\d\d)?))?")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan"),
}  # fmt: skip


class Section(dict[str, Any]):
    """A mapping that knows its file, its line and the line of every key."""

    def __init__(self, file: str = "", line: int = 0) -> None:
        super().__init__()
        self.file, self.line = file, line
        self.lines: dict[str, int] = {}
        self.given: dict[str, str] = {}
        """What set a key that does not stand in the file, by its path with dots; known to the outermost section."""
        self.reads: tuple[str, ...] = ()
        """Columns that a step says it reads, beside what its options say; no option, so no part of the spelling."""

    def put(self, key: str, value: Any, line: int = 0) -> None:
        """Set a key with the line where it stands; default the section's own."""
        self[key] = value
        self.lines[key] = line or self.line

    def take(self, key: str) -> Any:
        """Remove a key and give its value."""
        self.lines.pop(key, None)
        return self.pop(key)

    def move(self, old: str, new: str) -> None:
        """Give a key another name; it keeps its value and its line."""
        line = self.line_of(old)
        self.put(new, self.take(old), line)

    def line_of(self, key: str) -> int:
        return self.lines.get(key, self.line)


class Items(list[Any]):
    """A list that knows the line of every item."""

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []

    def add(self, value: Any, line: int = 0) -> None:
        self.append(value)
        self.lines.append(line or self.line)

    def line_of(self, index: int) -> int:
        return self.lines[index] if 0 <= index < len(self.lines) else self.line


Value: TypeAlias = Any
"""A Section, Items, str, int, float, Decimal, bool, date, datetime or None."""


def copied(value: Value) -> Value:
    """A copy that shares nothing, lines included."""
    match value:
        case Section():
            section = Section(value.file, value.line)
            for key, item in value.items():
                section.put(key, copied(item), value.line_of(key))
            section.reads = value.reads
            return section
        case Items():
            items = Items(value.line)
            for index, item in enumerate(value):
                items.add(copied(item), value.line_of(index))
            return items
        case _:
            return value


def plain(value: Value) -> Any:
    """The value as plain dicts and lists."""
    match value:
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def place(value: Value, path: tuple[str | int, ...], default: int = 0) -> int:
    """The line of the innermost part of ``path`` that exists."""
    line = value.line if isinstance(value, Section | Items) else default
    for part in path:
        match value, part:
            case Section(), str() if part in value:
                line, value = value.line_of(part), value[part]
            case Items(), int() if 0 <= part < len(value):
                line, value = value.line_of(part), value[part]
            case _:
                break
    return line or default


class RefusedError(FatalError):
    """A file that is not configuration."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(
            Code.CONFIG_INVALID, str(problems[0]), operation="configuration", object=problems[0].file, problems=problems
        )


def read(path: Path, file: str) -> Section:
    """The mapping in a file; ``file`` is how problems name it. An empty file gives an empty mapping.

    Raises:
        RefusedError: with every problem that could be found.
    """
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RefusedError([Problem("there is no such file", file, hint="headgate init makes a project")]) from None
    except OSError as error:
        raise RefusedError(
            [Problem(f"it cannot be read: {error.strerror}", file, hint="check path and rights")]
        ) from None
    if len(data) > MAX_BYTES:
        raise RefusedError([Problem(f"it is larger than {MAX_BYTES} bytes", file, hint="split it up")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RefusedError([Problem(f"byte {error.start} is not UTF-8", file, line, hint="save it as UTF-8")]) from None
    return parse(text, file)


def parse(text: str, file: str) -> Section:
    """The mapping that a text holds. Raises RefusedError."""
    builder = _Builder(text, file)
    value = builder.document()
    if builder.problems:
        raise RefusedError(builder.problems)
    match value:
        case Section():
            return value
        case None:
            return Section(file, 1)
        case _:
            line = value.line if isinstance(value, Items) else 1
            raise RefusedError(
                [Problem("a mapping of keys to values is expected", file, line, hint="write key: value")]
            )


def scalar(text: str) -> Value:
    """What a plain YAML word means. Raises ValueError for dates and numbers that do not exist."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > MAX_DIGITS and _INTEGER.fullmatch(text):
        raise ValueError(f"a number of {len(text)} digits is too long")
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""), 0) if "x" in text else int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return _number(text.replace("_", ""))
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    if _TIME.fullmatch(text):
        return datetime.fromisoformat(re.sub(r" (?=[Z+-])", "", text).replace("t", "T"))
    return text


def _number(text: str) -> float | Decimal:
    """A float where that is exact to the last digit written, else the decimal."""
    value = float(text)
    exact = Decimal(text)
    return value if Decimal(repr(value)) == exact else exact


class _StopError(Exception):
    """Nothing after this point can be read."""


class _Builder:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.problems: list[Problem] = []
        self.anchors: dict[str, Value] = {}
        self.open: set[str] = set()
        self.nodes = 0
        self.events: Iterator[Any] = iter(())

    def document(self) -> Value:
        try:
            self.events = yaml.parse(self.text, Loader=_LOADER)
            return self._documents()
        except _StopError:
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            why = " ".join(part for part in (error.context, error.problem) if part)
            self._note(f"it is not YAML: {why}", mark.line + 1 if mark else 1, _advice(why, self._line(mark)))
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
            self._note(f"it is not YAML: {error.reason}", line, "remove control characters")
        except yaml.YAMLError as error:
            self._note(f"it is not YAML: {error}", 1, "")
        except RecursionError:
            self._note(f"it is nested more than {MAX_DEPTH} deep", 1, "")
        return None

    def _line(self, mark: Any) -> str:
        lines = self.text.splitlines()
        return lines[mark.line] if mark and mark.line < len(lines) else ""

    def _documents(self) -> Value:
        value: Value = None
        for event in self.events:
            match event:
                case yaml.DocumentStartEvent() if self.nodes:
                    self._note("a second document begins here", _line(event), "keep one document a file, without ---")
                    raise _StopError
                case yaml.StreamStartEvent() | yaml.StreamEndEvent() | yaml.DocumentStartEvent():
                    continue
                case yaml.DocumentEndEvent():
                    continue
                case _:
                    value = self._value(event, 0)
        return value

    def _value(self, event: Any, depth: int) -> Value:
        self._count(1, event)
        if depth > MAX_DEPTH:
            self._note(f"it is nested more than {MAX_DEPTH} deep", _line(event), "")
            raise _StopError
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            self._note(f"the tag {event.tag} is refused", _line(event), "write plain values, without ! or !!")
        anchor = event.anchor
        if anchor:
            self.open.add(anchor)
        match event:
            case yaml.ScalarEvent():
                value = self._scalar(event)
            case yaml.SequenceStartEvent():
                value = self._items(event, depth)
            case _:
                value = self._section(event, depth)
        if anchor:
            self.open.discard(anchor)
            self.anchors[anchor] = value
        return value

    def _count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self._note(
                f"it holds more than {MAX_NODES} values", _line(event), "aliases count as often as they are used"
            )
            raise _StopError

    def _alias(self, event: Any) -> Value:
        if event.anchor in self.open or event.anchor not in self.anchors:
            why = "refers to itself" if event.anchor in self.open else "refers to nothing"
            self._note(f"the alias *{event.anchor} {why}", _line(event), "")
            return None
        value = self.anchors[event.anchor]
        self._count(_size(value), event)
        return copied(value)

    def _scalar(self, event: Any) -> Value:
        if not event.implicit[0]:
            return event.value
        try:
            return scalar(event.value)
        except (ValueError, OverflowError) as error:
            self._note(f'"{event.value[:60]}": {error}', _line(event), "put it in quotes if it is text")
            return None

    def _items(self, start: Any, depth: int) -> Items:
        items = Items(_line(start))
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.add(self._value(event, depth + 1), _line(event))
        return items

    def _section(self, start: Any, depth: int) -> Section:
        section = Section(self.file, _line(start))
        merged: list[Section] = []
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, depth)
            value = self._value(next(self.events), depth + 1)
            if key is None:
                continue
            if key == "<<" and event.implicit[0]:
                merged += self._merged(value, _line(event))
            elif key in section:
                first = section.line_of(key)
                self._note(
                    f'the key "{key}" stands twice: in lines {first} and {_line(event)}', _line(event), "keep one"
                )
            else:
                section.put(key, value, _line(event))
        for other in merged:
            for key, value in other.items():
                if key not in section:
                    section.put(key, value, other.line_of(key))
        return section

    def _key(self, event: Any, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent) and event.tag is None and event.value != "":
            self._count(1, event)
            return str(event.value)
        self._value(event, depth + 1)
        self._note("a key must be text", _line(event), "write key: value")
        return None

    def _merged(self, value: Value, line: int) -> list[Section]:
        found = value if isinstance(value, Items) else [value]
        if not all(isinstance(item, Section) for item in found):
            self._note("<< wants a mapping", line, "write <<: *name, where name is the anchor of a mapping")
            return []
        return list(found)

    def _note(self, message: str, line: int, hint: str) -> None:
        self.problems.append(Problem(message, self.file, line, hint=hint))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _size(value: Value) -> int:
    match value:
        case dict():
            return 1 + sum(1 + _size(item) for item in value.values())
        case list():
            return 1 + sum(_size(item) for item in value)
        case _:
            return 1


def _advice(why: str, line: str) -> str:
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in why:
        return "indent with spaces, not with tabs"
    if "mapping values are not allowed" in why:
        return 'put text that holds ": " in quotes, and check the indentation'
    if "cannot start any token" in why:
        return "put text that begins with a special character in quotes"
    return "check indentation, quotes and brackets up to this line"
