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
    """``text`` is an expression, with ASC or DESC if wanted; ``last`` turns the direction round. NULLs come last."""
    body, descending = _split(text)
    expression = step.expression(body)
    if can_fail(expression, step.columns):
        raise FatalError(
            Code.PLAN_INVALID,
            "an order must be computable for every row",
            operation="plan",
            object=text,
            hint="order by a column, or calculate the expression in a step before",
        )
    return exp.Ordered(this=expression, desc=descending != last, nulls_first=False)


def _split(text: str) -> tuple[str, bool]:
    words = text.rsplit(None, 1)
    if len(words) == 2 and words[1].upper() in ("ASC", "DESC"):
        return words[0], words[1].upper() == "DESC"
    return text, False
