"""``deduplicate``: one row for each key."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headgate.core.models import Names, StepOptions
from headgate.sql.naming import distinct
from headgate.sql.ordering import deduplicated
from headgate.sql.shapes import Shape, StepInput


class Options(StepOptions):
    """Keep one row for each value of the keys (NULLs are equal here). The order is total, so the result is stable."""

    type: Literal["deduplicate"]
    keys: Names = Field(description="Columns that identify a row.")
    order_by: Names | None = Field(
        default=None,
        description="Columns or expressions, each with DESC if wanted; default the cursor. Other columns break ties.",
    )
    keep: Literal["last", "first"] = Field(default="last", description="Which row in that order stays.")


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """The other rows leave as deduplicated."""
    distinct(step.resolve(key) for key in options.keys)
    return [deduplicated(options.keys, options.order_by or (), options.keep, step)]
