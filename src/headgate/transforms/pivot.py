"""``pivot``: the values of a column become columns."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, StepOptions
from headgate.sql.conditions import equals
from headgate.sql.metrics import metric_of
from headgate.sql.naming import distinct
from headgate.sql.shapes import Flag, Project, Reshape, Shape, StepInput, column
from headgate.sql.templates import refuse_in_value
from headgate.sql.types import parse_type

CROWDED = "_hg_crowded"


def _as_mapping(value: object) -> object:
    """A list of values stands for columns that are called like them."""
    if isinstance(value, list | tuple):
        named = {str(item): item for item in value}
        if len(named) != len(value):
            names = [str(item) for item in value]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f'two values would make the column "{twice}"; write a mapping of new column to value')
        return named
    return value


class Options(StepOptions):
    """Turn values into columns: one row for each value of ``keys``, one column for each of ``values``.

    The values are named here, so that the columns of a plan do not depend on the rows of a run. Rows with other values
    make no column. More than one row for a cell is a row error, unless ``function`` says how to combine them.
    """

    type: Literal["pivot"]
    keys: Names = Field(description="Columns whose values make a row; NULL is a value too.")
    column: str = Field(description="The column whose values become columns.")
    values: Annotated[dict[str, Any], BeforeValidator(_as_mapping), Field(min_length=1)] = Field(
        description="The values: a list, or a mapping of new column to value."
    )
    from_: str = Field(alias="from", description="The column that fills the cells.")
    function: str | None = Field(
        default=None, description="How to combine several rows of a cell, such as sum, max or count."
    )


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """A grouped select; without a function, then a row error for each row that has a crowded cell, which is NULL."""
    keys = [step.resolve(name) for name in options.keys]
    name, cell = step.resolve(options.column), step.resolve(options.from_)
    distinct([*keys, *options.values])
    if clash := {name, cell} & set(keys):
        raise FatalError(
            Code.PLAN_INVALID,
            f'"{min(clash)}" is a key too',
            operation="plan",
            object=min(clash),
            hint="drop it from keys",
        )
    type_ = parse_type(step.type_of(name))
    chosen = {new: _is(name, type_, value) for new, value in options.values.items()}
    query = exp.select(*(column(key) for key in keys)).from_(exp.Table(this=exp.to_identifier("input")))
    for new, condition in chosen.items():
        found = metric_of(options.function, cell, step) if options.function else exp.AnyValue(this=column(cell))
        filtered: exp.Expr = exp.Filter(this=found, expression=exp.Where(this=condition.copy()))
        if not options.function:
            filtered = exp.Case().when(_several(condition), exp.null()).else_(filtered)
        query = query.select(exp.alias_(filtered, exp.to_identifier(new, quoted=True), quoted=True))
    query = query.group_by(*(column(key) for key in keys))
    if options.function:
        return [Reshape(query, grouped=True)]
    crowded = exp.or_(*(_several(condition) for condition in chosen.values()))
    query = query.select(exp.alias_(crowded, CROWDED))
    message = f"one row for each of {', '.join(keys)} and {name}; say a function to combine them"
    flag = Flag(f"pivot {name}", column(CROWDED), (name,), message)
    kept = [(new, column(new)) for new in (*keys, *options.values)]
    return [Reshape(query, grouped=True), Project(tuple(kept), (flag,))]


def _is(name: str, type_: Any, value: Any) -> exp.Expr:
    if value is None:
        return exp.Is(this=column(name), expression=exp.null())
    refuse_in_value(value)
    return equals(name, type_, value)


def _several(condition: exp.Expr) -> exp.Expr:
    rows = exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition.copy()))
    return exp.GT(this=rows, expression=exp.Literal.number(1))
