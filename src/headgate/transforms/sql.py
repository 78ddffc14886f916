"""``sql``: any SELECT over the rows so far."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from sqlglot import exp

from headgate.core.models import StepOptions
from headgate.sql.expressions import parse_select
from headgate.sql.shapes import Reshape, Shape, StepInput
from headgate.sql.templates import render_sql


class Options(StepOptions):
    """Transform the rows by one SELECT; the step before is the relation ``input``."""

    type: Literal["sql"]
    query: str = Field(description="One SELECT over input; other named sources may be joined.")


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """A free reshape; of the other relations only those that the query names are handed on."""
    query = parse_select(render_sql(options.query, step.variables), ["input", *step.relations])
    read = {table.name.lower() for table in query.find_all(exp.Table)}
    return [Reshape(query, relations=tuple(name for name in step.relations if name.lower() in read))]
