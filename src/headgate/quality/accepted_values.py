"""``accepted_values``: values from a list."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

from pydantic import Field

from headgate.core.models import RuleOptions
from headgate.sql.conditions import among, type_of
from headgate.sql.shapes import RowRule, StepInput

Value = bool | int | float | Decimal | datetime | date | time | str | None
_SHOWN = 8


class Options(RuleOptions):
    """Values are in the list, spelled alike. NULL passes."""

    type: Literal["accepted_values"]
    column: str = Field(description="The column to look at.")
    values: tuple[Value, ...] = Field(min_length=1, description="What may stand there.")


def shapes(options: Options, step: StepInput) -> RowRule:
    """Values are compared in the column's own type."""
    name = step.resolve(options.column)
    shown = ", ".join(str(value) for value in options.values[:_SHOWN])
    more = f" and {len(options.values) - _SHOWN} more" if len(options.values) > _SHOWN else ""
    return RowRule(among(name, type_of(name, step), options.values), f"{name} is one of {shown}{more}")
