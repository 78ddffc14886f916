"""``referential``: keys that exist elsewhere."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from headgate.core.models import Names, RuleOptions
from headgate.sql.conditions import among, type_of
from headgate.sql.lookups import columns_of, comparable, present, refuse_types_of_tables, resolve, side_read
from headgate.sql.shapes import RowRule, SideRead, StepInput
from headgate.sql.types import parse_type

Value = bool | int | float | Decimal | datetime | date | time | str


class Options(RuleOptions):
    """The columns together occur in another table, in files, or in a list. A row with NULL in one of them passes."""

    type: Literal["referential"]
    columns: Names = Field(description="The columns that refer.")
    table: str | None = Field(default=None, description="The table referred to, of the lake or of connection.")
    path: str | None = Field(default=None, description="Instead of a table: files, relative to the project.")
    connection: str | None = Field(default=None, description="Where the table is; default the lake.")
    types: dict[str, str] = Field(
        default_factory=dict, description="SQL types of columns of the files, where not to be found out."
    )
    references: Names | None = Field(default=None, description="The columns there; default those of the same names.")
    values: tuple[Value, ...] | None = Field(default=None, min_length=1, description="Instead of a table: the keys.")

    @model_validator(mode="after")
    def _one_reference(self) -> Options:
        given = [name for name in ("table", "path", "values") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a referential rule needs one of table, path and values: without it nothing is checked")
        refuse_types_of_tables(self.table, self.types)
        if self.values is not None and (len(self.columns) > 1 or self.references or self.connection or self.types):
            raise ValueError("values are the keys of one column, and stand alone")
        if self.references is not None and len(self.references) != len(self.columns):
            raise ValueError(f"{len(self.columns)} columns refer to {len(self.references)}")
        return self


def sides(options: Options) -> list[SideRead]:
    """What the plan reads for the rule."""
    if options.values is not None:
        return []
    keys = options.references or options.columns
    read = tuple(dict.fromkeys(keys))
    return [side_read("keys", options.connection, options.table, options.path, read, types=options.types)]


def shapes(options: Options, step: StepInput) -> RowRule:
    """One semi-join, or a list."""
    names = [step.resolve(name) for name in options.columns]
    if options.values is not None:
        (name,) = names
        return RowRule(among(name, type_of(name, step), options.values), f"{name} is one of {len(options.values)} keys")
    (side,) = sides(options)
    other = columns_of(side, step)
    keys = []
    for name, key in zip(names, options.references or options.columns, strict=True):
        found = resolve(key, other)
        comparable(name, type_of(name, step), found.name, parse_type(found.type), options.path)
        keys.append(found.name)
    there = f"{options.table or options.path}.{', '.join(keys)}"
    return RowRule(present(side.name, names, keys), f"{', '.join(names)} is in {there}", (side.name,))
