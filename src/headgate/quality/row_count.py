"""``row_count``: how many rows there may be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.models import RuleOptions
from headgate.sql.shapes import SetRule, StepInput


class Options(RuleOptions):
    """The number of good rows lies between the bounds, which pass themselves."""

    type: Literal["row_count"]
    min: int | None = Field(default=None, ge=0, description="At least so many rows.")
    max: int | None = Field(default=None, ge=0, description="At most so many rows.")

    @model_validator(mode="after")
    def _bounded(self) -> Options:
        if self.min is None and self.max is None:
            raise ValueError("row_count needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}, so no run could pass")
        if self.on_fail == "quarantine":
            raise ValueError("a count of rows cannot hold single rows back; use fail, warn or record")
        return self


def shapes(options: Options, step: StepInput) -> SetRule:  # noqa: ARG001 - the signature of every rule
    """Counts the rows of the step."""
    count = exp.Count(this=exp.Star())
    bounds: list[exp.Expr] = []
    if options.min is not None:
        bounds.append(exp.GTE(this=count.copy(), expression=exp.Literal.number(options.min)))
    if options.max is not None:
        bounds.append(exp.LTE(this=count.copy(), expression=exp.Literal.number(options.max)))
    failing = exp.Case().when(exp.and_(*bounds), exp.Literal.number(0)).else_(exp.Literal.number(1))
    observed = exp.DPipe(this=exp.cast(count, "TEXT"), expression=exp.Literal.string(" rows"))
    return SetRule((), exp.select(failing, observed).from_("input"), _message(options))


def _message(options: Options) -> str:
    if options.max is None:
        return f"at least {options.min} rows"
    if options.min is None:
        return f"at most {options.max} rows"
    return f"between {options.min} and {options.max} rows"
