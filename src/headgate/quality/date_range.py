"""``date_range``: dates and times between two moments, which may move with the run."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Duration, RuleOptions
from headgate.sql.bounds import bounded
from headgate.sql.conditions import type_of
from headgate.sql.orders import refuse_empty
from headgate.sql.shapes import RowRule, StepInput, column

Moment = datetime | date | str
_TEMPORAL = ("date", "timestamp", "timestamptz")


class Options(RuleOptions):
    """Dates lie between the bounds, which pass themselves; ``now`` is when the rows are read. NULL passes."""

    type: Literal["date_range"]
    column: str = Field(description="A date or timestamp.")
    min: Moment | None = Field(default=None, description="The first that passes: a date, a time, or now.")
    max: Moment | None = Field(default=None, description="The last that passes: a date, a time, or now.")
    slack: Duration = Field(
        default=timedelta(0), ge=timedelta(0), description="How far beyond now a value may lie, such as 5m."
    )

    @model_validator(mode="after")
    def _bounded(self) -> Options:
        if self.min is None and self.max is None:
            raise ValueError("a date_range needs min or max")
        refuse_empty(("min", "max"), self.min, self.max)
        if self.slack and not (_is_now(self.min) or _is_now(self.max)):
            raise ValueError("slack is how far beyond now a value may lie, and neither min nor max is now")
        return self


def shapes(options: Options, step: StepInput) -> RowRule:
    """Fixed bounds are compared in the column's own type; now is the engine's, in UTC."""
    name = step.resolve(options.column)
    type_ = type_of(name, step)
    if type_.family not in _TEMPORAL:
        raise FatalError(
            Code.PLAN_INVALID,
            f"a date_range is about dates and times, but {name} is {type_.name}",
            operation="plan",
            object=name,
            hint="cast the column first, or use format with date_format for dates in text",
        )
    low, high = _fixed(options.min), _fixed(options.max)
    parts = [bounded(column(name), name, type_, low, high)] if low is not None or high is not None else []
    slack = options.slack.total_seconds()
    if _is_now(options.min):
        parts.append(exp.GTE(this=column(name), expression=_now(type_.family, -slack)))
    if _is_now(options.max):
        parts.append(exp.LTE(this=column(name), expression=_now(type_.family, slack)))
    return RowRule(exp.and_(*parts), _message(name, options))


def _is_now(value: Moment | None) -> bool:
    return isinstance(value, str) and value.strip().lower() in ("now", "today")


def _fixed(value: Moment | None) -> Moment | None:
    return None if _is_now(value) else value


def _now(family: str, slack: float) -> exp.Expr:
    """The moment of the statement in the column's type; the engine's zone is UTC."""
    moved: exp.Expr = exp.CurrentTimestamp()
    if slack:
        moved = exp.Add(this=moved, expression=exp.Anonymous(this="TO_SECONDS", expressions=[exp.convert(slack)]))
    match family:
        case "date":
            return exp.cast(moved, "DATE")
        case "timestamp":
            return exp.cast(moved, "TIMESTAMP")
        case _:
            return moved


def _message(name: str, options: Options) -> str:
    if options.max is None:
        return f"{name} from {options.min} on"
    if options.min is None:
        return f"{name} until {options.max}"
    return f"{name} between {options.min} and {options.max}"
