"""``volume``: as many rows as runs usually have."""

from __future__ import annotations

from statistics import median
from typing import Literal

from pydantic import Field, model_validator

from headgate.core.models import RuleOptions
from headgate.sql.shapes import Judgement, Measure, Measured, StepInput

_NORMAL = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its standard deviation."""
_LEAST = 0.01
"""Runs that are all alike still vary by this share: a scale of zero would find every other number odd."""


class Options(RuleOptions):
    """The number of rows is within a robust z-score of the numbers of published runs before that read as much: all rows
    (first runs, ``--full-refresh``, sources that are read in full), what was new since the run before, or an interval
    about as long."""

    type: Literal["volume"]
    max_deviation: float = Field(default=3.5, gt=0, description="How many robust standard deviations it may be off.")
    runs: int = Field(default=30, ge=2, le=500, description="How many published runs to compare with.")
    min_runs: int = Field(default=5, ge=2, le=500, description="With fewer it is not evaluated, which receipts say.")

    @model_validator(mode="after")
    def _about_all(self) -> Options:
        self.refuse_max_failed("max_deviation is its limit")
        if self.on_fail == "quarantine":
            raise ValueError("a count of rows cannot hold single rows back; use fail, warn or record")
        if self.min_runs > self.runs:
            raise ValueError(f"min_runs {self.min_runs} is above runs {self.runs}, so it would never be evaluated")
        return self


def shapes(options: Options, step: StepInput) -> Measure:  # noqa: ARG001 - the signature of every rule
    """The count of rows is known when they have passed."""
    return Measure(
        (), f"a usual number of rows, within {options.max_deviation:g} deviations", remembers=True, delivery=True
    )


def values(options: Options, step: StepInput, past: object) -> tuple[()]:  # noqa: ARG001 - the signature of measures
    """Nothing but the count."""
    return ()


def verdict(options: Options, measured: Measured) -> Judgement:
    """Compare with the median of earlier published runs, which outliers among them hardly move."""
    rows, remember = measured.rows, {"rows": measured.rows}
    past = [int(one["rows"]) for one in measured.past][: options.runs]
    if len(past) < options.min_runs:
        return Judgement(
            0, f"{rows} rows; {len(past)} of {options.min_runs} earlier runs{_told(measured.reads)}", remember,
            evaluated=False,
        )  # fmt: skip
    middle = median(past)
    scale = max(_NORMAL * median(abs(one - middle) for one in past), _LEAST * middle, 1.0)
    deviation = (rows - middle) / scale
    observed = f"{rows} rows, {deviation:+.1f} deviations from " + f"{middle:.1f}".removesuffix(".0")
    return Judgement(int(abs(deviation) > options.max_deviation), observed, remember)


def _told(reads: str | float) -> str:
    """Which earlier runs count, in words."""
    match reads:
        case "everything":
            return " that read everything"
        case "news":
            return " that read what was new"
        case _:
            return " of an interval about as long"
