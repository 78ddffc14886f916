"""``unpivot``: columns become rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, StepOptions
from headgate.sql.naming import distinct
from headgate.sql.shapes import Drop, Reshape, Shape, StepInput, column
from headgate.sql.types import common_type, parse_type


class Options(StepOptions):
    """Turn columns into rows: each row gives one row a column, with the column's name and its value."""

    type: Literal["unpivot"]
    columns: Names = Field(description="The columns that become rows.")
    keep: Names | None = Field(default=None, description="Columns that each row keeps; default all others.")
    names_to: str = Field(default="name", description="The new column that holds the names.")
    values_to: str = Field(default="value", description="The new column that holds the values.")
    drop_nulls: bool = Field(default=False, description="Leave out rows whose value is NULL; they count as filtered.")


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One reshape, over two lists that are opened side by side."""
    turned = [step.resolve(name) for name in options.columns]
    distinct(turned)
    kept = [step.resolve(name) for name in options.keep or [n for n in step.names if n not in turned]]
    if both := [name for name in kept if name in turned]:
        raise FatalError(
            Code.PLAN_INVALID,
            f'"{both[0]}" is kept and turned',
            operation="plan",
            object=both[0],
            hint="drop it from keep",
        )
    distinct([*kept, options.names_to, options.values_to])
    names = exp.Array(expressions=[exp.Literal.string(name) for name in turned])
    type_ = _common(turned, step)
    values = exp.Array(expressions=[exp.cast(column(name), type_, dialect="duckdb") for name in turned])
    query = exp.select(
        *(column(name) for name in kept), _opened(names, options.names_to), _opened(values, options.values_to)
    ).from_(exp.Table(this=exp.to_identifier("input")))
    found: list[Shape] = [Reshape(query)]
    if options.drop_nulls:
        found.append(Drop(exp.Not(this=exp.Is(this=column(options.values_to), expression=exp.null()))))
    return found


def _opened(values: exp.Expr, name: str) -> exp.Expr:
    call = exp.Anonymous(this="UNNEST", expressions=[values])
    return exp.alias_(call, exp.to_identifier(name, quoted=True), quoted=True)


def _common(names: list[str], step: StepInput) -> str:
    """One type that holds every value of the columns exactly."""
    found = common_type(parse_type(step.type_of(name)) for name in names)
    if found is None:
        types = ", ".join(f"{name} is {step.type_of(name)}" for name in names)
        raise FatalError(
            Code.PLAN_INVALID,
            f"no type holds the values of these columns exactly: {types}",
            operation="plan",
            object=", ".join(names),
            hint="cast them to one type in a step before, such as VARCHAR",
        )
    return found.name
