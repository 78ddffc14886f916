"""Windows as syntax trees: functions of many rows whose value stands in each of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from headgate.sql.expressions import is_aggregate
from headgate.sql.functions import WINDOWS
from headgate.sql.shapes import column

Frame = tuple[int | None, int | None]
"""First and last row, counted from the row itself; None: to the end of the group."""
WHOLE: Frame = (None, None)
RUNNING: Frame = (None, 0)
_AROUND = (exp.IgnoreNulls, exp.RespectNulls, exp.Filter, exp.WithinGroup)


def over(
    function: exp.Expr, group: Sequence[str] = (), order: Sequence[exp.Expr] = (), rows: Frame | None = None
) -> exp.Expr:
    """``function OVER (PARTITION BY group ORDER BY order ROWS …)``."""
    window = exp.Window(this=function.copy(), partition_by=[column(name) for name in group], over="OVER")
    if order:
        window.set("order", exp.Order(expressions=[item.copy() for item in order]))
    if rows is not None:
        window.set("spec", _spec(rows))
    return window


def window_name(node: exp.Expr) -> str | None:
    """The name of a window function or aggregate that ``node`` calls; None if it calls none."""
    if isinstance(node, exp.Anonymous):
        name = node.name.upper()
        return name if name in WINDOWS or is_aggregate(node) else None
    if not isinstance(node, exp.Func):
        return None
    found = {name.upper() for name in node.sql_names()} & WINDOWS
    if found:
        return min(found)
    return node.sql_name() if is_aggregate(node) else None


def call_of(node: exp.Expr) -> exp.Expr:
    """The call with what belongs to it: IGNORE NULLS, FILTER."""
    while isinstance(node.parent, _AROUND) and node.arg_key == "this":
        node = node.parent
    return node


def _spec(rows: Frame) -> exp.Expr:
    start, start_side = _edge(rows[0], "PRECEDING")
    end, end_side = _edge(rows[1], "FOLLOWING")
    return exp.WindowSpec(kind="ROWS", start=start, start_side=start_side, end=end, end_side=end_side)


def _edge(offset: int | None, side: str) -> tuple[str | exp.Expr, str | None]:
    if offset is None:
        return "UNBOUNDED", side
    if offset == 0:
        return "CURRENT ROW", None
    return exp.Literal.number(abs(offset)), "PRECEDING" if offset < 0 else "FOLLOWING"
