"""Medians and quantiles between two values: doubles, as means are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from headgate.core.engines import Column
from headgate.sql.truth import TypeOf
from headgate.sql.types import parse_type


def in_doubles(expression: exp.Expr, columns: Sequence[Column], type_of: TypeOf | None) -> exp.Expr:
    """The expression, in which they are computed of doubles, in place.

    The engine cuts those of decimals to the digits of their type: between 1.00 and 1.01 it finds 1.00.
    """
    values = [value for node in list(expression.find_all(exp.Median, exp.PercentileCont)) for value in _values(node)]
    for value in values:
        if _is_decimal(value, columns, type_of):
            value.replace(exp.cast(value.copy(), exp.DType.DOUBLE))
    return expression


def _values(node: exp.Expr) -> Iterator[exp.Expr]:
    """What is computed of: the argument, or what WITHIN GROUP orders by."""
    inner = node.this
    if isinstance(node.parent, exp.WithinGroup):
        yield from (item.this for item in node.parent.expression.expressions)
    elif isinstance(inner, exp.Distinct):
        yield from inner.expressions
    else:
        yield inner.this if isinstance(inner, exp.Order) else inner


def _is_decimal(value: exp.Expr, columns: Sequence[Column], type_of: TypeOf | None) -> bool:
    if isinstance(value, exp.Column):
        found = next((item.type for item in columns if item.name.lower() == value.name.lower()), "")
    else:
        found = type_of(value, columns) if type_of is not None else ""
    return bool(found) and parse_type(found).family == "decimal"
