"""``freshness``: the newest row is not too old."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Duration, RuleOptions
from headgate.sql.conditions import type_of
from headgate.sql.shapes import Judgement, Measure, Measured, StepInput, column


class Options(RuleOptions):
    """The newest value of a column is not older than this when the run begins; one in the future is told, and passes.
    Without values it fails."""

    type: Literal["freshness"]
    column: str = Field(description="A date or timestamp; times without a zone are taken as UTC.")
    max_age: Duration = Field(gt=timedelta(0), description="How old the newest row may be, such as 24h.")

    @model_validator(mode="after")
    def _about_all(self) -> Options:
        self.refuse_max_failed("max_age is its limit")
        if self.on_fail == "quarantine":
            raise ValueError("freshness is about all rows, and cannot hold single rows back; use date_range for that")
        return self


def shapes(options: Options, step: StepInput) -> Measure:
    """One maximum."""
    name = step.resolve(options.column)
    type_ = type_of(name, step)
    if type_.family not in ("date", "timestamp", "timestamptz"):
        raise FatalError(
            Code.PLAN_INVALID,
            f"freshness is about dates and times, but {name} is {type_.name}",
            operation="plan",
            object=name,
            hint="cast the column first",
        )
    return Measure((name,), f"the newest {name} not older than {_words(options.max_age)}", delivery=True)


def values(options: Options, step: StepInput, past: object) -> tuple[exp.Expr, ...]:  # noqa: ARG001 - of measures
    """The newest value; for one that Python lacks (infinity, years before 1 or beyond 9999) its first or last day."""
    name = step.resolve(options.column)
    newest = exp.Max(this=column(name))
    kind = exp.DataType.build(step.type_of(name), dialect="duckdb")
    first, last = (exp.cast(exp.Literal.string(day), kind) for day in ("0001-01-02", "9999-12-30"))
    return (exp.Case().when(newest < first, first).when(newest > last, last).else_(newest.copy()),)


def verdict(options: Options, measured: Measured) -> Judgement:
    """Compare with the time at which the run began; a day is as fresh as its end."""
    newest = _moment(measured.values[0])
    if newest is None:
        return Judgement(1, "no value", score=0.0)
    if newest > measured.now and not _is_today(measured):
        return Judgement(0, f"{measured.values[0]}, in the future", score=1.0)
    age = max(measured.now - newest, timedelta(0))
    score = 1.0 if age <= options.max_age else options.max_age / age
    return Judgement(int(age > options.max_age), f"{measured.values[0]}, {_words(age)} old", score=score)


def _moment(value: Any) -> datetime | None:
    match value:
        case datetime():
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        case date() if value < date.max:
            return datetime.combine(value + timedelta(days=1), time(), UTC)
        case date():
            return datetime.max.replace(tzinfo=UTC)
        case _:
            return None


def _is_today(measured: Measured) -> bool:
    """Whether the newest value is the day on which the run began, whose end is still to come."""
    newest = measured.values[0]
    return not isinstance(newest, datetime) and newest == measured.now.date()


def _words(age: timedelta) -> str:
    seconds = round(age.total_seconds())
    for size, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            number = seconds / size
            return f"{number:.0f}{name}" if number >= 100 else f"{number:.3g}{name}"
    return f"{seconds}s"
