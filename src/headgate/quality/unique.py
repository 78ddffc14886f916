"""``unique``: no two rows share a key."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.models import Names, RuleOptions
from headgate.sql.shapes import ALIVE, RowRule, RuleShape, SetRule, StepInput, TableRule, column


class Options(RuleOptions):
    """The columns together occur once. A row with NULL in one of them is not compared."""

    type: Literal["unique"]
    columns: Names = Field(description="Columns that together identify a row.")
    scope: Literal["run", "table"] = Field(
        default="run", description="run: among this run's rows; table: in the target as it will be."
    )

    @model_validator(mode="after")
    def _fits_the_table(self) -> Options:
        if self.scope == "table" and self.on_fail == "quarantine":
            raise ValueError("scope: table is known only after the merge, so it cannot quarantine rows")
        return self


def shapes(options: Options, step: StepInput) -> RuleShape:
    """By scope and action: over the target, over single rows (all members of a group are held), or over the set."""
    names = tuple(dict.fromkeys(step.resolve(name) for name in options.columns))
    message = ", ".join(names) + (" is unique" if len(names) == 1 else " are unique together")
    if options.scope == "table":
        return TableRule(names, message)
    if options.action == "quarantine":
        return RowRule(_alone(names), message)
    return SetRule(names, _repeated(names), message, _offending(names), exact=True, once=True)


def _alone(names: tuple[str, ...]) -> exp.Expr:
    """No other row that is still good has these keys."""
    missing = [exp.Is(this=column(name), expression=exp.null()) for name in names]
    window = exp.Window(
        this=exp.Count(this=exp.Star()), partition_by=[exp.column(ALIVE), *(column(name) for name in names)]
    )
    return exp.or_(*missing, exp.EQ(this=window, expression=exp.Literal.number(1)))


def _offending(names: tuple[str, ...]) -> exp.Expr:
    """The repeated keys, the smallest first."""
    keys = [column(name) for name in names]
    return _groups(names, keys).order_by(*(key.copy() for key in keys))


def _groups(names: tuple[str, ...], selected: list[exp.Expr]) -> exp.Select:
    return (
        exp.select(*selected)
        .from_("input")
        .where(*(exp.Not(this=exp.Is(this=column(name), expression=exp.null())) for name in names))
        .group_by(*(column(name) for name in names))
        .having(exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1)))
    )


def _repeated(names: tuple[str, ...]) -> exp.Expr:
    groups = _groups(names, [exp.alias_(exp.Count(this=exp.Star()), "n")])
    rows = exp.cast(exp.func("COALESCE", exp.Sum(this=exp.column("n")), exp.Literal.number(0)), "BIGINT")
    observed = exp.DPipe(this=exp.cast(exp.Count(this=exp.Star()), "TEXT"), expression=exp.Literal.string(" repeated"))
    return exp.select(rows, observed).from_(groups.subquery("g"))
