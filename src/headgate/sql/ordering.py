"""Total orders: which of several rows stays must not depend on how they were read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.sql.failures import can_fail
from headgate.sql.shapes import Deduplicate, StepInput, column


def deduplicated(
    keys: Sequence[str], order_by: Sequence[str], keep: Literal["first", "last"], step: StepInput
) -> Deduplicate:
    """One row for each value of ``keys``: the first or last by ``order_by``, ties decided by the other columns.

    NULLs in the order come last either way: such a row stays only if there is no other.

    Raises:
        FatalError: PLAN_INVALID without any order, or for unknown columns.
    """
    names = tuple(step.resolve(key) for key in keys)
    wanted = list(order_by) or ([step.cursor] if step.cursor else [])
    rest = [name for name in step.names if name not in names]
    if not wanted and rest:
        raise FatalError(
            Code.PLAN_INVALID,
            "deduplication needs an order to say which row stays",
            operation="plan",
            object=", ".join(names),
            hint="say order_by, such as order_by: updated_at; an incremental source gives its cursor",
        )
    order = [directed(text, step, last=keep == "last") for text in wanted]
    ties = [exp.Ordered(this=column(name), desc=keep == "last", nulls_first=False) for name in rest]
    # Rows that are equal in every column need no order, but the window does.
    return Deduplicate(names, (*order, *ties) or (exp.Ordered(this=column(names[0]), nulls_first=False),))


def tie_breakers(step: StepInput, without: Sequence[str] = ()) -> list[exp.Expr]:
    """Every other column in turn, so that an order is total but for rows that are equal in every column."""
    named = {name.lower() for name in without}
    return [exp.Ordered(this=column(name), nulls_first=False) for name in step.names if name.lower() not in named]


def directed(text: str, step: StepInput, *, last: bool = False) -> exp.Expr:
    """``text`` is a column or an expression, with ASC or DESC if wanted; ``last`` turns the direction round.

    A column's name is that column however it is spelt, also where it would be another expression: 2024 or unit price.
    NULLs come last.
    """
    if named := _column(text, step):
        return exp.Ordered(this=named, desc=last, nulls_first=False)
    body, descending = _split(text)
    expression = _column(body, step) or step.expression(body)
    if expression.find(exp.Column) is None:
        raise _refuse(text, "it is the same for every row, so it orders nothing", "order by a column")
    if can_fail(expression, step.columns):
        hint = "order by a column, or calculate the expression in a step before"
        raise _refuse(text, "an order must be computable for every row", hint)
    return exp.Ordered(this=expression, desc=descending != last, nulls_first=False)


def _column(text: str, step: StepInput) -> exp.Expr | None:
    wanted = text.strip().lower()
    return next((column(name) for name in step.names if name.lower() == wanted), None)


def _split(text: str) -> tuple[str, bool]:
    words = text.rsplit(None, 1)
    if len(words) == 2 and words[1].upper() in ("ASC", "DESC"):
        return words[0], words[1].upper() == "DESC"
    return text, False


def _refuse(text: str, message: str, hint: str) -> FatalError:
    return FatalError(Code.PLAN_INVALID, message, operation="plan", object=text, hint=hint)
