"""Messages and tables that are too many for a picture: the first are drawn, the rest is counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from headgate.diagrams.sequence import Block, Item, Message, Note, Sequence
from headgate.diagrams.tables import Table, TableColumn, Tables

COLUMNS = 40
"""Columns of a table that are shown where there are too many tables."""
REST = "(rest)"


def messages(items: Iterable[Item]) -> int:
    """How many lines a picture of them has; a block has one of its own."""
    return sum(
        1 + sum(messages(inner) for _, inner in item.sections) if isinstance(item, Block) else 1 for item in items
    )


def first_messages(diagram: Sequence, most: int) -> Sequence:
    """The diagram with so many messages at most."""
    count = messages(diagram.items)
    if count <= most:
        return diagram
    kept, left = _first(diagram.items, most)
    shown = most - left
    over = next(_names(kept), diagram.participants[0].id)
    items = (*kept, Note((over,), f"and {count - shown:,} more"))
    used = set(_names(items))
    people = tuple(one for one in diagram.participants if one.id in used)
    return replace(diagram, participants=people, items=items)


def _first(items: tuple[Item, ...], room: int) -> tuple[tuple[Item, ...], int]:
    """The first items that there is room for, and what room is left."""
    kept: list[Item] = []
    for item in items:
        if room <= 0:
            break
        room -= 1
        if isinstance(item, Block):
            sections = []
            for when, inner in item.sections:
                some, room = _first(inner, room)
                sections.append((when, some))
            item = replace(item, sections=tuple(sections))
        kept.append(item)
    return tuple(kept), room


def _names(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        match item:
            case Message():
                yield from (item.sender, item.receiver)
            case Note():
                yield from item.over
            case Block():
                for _, inner in item.sections:
                    yield from _names(inner)


def first_tables(diagram: Tables, most: int) -> Tables:
    """The diagram with so many tables at most, of so many columns."""
    tables = tuple(_narrow(table) for table in diagram.tables[:most])
    known = {table.id for table in tables}
    relations = tuple(one for one in diagram.relations if one.left in known and one.right in known)
    rest = len(diagram.tables) - len(tables)
    if rest:
        tables = (*tables, Table(REST, f"and {rest:,} more"))
    return replace(diagram, tables=tables, relations=relations)


def _narrow(table: Table) -> Table:
    rest = len(table.columns) - COLUMNS
    if rest <= 0:
        return table
    return replace(table, columns=(*table.columns[:COLUMNS], TableColumn(f"and_{rest}_more", "columns")))
