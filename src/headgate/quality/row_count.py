"""``row_count``: how many rows there may be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from headgate.core.models import RuleOptions, Tolerance, tolerance
from headgate.sql.shapes import Judgement, Measure, Measured, StepInput


class Options(RuleOptions):
    """The number of good rows lies between the bounds, which pass themselves, or equals a number."""

    type: Literal["row_count"]
    min: int | None = Field(default=None, ge=0, description="At least so many rows.")
    max: int | None = Field(default=None, ge=0, description="At most so many rows.")
    equals: int | None = Field(default=None, ge=0, description="Exactly so many rows, give or take tolerance.")
    allowed_difference: int | str | None = Field(
        default=None, description="How far from equals the number may be: rows (10) or a share of equals (1%)."
    )

    @model_validator(mode="after")
    def _bounded(self) -> Options:
        if self.min is None and self.max is None and self.equals is None:
            raise ValueError("row_count needs min, max or equals")
        if self.equals is not None and (self.min is not None or self.max is not None):
            raise ValueError("equals says everything: drop min and max, or equals")
        if self.equals is None and self.allowed_difference is not None:
            raise ValueError("allowed_difference is about equals")
        if self.allowed_difference is not None:
            tolerance(self.allowed_difference)
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}, so no run could pass")
        self.refuse_max_failed("say it with min, max or allowed_difference")
        if self.on_fail == "quarantine":
            raise ValueError("a count of rows cannot hold single rows back; use fail, warn or record")
        return self


def shapes(options: Options, step: StepInput) -> Measure:  # noqa: ARG001 - the signature of every rule
    """The count of rows is known when they have passed."""
    return Measure((), _message(options), delivery=True)


def values(options: Options, step: StepInput, past: object) -> tuple[()]:  # noqa: ARG001 - the signature of measures
    """Nothing but the count."""
    return ()


def verdict(options: Options, measured: Measured) -> Judgement:
    """Compare the count."""
    rows = measured.rows
    if options.equals is not None:
        allowed = Tolerance(rows=0)
        if options.allowed_difference is not None:
            allowed = tolerance(options.allowed_difference)
        holds = allowed.allows(abs(rows - options.equals), options.equals)
    else:
        holds = (options.min is None or rows >= options.min) and (options.max is None or rows <= options.max)
    return Judgement(int(not holds), f"{rows} rows")


def _message(options: Options) -> str:
    if options.equals is not None:
        more = f", give or take {tolerance(options.allowed_difference)}" if options.allowed_difference else ""
        return f"exactly {options.equals} rows{more}"
    if options.max is None:
        return f"at least {options.min} rows"
    if options.min is None:
        return f"at most {options.max} rows"
    return f"between {options.min} and {options.max} rows"
