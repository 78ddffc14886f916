"""``regex``: texts of a pattern."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import RuleOptions
from headgate.sql.conditions import type_of
from headgate.sql.patterns import checked_pattern
from headgate.sql.shapes import RowRule, StepInput, column


class Options(RuleOptions):
    """The whole text matches a regular expression (RE2: no look-around, no back-references). NULL passes."""

    type: Literal["regex"]
    column: str = Field(description="A text column.")
    pattern: str = Field(description="What the whole text must match.")

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        return checked_pattern(pattern)


def shapes(options: Options, step: StepInput) -> RowRule:
    """One full match."""
    name = step.resolve(options.column)
    type_ = type_of(name, step)
    if type_.family != "text":
        raise FatalError(
            Code.PLAN_INVALID,
            f"a pattern is about text, but {name} is {type_.name}",
            operation="plan",
            object=name,
            hint="use range or expression, or cast the column first",
        )
    holds = exp.Anonymous(this="REGEXP_FULL_MATCH", expressions=[column(name), exp.Literal.string(options.pattern)])
    return RowRule(holds, f"{name} matches {options.pattern}")
