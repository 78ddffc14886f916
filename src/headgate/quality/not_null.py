"""``not_null``: columns that every row must have."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from sqlglot import exp

from headgate.core.models import Names, RuleOptions
from headgate.sql.shapes import RowRule, StepInput, column


class Options(RuleOptions):
    """No row has NULL in one of the columns. Zero, empty text and NaN are values."""

    type: Literal["not_null"]
    columns: Names = Field(description="Columns that must have a value.")


def shapes(options: Options, step: StepInput) -> RowRule:
    """One predicate over all the columns."""
    names = list(dict.fromkeys(step.resolve(name) for name in options.columns))
    present = [exp.Not(this=exp.Is(this=column(name), expression=exp.null())) for name in names]
    return RowRule(exp.and_(*present), ", ".join(names) + (" is not null" if len(names) == 1 else " are not null"))
