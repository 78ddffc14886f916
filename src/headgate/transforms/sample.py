"""``sample``: some of the rows, the same ones at every run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.models import Names, StepOptions
from headgate.sql.digests import number_of
from headgate.sql.naming import distinct
from headgate.sql.ordering import tie_breakers
from headgate.sql.shapes import Deduplicate, Drop, Shape, StepInput

_WHOLE = 2**64


class Options(StepOptions):
    """Keep a share of the rows, or so many; the others count as filtered.

    Which rows stay follows from their values (or those of ``keys``) and the seed alone, so runs, batches and threads
    give the same ones, and rows with equal values stay or leave together under ``fraction``.
    """

    type: Literal["sample"]
    fraction: float | None = Field(default=None, gt=0, le=1, description="The share to keep, such as 0.01.")
    n: int | None = Field(default=None, ge=0, description="Instead of a share: how many rows to keep.")
    keys: Names | None = Field(
        default=None,
        description="Columns that decide: rows with equal keys stay or leave together; default all columns.",
    )
    by: Names | None = Field(default=None, description="With n: so many rows of each of these groups.")
    seed: int = Field(default=0, description="Another seed gives other rows.")

    @model_validator(mode="after")
    def _one_size(self) -> Options:
        if (self.fraction is None) == (self.n is None):
            raise ValueError("a sample needs either fraction or n")
        if self.by is not None and self.n is None:
            raise ValueError("by goes with n; a fraction of all rows is one of each group, nearly")
        return self


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """A drop by a number that is made of the row's values; with ``n`` the rows with the lowest numbers stay."""
    keys = [step.resolve(name) for name in options.keys or step.names]
    distinct(keys)
    number = number_of(keys, str(options.seed), step)
    if options.fraction is not None:
        if options.fraction == 1:
            return []
        limit = exp.Literal.number(int(options.fraction * _WHOLE))
        return [Drop(exp.LT(this=number, expression=limit))]
    groups = tuple(step.resolve(name) for name in options.by or ())
    distinct(groups)
    order = (exp.Ordered(this=number, nulls_first=False), *tie_breakers(step, groups))
    return [Deduplicate(groups, order, options.n or 0, "filtered")]
