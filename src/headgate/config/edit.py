"""Changes one key in YAML text and leaves every other line as it is, comments included.

Only whole lines of block mappings are touched. Where the key lies inside ``{…}`` or the like, the nearest block
above it is written anew; the caller compares what the text means afterwards.
"""

from __future__ import annotations

from typing import Any

import yaml

from headgate.config.dump import dump


def set_key(text: str, keys: tuple[str, ...], value: Any, document: dict[str, Any]) -> str:
    """The text with the value at ``keys`` replaced or added. ``document``: what the whole text is to mean."""
    lines = _lines(text)
    for length in range(len(keys), 0, -1):
        mapping = _mapping(text, keys[: length - 1])
        if mapping is None or not mapping.value:
            continue
        key = keys[length - 1]
        whole = value if length == len(keys) else _at(document, keys[:length])
        block = _indented({key: whole}, mapping.value[0][0].start_mark.column)
        found = _pair(mapping, key)
        start, end = _span(lines, *found) if found else (_last(lines, mapping),) * 2
        return "".join(_joined(lines[:start]) + block + lines[end:])
    return dump(document)


def remove_key(text: str, keys: tuple[str, ...]) -> str:
    """The text without the lines of one key; as it is when they cannot be told apart."""
    mapping = _mapping(text, keys[:-1])
    found = _pair(mapping, keys[-1]) if mapping is not None else None
    if mapping is None or found is None or len(mapping.value) == 1:
        return text
    lines = _lines(text)
    start, end = _span(lines, *found)
    return "".join(lines[:start] + lines[end:])


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _joined(lines: list[str]) -> list[str]:
    """Lines of which the last ends."""
    if lines and not lines[-1].endswith("\n"):
        return [*lines[:-1], lines[-1] + "\n"]
    return lines


def _mapping(text: str, keys: tuple[str, ...]) -> yaml.MappingNode | None:
    """The block mapping that keys lead to, if all on the way are block mappings."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for key in keys:
        found = _pair(node, key) if isinstance(node, yaml.MappingNode) and not node.flow_style else None
        if found is None:
            return None
        node = found[1]
    return node if isinstance(node, yaml.MappingNode) and not node.flow_style else None


def _pair(mapping: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((name, value) for name, value in mapping.value if name.value == key), None)


def _span(lines: list[str], key: yaml.Node, value: yaml.Node) -> tuple[int, int]:
    """First line of a pair and the line after its last; comments and blanks behind it belong to what follows."""
    start, end = key.start_mark.line, max(value.end_mark.line, key.start_mark.line)
    if value.end_mark.column > 0 or end == start:
        end += 1
    end = min(end, len(lines))
    column = key.start_mark.column
    while end > start + 1 and not _belongs(lines[end - 1], column):
        end -= 1
    return start, end


def _belongs(line: str, column: int) -> bool:
    """Whether a line belongs to a key at ``column``: it is deeper, and says something."""
    stripped = line.strip()
    depth = len(line) - len(line.lstrip(" "))
    return bool(stripped) and (depth > column or stripped.startswith("- ") or stripped in ("-", "]", "}"))


def _last(lines: list[str], mapping: yaml.MappingNode) -> int:
    """The line after the last pair of a mapping."""
    return _span(lines, *mapping.value[-1])[1]


def _indented(value: dict[str, Any], column: int) -> list[str]:
    return [" " * column + line for line in _lines(dump(value))]


def _at(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = value[key]
    return value
