"""``map``: records in another form: each column from a name, an expression or a table of values."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import sqlglot
from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Model, StepOptions
from headgate.sql.bounds import matching
from headgate.sql.conditions import equals
from headgate.sql.failures import attempt, can_fail, failed, there
from headgate.sql.literals import literal
from headgate.sql.naming import distinct
from headgate.sql.shapes import Flag, Project, Shape, StepInput, column
from headgate.sql.templates import refuse_in_value
from headgate.sql.types import SqlType, parse_type

Value = bool | int | float | Decimal | date | datetime | str


class Choice(Model):
    """A column whose values stand for others."""

    from_: str = Field(alias="from", description="The column that is looked up.")
    values: dict[str, Value | None] = Field(min_length=1, description="Its value to the new one.")
    else_: Value | None = Field(default=None, alias="else", description="For values that are not listed.")
    keep: bool = Field(default=False, description="Values that are not listed stay as they are.")
    nulls: Value | None = Field(default=None, description="For NULL; default NULL.")

    @model_validator(mode="after")
    def _one_kind(self) -> Choice:
        """SQL would make one type of truth values and numbers, and fail at the first row for a text among numbers."""
        values = [value for value in (*self.values.values(), self.else_, self.nulls) if value is not None]
        kinds = {_kind(value): value for value in values}
        if len(kinds) > 1:
            told = " and ".join(f"{value!r} is a {kind}" for kind, value in kinds.items())
            raise ValueError(f"the new values are of several kinds: {told}; quote them to make all of them texts")
        if any(isinstance(value, float) for value in values):
            exact = [value for value in values if isinstance(value, int | Decimal)]
            inexact = [value for value in exact if Decimal(repr(float(value))) != value]
            if inexact:
                raise ValueError(
                    f"{inexact[0]} cannot stand among fractions exactly; quote them, and cast in a step after"
                )
        return self


def _kind(value: Value) -> str:
    match value:
        case bool():
            return "truth value"
        case int() | float() | Decimal():
            return "number"
        case datetime():
            return "time"
        case date():
            return "date"
        case _:
            return "text"


class Options(StepOptions):
    """Make each record anew: the result has the columns named here, in this order, and no others unless ``rest: keep``.

    A column comes from an expression (a name alone is one), or from a table of values. An expression that raises makes
    its row a row error.
    """

    type: Literal["map"]
    columns: dict[str, Choice | str | int | float | Decimal | bool] = Field(
        min_length=1, description="New column to expression, or to {from, values, else, nulls}."
    )
    rest: Literal["drop", "keep"] = Field(default="drop", description="What becomes of the columns not named as new.")

    @model_validator(mode="after")
    def _one_fallback(self) -> Options:
        for name, choice in self.columns.items():
            if isinstance(choice, Choice) and choice.keep and choice.else_ is not None:
                raise ValueError(f"{name} has both else and keep")
        return self


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One projection; every expression reads the columns as they came in."""
    distinct(options.columns)
    new = {name.lower() for name in options.columns}
    values: list[tuple[str, exp.Expr]] = []
    if options.rest == "keep":
        values = [(name, column(name)) for name in step.names if name.lower() not in new]
    flags = []
    for name, wanted in options.columns.items():
        if isinstance(wanted, Choice):
            values.append((name, _chosen(name, wanted, step)))
            continue
        parsed = step.expression(str(wanted))
        if can_fail(parsed, step.columns):
            message, computed = f"{name} can be computed: {wanted}", attempt(parsed)
            flags.append(Flag(f"map {name}", failed(parsed), (name,), message, there(computed)))
            parsed = computed
        values.append((name, parsed))
    return [Project(tuple(values), tuple(flags))]


def _chosen(name: str, choice: Choice, step: StepInput) -> exp.Expr:
    source = step.resolve(choice.from_)
    type_ = parse_type(step.type_of(source))
    fallback = column(source) if choice.keep else _value(choice.else_)
    if choice.keep:
        _require_same(name, type_, [*choice.values.values(), choice.nulls])
    nothing = exp.Is(this=column(source), expression=exp.null())
    case = exp.Case().when(nothing, _value(choice.nulls))
    refuse_in_value(list(choice.values))
    for value, meaning in choice.values.items():
        case = case.when(equals(source, type_, _typed(value, type_)), _value(meaning))
    return case.else_(fallback)


def _typed(text: str, type_: SqlType) -> Any:
    """The keys of a mapping are texts in YAML's reading; true and false stand for a boolean."""
    if type_.family == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text


def _value(value: Value | None) -> exp.Expr:
    refuse_in_value(value)
    return sqlglot.parse_one(literal(value), dialect="duckdb")


def _require_same(name: str, type_: SqlType, values: list[Value | None]) -> None:
    for value in values:
        if value is not None and matching(name, type_, value) is None:
            raise FatalError(
                Code.PLAN_INVALID,
                f"{value!r} is not a value of {name}, which is {type_.name} where keep leaves it as it is",
                operation="plan",
                object=name,
                hint="say else instead of keep, or cast the column first",
            )
