"""``completeness``: how much of a column must be there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from headgate.core.models import Names, RuleOptions
from headgate.sql.shapes import Judgement, Measure, Measured, StepInput


class Options(RuleOptions):
    """In each column at least a share of the rows has a value. No rows are complete: nothing is missing."""

    type: Literal["completeness"]
    columns: Names = Field(description="Columns that must be filled.")
    threshold: float = Field(default=0.95, ge=0, le=1, description="The share that must have a value, such as 0.95.")

    @model_validator(mode="after")
    def _about_all(self) -> Options:
        self.refuse_max_failed("threshold says how many values may be missing")
        if self.on_fail == "quarantine":
            raise ValueError("a share of rows cannot hold single rows back; use not_null for that")
        return self


def shapes(options: Options, step: StepInput) -> Measure:
    """NULLs are counted while the rows pass."""
    names = tuple(dict.fromkeys(step.resolve(name) for name in options.columns))
    return Measure((), f"{', '.join(names)} filled to {options.threshold:.15g}", nulls=names)


def values(options: Options, step: StepInput, past: object) -> tuple[()]:  # noqa: ARG001 - the signature of measures
    """Nothing but the counts of NULLs."""
    return ()


def verdict(options: Options, measured: Measured) -> Judgement:
    """The rows that are missing in columns which are not filled enough."""
    lowered = {name.lower(): count for name, count in measured.nulls.items()}
    shares = {name: _share(lowered.get(name.lower(), 0), measured.rows) for name in dict.fromkeys(options.columns)}
    broken = tuple(name for name, share in shares.items() if share < options.threshold)
    missing = [lowered.get(name.lower(), 0) for name in broken]
    observed = ", ".join(f"{name} {_told(share, options.threshold)}" for name, share in shares.items())
    return Judgement(max(missing, default=0), observed, score=min(shares.values()), missing=broken)


def _share(nulls: int, rows: int) -> float:
    return (rows - nulls) / rows if rows else 1.0


def _told(share: float, threshold: float) -> str:
    """Four digits, or as many as show on which side of the threshold it is: 0.99999 is not 1."""
    texts = (f"{share:.{digits}g}" for digits in range(4, 17))
    return next((text for text in texts if (float(text) < threshold) == (share < threshold)), repr(share))
