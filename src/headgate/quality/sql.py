"""``sql``: a SELECT of the rows that are wrong."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator
from sqlglot import exp

from headgate.core.models import Model, RuleOptions
from headgate.sql import expressions
from headgate.sql.lookups import columns_of, refuse_types_of_tables, side_read
from headgate.sql.shapes import SetRule, SideRead, StepInput
from headgate.sql.templates import render_sql


class Other(Model):
    """A relation beside the rows."""

    table: str | None = Field(default=None, description="A table of the lake or of connection.")
    path: str | None = Field(default=None, description="Instead of a table: files, relative to the project.")
    connection: str | None = Field(default=None, description="Where the table is; default the lake.")
    types: dict[str, str] = Field(
        default_factory=dict, description="SQL types of columns of the files, where not to be found out."
    )

    @model_validator(mode="after")
    def _one(self) -> Other:
        if (self.table is None) == (self.path is None):
            raise ValueError("a relation needs either table or path")
        refuse_types_of_tables(self.table, self.types)
        return self


class Options(RuleOptions):
    """The query gives no row. It reads the rows as ``input``, and the relations that are named."""

    type: Literal["sql"]
    query: str = Field(description="One SELECT of rows that are wrong, over input.")
    relations: dict[str, Other] = Field(default_factory=dict, description="Other tables by the name in the query.")

    @field_validator("relations")
    @classmethod
    def _names(cls, relations: dict[str, Other]) -> dict[str, Other]:
        for name in relations:
            if not re.fullmatch(r"[A-Za-z_]\w*", name) or name.lower() == "input":
                raise ValueError(f'"{name}" cannot name a relation; use letters, digits and _, and not input')
        return relations

    @model_validator(mode="after")
    def _about_all(self) -> Options:
        if self.on_fail == "quarantine":
            raise ValueError("a query cannot hold single rows back; use expression for a condition about each row")
        return self


def sides(options: Options) -> list[SideRead]:
    """What the plan reads for the rule."""
    return [
        side_read(f"rule_{name.lower()}", other.connection, other.table, other.path, types=other.types)
        for name, other in options.relations.items()
    ]


def shapes(options: Options, step: StepInput) -> SetRule:
    """Counts what the query gives."""
    query: exp.Expr = expressions.parse_select(render_sql(options.query, step.variables), ["input", *options.relations])
    known = {name.lower(): side for name, side in zip(options.relations, sides(options), strict=True)}
    for side in known.values():
        columns_of(side, step)
    for table in list(query.find_all(exp.Table)):
        if table.name.lower() in known:
            relation = exp.Table(this=exp.to_identifier(known[table.name.lower()].name, quoted=True))
            table.replace(exp.alias_(relation, table.alias_or_name, table=True))
    count = exp.select(
        exp.Count(this=exp.Star()), exp.DPipe(this=exp.cast(exp.Count(this=exp.Star()), "TEXT"), expression=_ROWS)
    ).from_(exp.Subquery(this=query.copy(), alias=exp.TableAlias(this=exp.to_identifier("found"))))
    message = options.description or f"no row from {' '.join(options.query.split())[:80]}"
    return SetRule(tuple(step.names), count, message, query, tuple(side.name for side in known.values()))


_ROWS = exp.Literal.string(" rows")
