"""What a Mermaid text says that its picture must show."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

_QUOTED = re.compile(r'"([^"]*)"')
_NUMBER = re.compile(r"#(\d+);")
_MESSAGE = re.compile(r"\s*(?:\w+-{1,2}(?:>>|x)\w+|Note over [\w,]+): (.*)")
_BLOCK = re.compile(r"\s*(?:alt|else|loop|opt|break) (.*)")
_PERSON = re.compile(r"\s*participant \w+ as (.*)")
_COLUMN = re.compile(r"\s{8}(\w+) (\w+)")
_TRANSITION = re.compile(r"\s*\S+ --> \S+ : (.*)")


def labels(mermaid: str) -> list[str]:
    """Every line of every label, in the order of the text."""
    title, lines = _header(mermaid)
    found = [title, *(label for line in _spoken(lines) for label in re.split("<br/>", line))]
    return [label for label in (_decoded(one) for one in found) if label.strip()]


def missing(mermaid: str, shown: str) -> list[str]:
    """Labels that a picture's text does not have; where lines and words break does not matter."""
    everything = _packed(shown)
    return [label for label in labels(mermaid) if _packed(label) not in everything]


def _packed(text: str) -> str:
    return "".join(c for c in text if not c.isspace() and c not in "-\u200b\u2060\ufeff")


def _header(mermaid: str) -> tuple[str, list[str]]:
    lines = mermaid.splitlines()
    if lines[0] != "---":
        return "", lines
    end = lines.index("---", 1)
    return str(yaml.safe_load("\n".join(lines[1:end])).get("title", "")), lines[end + 1 :]


def _spoken(lines: list[str]) -> Iterator[str]:
    kind = lines[0].split()[0]
    note = False
    for line in lines[1:]:
        if kind == "sequenceDiagram":
            found = _PERSON.fullmatch(line) or _MESSAGE.fullmatch(line) or _BLOCK.fullmatch(line)
            yield from found.groups() if found else ()
            continue
        yield from _QUOTED.findall(line)
        if kind == "erDiagram":
            column = _COLUMN.match(line)
            yield from column.groups() if column else ()
        elif kind == "stateDiagram-v2":
            way = _TRANSITION.fullmatch(line)
            yield from way.groups() if way else ()
            if note and line.strip() != "end note":
                yield line
            note = line.strip().startswith("note right of") or (note and line.strip() != "end note")


def _decoded(text: str) -> str:
    return _NUMBER.sub(lambda found: chr(int(found[1])), text)
