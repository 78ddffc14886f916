"""``range``: values between two bounds."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from headgate.core.models import RuleOptions
from headgate.sql.bounds import bounded
from headgate.sql.conditions import type_of
from headgate.sql.orders import refuse_empty
from headgate.sql.shapes import RowRule, StepInput, column

Bound = int | float | Decimal | datetime | date | time | str


class Options(RuleOptions):
    """Values lie between the bounds, which pass themselves. NULL passes, NaN does not."""

    type: Literal["range"]
    column: str = Field(description="A number, date, time or text.")
    min: Bound | None = Field(default=None, description="The smallest value that passes; default no bound.")
    max: Bound | None = Field(default=None, description="The largest value that passes; default no bound.")

    @model_validator(mode="after")
    def _bounded(self) -> Options:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min or max")
        refuse_empty(("min", "max"), self.min, self.max)
        return self


def shapes(options: Options, step: StepInput) -> RowRule:
    """Bounds are compared in the column's own type."""
    name = step.resolve(options.column)
    holds = bounded(column(name), name, type_of(name, step), options.min, options.max)
    return RowRule(holds, _message(name, options))


def _message(name: str, options: Options) -> str:
    if options.max is None:
        return f"{name} at least {options.min}"
    if options.min is None:
        return f"{name} at most {options.max}"
    return f"{name} between {options.min} and {options.max}"
