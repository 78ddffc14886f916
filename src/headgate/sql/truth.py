"""Conditions are truth values: a number or a text would be converted row by row, which nobody meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.sql.types import parse_type

TypeOf = Callable[[exp.Expr, Sequence[Column]], str]
"""The SQL type of an expression over columns, by the engine."""


def refuse_no_condition(condition: exp.Expr, text: str, columns: Sequence[Column], type_of: TypeOf | None) -> None:
    """Raise FatalError PLAN_INVALID for ``id``, ``1`` or ``flag AND name``, where that is known to be no truth value.

    Without ``type_of`` only columns and literals are known.
    """
    for part in _asked(condition):
        type_ = _type(part, columns, type_of)
        if type_ and parse_type(type_).family != "boolean":
            shown = part.sql("duckdb").replace('"', "")
            raise FatalError(
                Code.PLAN_INVALID,
                f"{shown} is {type_}, neither true nor false",
                operation="plan",
                object=text,
                hint=f"compare it, as in {shown} IS NOT NULL, or CAST({shown} AS BOOLEAN) if that is meant",
            )


def _asked(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The parts that are asked whether they are true, but for comparisons, which are truth values by themselves."""
    inner = condition.unnest()
    match inner:
        case exp.Connector():
            yield from _asked(inner.left)
            yield from _asked(inner.right)
        case exp.Not():
            yield from _asked(inner.this)
        case exp.Predicate() | exp.Boolean() | exp.Null():
            pass
        case _:
            yield inner


def _type(part: exp.Expr, columns: Sequence[Column], type_of: TypeOf | None) -> str:
    match part:
        case exp.Column():
            return next((item.type for item in columns if item.name.lower() == part.name.lower()), "")
        case exp.Literal():
            return "VARCHAR" if part.is_string else "INTEGER" if part.is_int else "DECIMAL"
        case _:
            return type_of(part, columns) if type_of is not None else ""
