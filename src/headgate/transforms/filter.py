"""``filter``: keep the rows for which a condition is true."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import StepOptions
from headgate.sql.bounds import bounded
from headgate.sql.conditions import above, among, below, equals, keep, type_of
from headgate.sql.patterns import checked_pattern
from headgate.sql.shapes import Shape, StepInput, column
from headgate.sql.templates import refuse_in_value

Operator = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "between", "not_between", "like", "not_like", "ilike",
    "contains", "not_contains", "starts_with", "ends_with", "matches", "is_null", "not_null",
]  # fmt: skip
_WITHOUT_VALUE = ("is_null", "not_null")
_WITH_LIST = ("in", "not_in", "between", "not_between")


class Options(StepOptions):
    """Keep rows for which the condition is true; where it is false or NULL they are counted as filtered."""

    type: Literal["filter"]
    condition: str | None = Field(default=None, description="A SQL condition, such as total > 0.")
    field: str | None = Field(default=None, description="Instead of a condition: the column to compare.")
    operator: Operator | None = Field(
        default=None, description="How to compare it; matches is about the whole text (RE2), as like is."
    )
    value: Any = Field(default=None, description="What to compare it with; a list for in, not_in and between.")

    @model_validator(mode="after")
    def _one_form(self) -> Options:
        if (self.condition is None) == (self.field is None):
            raise ValueError("a filter needs either a condition, or field, operator and value")
        if self.condition is not None and (self.operator is not None or self.value is not None):
            raise ValueError("operator and value go with field, not with condition")
        if self.field is not None:
            self._check_operator()
        return self

    def _check_operator(self) -> None:
        if self.operator is None:
            raise ValueError("field needs an operator")
        if self.operator in _WITHOUT_VALUE and self.value is not None:
            raise ValueError(f"{self.operator} takes no value")
        if self.operator not in _WITHOUT_VALUE and self.value is None:
            raise ValueError(f"{self.operator} needs a value; for NULL there are is_null and not_null")
        if (self.operator in _WITH_LIST) != isinstance(self.value, list | tuple):
            raise ValueError(f"{self.operator} takes " + ("a list" if self.operator in _WITH_LIST else "one value"))
        if self.operator in ("between", "not_between") and len(self.value) != 2:
            raise ValueError(f"{self.operator} takes the lowest and the highest value, both inside")
        if self.operator == "matches":
            checked_pattern(str(self.value))


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """Rows leave as filtered; a condition that raises for a row makes it a row error."""
    if options.condition is not None:
        return keep(step.condition(options.condition), options.condition, step)
    assert options.field is not None
    assert options.operator is not None
    name = step.resolve(options.field)
    return keep(_comparison(name, options.operator, options.value, step), f"{name} {options.operator}", step)


def _comparison(name: str, operator: Operator, value: Any, step: StepInput) -> exp.Expr:  # noqa: C901 - one branch an operator
    here, type_ = column(name), type_of(name, step)
    refuse_in_value(value)
    match operator:
        case "is_null":
            return exp.Is(this=here, expression=exp.null())
        case "not_null":
            return exp.Not(this=exp.Is(this=here, expression=exp.null()))
        case "eq":
            return equals(name, type_, value)
        case "ne":
            return exp.Not(this=exp.paren(equals(name, type_, value)))
        case "in":
            return among(name, type_, value)
        case "not_in":
            return exp.Not(this=exp.paren(among(name, type_, value)))
        case "gte":
            return bounded(here, name, type_, value, None)
        case "lte":
            return bounded(here, name, type_, None, value)
        case "gt":
            return above(name, type_, value)
        case "lt":
            return below(name, type_, value)
        case "between":
            return bounded(here, name, type_, value[0], value[1])
        case "not_between":
            return exp.Not(this=exp.paren(bounded(here, name, type_, value[0], value[1])))
        case _:
            if type_.family != "text" or not isinstance(value, str):
                raise _not_text(name, operator, type_.name)
            return _text(here, operator, exp.Literal.string(value))


def _text(here: exp.Expr, operator: Operator, text: exp.Expr) -> exp.Expr:
    match operator:
        case "like":
            return exp.Like(this=here, expression=text)
        case "not_like":
            return exp.Not(this=exp.Like(this=here, expression=text))
        case "ilike":
            return exp.ILike(this=here, expression=text)
        case "not_contains":
            return exp.Not(this=exp.Anonymous(this="CONTAINS", expressions=[here, text]))
        case "contains" | "starts_with" | "ends_with":
            return exp.Anonymous(this=operator.upper(), expressions=[here, text])
        case "matches":
            return exp.Anonymous(this="REGEXP_FULL_MATCH", expressions=[here, text])
        case _:
            raise AssertionError(f"{operator} is not about text")


def _not_text(name: str, operator: str, type_name: str) -> FatalError:
    return FatalError(
        Code.PLAN_INVALID,
        f"{operator} compares text with text, but {name} is {type_name}, or the value is not text",
        operation="plan",
        object=name,
        hint="quote the pattern, or cast the column first",
    )
