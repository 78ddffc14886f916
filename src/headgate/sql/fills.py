"""Values for NULL that come from other rows: means, medians, modes, the value before or after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, assert_never

from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.sql.means import is_exact, mean, parts
from headgate.sql.ordering import directed, tie_breakers
from headgate.sql.shapes import StepInput, column
from headgate.sql.types import DIALECT, SqlType, parse_type
from headgate.sql.windows import over

Strategy = Literal["zero", "mean", "median", "mode", "forward", "backward"]
NUMBERS = ("integer", "decimal", "float")


def known_first(name: str, strategy: Strategy, group: Sequence[str], step: StepInput) -> list[exp.Expr]:
    """What a projection before must compute: how often each row's value stands in its group, or parts of a mean."""
    type_ = parse_type(step.type_of(name))
    match strategy:
        case "mode":
            return [over(exp.Count(this=column(name)), [*group, name])]
        case "mean" | "median" if is_exact(type_):
            return parts(name, strategy, type_, group)
        case _:
            return []


def filled(
    name: str,
    strategy: Strategy,
    group: Sequence[str],
    order: Sequence[str],
    step: StepInput,
    *,
    known: Sequence[str] = (),
) -> exp.Expr:
    """The column with NULLs replaced.

    Args:
        name: the column.
        strategy: where the value comes from; a mode is the most frequent value, of several the smallest.
        group: only rows with equal values of these count.
        order: for forward and backward; the other columns decide between equals.
        step: the columns.
        known: the columns that hold :func:`known_first`.

    Raises:
        FatalError: PLAN_INVALID if the strategy makes no sense for the column's type, or has no order.
    """
    here, type_ = column(name), parse_type(step.type_of(name))
    match strategy:
        case "zero":
            _require(name, strategy, type_, NUMBERS)
            value: exp.Expr = exp.Literal.number(0)
        case "mean" | "median" if known:
            count, upper, lower = known
            value = mean(count, upper, lower, type_)
        case "mean" | "median":
            _require(name, strategy, type_, NUMBERS)
            number = exp.cast(here.copy(), exp.DType.DOUBLE)
            function = exp.Avg(this=number) if strategy == "mean" else exp.Median(this=number)
            value = over(function, group)
            if type_.family != "float":
                value = exp.Round(this=value, decimals=exp.Literal.number(type_.scale))
        case "mode":
            most = [exp.Ordered(this=column(known[0]), desc=True, nulls_first=False)]
            value = over(
                exp.FirstValue(this=here.copy()), group, [*most, exp.Ordered(this=here.copy(), nulls_first=False)]
            )
        case "forward" | "backward":
            if not order:
                raise _refuse(name, f"{strategy} needs an order", "say order_by, such as order_by: day")
            said = [directed(text, step) for text in order]
            columns = [item.this.name for item in said if isinstance(item.this, exp.Column)]
            total = [*said, *tie_breakers(step, [*group, *columns])]
            nearest = exp.IgnoreNulls(
                this=(exp.LastValue if strategy == "forward" else exp.FirstValue)(this=here.copy())
            )
            value = over(nearest, group, total, (None, 0) if strategy == "forward" else (0, None))
        case _:
            assert_never(strategy)
    typed = exp.Cast(this=value, to=exp.DataType.build(type_.name, dialect=DIALECT))
    return exp.func("COALESCE", here, typed)


def _require(name: str, strategy: str, type_: SqlType, families: Sequence[str]) -> None:
    if type_.family not in families:
        raise _refuse(
            name,
            f"{strategy} is a number, but {name} is {type_.name}",
            "convert the column, or choose mode, forward, backward or a value",
        )


def _refuse(name: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.PLAN_INVALID, why, operation="plan", object=name, hint=hint)
