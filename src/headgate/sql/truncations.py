"""Times that are cut to hours or less: a date has none, and the engine compares what it makes of one wrongly."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from headgate.core.engines import Column
from headgate.sql.types import parse_type

_DAYS = {"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}


def of_moments(expression: exp.Expr, columns: Sequence[Column]) -> exp.Expr:
    """The expression, in which dates are moments where they are cut to less than days, in place.

    DuckDB 2.0.1 takes ``DATE_TRUNC('hour', day) = '2024-02-29'`` for a range of dates that holds none.
    """
    dates = {item.name.lower() for item in columns if item.type and parse_type(item.type).family == "date"}
    for node in list(expression.find_all(exp.DateTrunc, exp.TimestampTrunc)):
        unit = node.args.get("unit")
        shorter = unit is None or unit.name.upper() not in _DAYS
        if shorter and isinstance(node.this, exp.Column) and node.this.name.lower() in dates:
            node.this.replace(exp.cast(node.this.copy(), exp.DType.TIMESTAMP))
    return expression
