"""Tables with columns and keys, and how they relate. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Many = Literal["one", "zero_or_one", "many", "one_or_many"]


@dataclass(frozen=True)
class TableColumn:
    name: str
    type: str
    keys: tuple[Literal["PK", "FK", "UK"], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Table:
    """``id``: any text, unique in the diagram."""

    id: str
    label: str
    columns: tuple[TableColumn, ...] = ()


@dataclass(frozen=True)
class Relation:
    """``left`` (how many) to ``right`` (how many); ``solid``: the one cannot be without the other."""

    left: str
    right: str
    label: str = ""
    left_many: Many = "one"
    right_many: Many = "many"
    solid: bool = True


@dataclass(frozen=True)
class Tables:
    """Raises ValueError for ids that occur twice, and for relations of tables that are not there."""

    title: str = ""
    tables: tuple[Table, ...] = ()
    relations: tuple[Relation, ...] = ()

    def __post_init__(self) -> None:
        known = {table.id for table in self.tables}
        if len(known) != len(self.tables) or "" in known:
            raise ValueError("a table's id is empty or occurs twice")
        for relation in self.relations:
            for end in (relation.left, relation.right):
                if end not in known:
                    raise ValueError(f"a relation names the table {end!r}, which is not in the diagram")
