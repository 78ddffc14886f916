"""``expression``: any condition about a row."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headgate.core.models import RuleOptions
from headgate.sql.conditions import holds
from headgate.sql.shapes import RowRule, StepInput


class Options(RuleOptions):
    """The condition is not false. NULL passes; a row for which it cannot be computed does not."""

    type: Literal["expression"]
    condition: str = Field(description="A SQL condition, such as quantity <= 10000.")


def shapes(options: Options, step: StepInput) -> RowRule:
    """The condition, safe for every row."""
    return RowRule(holds(step.condition(options.condition), step.columns), options.description or options.condition)
