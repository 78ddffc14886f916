"""Aggregates by the short names that people use for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from headgate.core.errors import Code, FatalError, nearest
from headgate.sql.expressions import is_aggregate
from headgate.sql.shapes import StepInput

FUNCTIONS = {
    "sum": "SUM({})", "avg": "AVG({})", "mean": "AVG({})", "count": "COUNT({})", "min": "MIN({})", "max": "MAX({})",
    "median": "MEDIAN({})", "nunique": "COUNT(DISTINCT {})", "count_distinct": "COUNT(DISTINCT {})",
    "std": "STDDEV_SAMP({})", "stddev": "STDDEV_SAMP({})", "var": "VAR_SAMP({})", "variance": "VAR_SAMP({})",
    "std_pop": "STDDEV_POP({})", "var_pop": "VAR_POP({})", "first": "FIRST({})", "last": "LAST({})",
    "size": "COUNT(*)", "any": "BOOL_OR({})", "all": "BOOL_AND({})", "product": "PRODUCT({})",
    "list": "LIST({})", "skew": "SKEWNESS({})", "kurtosis": "KURTOSIS({})",
}  # fmt: skip
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_NEED_ORDER: tuple[type[exp.Expr], ...] = (exp.First, exp.Last, exp.ArrayAgg, exp.GroupConcat)


def metric_text(function: str, name: str) -> str:
    """The aggregate expression of a short name, such as ``SUM("x")`` of sum and ``QUANTILE_CONT("x", 0.95)`` of p95.

    Raises:
        FatalError: PLAN_INVALID, with the nearest known name.
    """
    quoted = "*" if name == "*" else '"' + name.replace('"', '""') + '"'
    known = FUNCTIONS.get(function.lower())
    if known is not None:
        return known.format(quoted)
    percentile = _PERCENTILE.fullmatch(function.lower())
    if percentile:
        return f"QUANTILE_CONT({quoted}, {float(percentile[1]) / 100!r})"
    raise FatalError(
        Code.PLAN_INVALID,
        f'"{function}" is not an aggregate here',
        operation="plan",
        object=name,
        hint=nearest(function, FUNCTIONS) or f"known: {', '.join(FUNCTIONS)}, and p95 and its like",
    )


def metric_of(function: str, name: str, step: StepInput) -> exp.Expr:
    """The aggregate of a short name over a column, as a checked expression."""
    text = metric_text(function, name)
    expression = step.expression(text, aggregates=True)
    refuse_unordered(expression, text, name)
    return expression


def ordered(expression: exp.Expr, order: Sequence[exp.Expr]) -> exp.Expr:
    """A copy in which aggregates that depend on the order of rows, and say none, take ``order``; equals by value."""

    def with_order(node: exp.Expr) -> exp.Expr:
        if isinstance(node, _NEED_ORDER) and not node.find(exp.Order):
            value = node.this
            total = [*(item.copy() for item in order), exp.Ordered(this=value.copy(), nulls_first=False)]
            node.set("this", exp.Order(this=value.copy(), expressions=total))
        return node

    return expression.copy().transform(with_order) if order else expression


def refuse_unordered(expression: exp.Expr, text: str, name: str) -> None:
    """Refuse what depends on the order of the rows without saying it.

    Raises:
        FatalError: PLAN_INVALID.
    """
    for node in expression.find_all(*_NEED_ORDER):
        if not node.find(exp.Order):
            raise FatalError(
                Code.PLAN_INVALID,
                f"{text} depends on the order of the rows, which is not fixed",
                operation="plan",
                object=name,
                hint="say order_by at the step, or inside: AGGREGATE(x ORDER BY y)",
            )


def outside_aggregates(expression: exp.Expr) -> list[str]:
    """Names of the columns that an expression reads outside of its aggregates."""
    return [found.name for found in expression.find_all(exp.Column) if not inside_aggregate(found)]


def inside_aggregate(node: exp.Expr) -> bool:
    """Whether a node stands in the arguments of an aggregate."""
    above = node.parent
    while above is not None:
        if is_aggregate(above) or isinstance(above, exp.Filter | exp.WithinGroup):
            return True
        above = above.parent
    return False
