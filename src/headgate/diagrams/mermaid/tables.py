"""Tables as a Mermaid entity relationship diagram."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headgate.diagrams.mermaid.loops import joined
from headgate.diagrams.mermaid.words import Names, header, text, visible
from headgate.diagrams.tables import Many, Relation, TableColumn, Tables

INDENT = "    "
UNNAMED = "(no name)"
"""Mermaid cannot draw a table whose name nobody sees."""
_LEFT: dict[Many, str] = {"one": "||", "zero_or_one": "|o", "many": "}o", "one_or_many": "}|"}
_RIGHT: dict[Many, str] = {"one": "||", "zero_or_one": "o|", "many": "o{", "one_or_many": "|{"}
_KEYS = ("pk", "fk", "uk")
_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")


def er_diagram(diagram: Tables) -> str:
    """The diagram's text, with a newline at its end."""
    return "\n".join(_lines(diagram)) + "\n"


def _lines(diagram: Tables) -> Iterator[str]:
    names = Names()
    yield from header(diagram.title)
    yield "erDiagram"
    for table in diagram.tables:
        yield f'{INDENT}{names[table.id]}["{text(table.label) if visible(table.label) else UNNAMED}"] {{'
        for column in table.columns:
            yield INDENT * 2 + _column(column)
        yield f"{INDENT}}}"
    for relation in joined(diagram.relations, lambda one: (one.left, one.right)):
        yield INDENT + _relation(relation, names)


def _column(column: TableColumn) -> str:
    """Type and name in the letters that the grammar has; a name that this changes is told beside it."""
    name = _word(column.name)
    told = [column.name] if name != column.name else []
    told = [one for one in (*told, column.note) if visible(one)]
    note = f' "{text(", ".join(told))}"' if told else ""
    keys = f" {', '.join(column.keys)}" if column.keys else ""
    return f"{_word(column.type)} {name}{keys}{note}"


def _word(value: str) -> str:
    word = _UNSAFE.sub("_", value).strip("_")[:60]
    return word if word[:1].isalpha() and word.lower() not in _KEYS else f"c_{word}".rstrip("_")


def _relation(relation: Relation, names: Names) -> str:
    line = "--" if relation.solid else ".."
    kind = f"{_LEFT[relation.left_many]}{line}{_RIGHT[relation.right_many]}"
    return f'{names[relation.left]} {kind} {names[relation.right]} : "{text(relation.label)}"'
