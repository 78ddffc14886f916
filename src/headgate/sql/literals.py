"""Typed literals from typed values: the one place where a value becomes SQL text."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from headgate.core.errors import Code, FatalError


def quote_name(name: str) -> str:
    """An identifier, quoted for every SQL dialect that follows the standard."""
    if not name or "\x00" in name:
        raise FatalError(Code.PLAN_INVALID, f"{name!r} cannot be a name", operation="sql", hint="use a non-empty name")
    return '"' + name.replace('"', '""') + '"'


def quote_text(value: str) -> str:
    """A string literal; NUL cannot be in one."""
    if "\x00" in value:
        raise FatalError(
            Code.PLAN_INVALID, "a value holds a NUL byte", operation="sql", hint="remove it from the value"
        )
    return "'" + value.replace("'", "''") + "'"


def literal(value: Any) -> str:  # noqa: C901 - one branch a type
    """A value as a typed SQL literal. Raises FatalError for types that SQL has no literal for."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case Decimal():
            if not value.is_finite():
                raise FatalError(Code.PLAN_INVALID, f"{value} is not a number SQL can hold", operation="sql")
            return format(value, "f")
        case float():
            if math.isnan(value) or math.isinf(value):
                return f"CAST('{value}' AS DOUBLE PRECISION)"
            return f"CAST({value!r} AS DOUBLE PRECISION)"
        case datetime():
            kind = "TIMESTAMP WITH TIME ZONE" if value.tzinfo else "TIMESTAMP"
            return f"CAST({quote_text(value.isoformat(sep=' '))} AS {kind})"
        case date():
            return f"CAST({quote_text(value.isoformat())} AS DATE)"
        case time():
            return f"CAST({quote_text(value.isoformat())} AS TIME)"
        case timedelta():
            seconds, micros = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
            return f"INTERVAL '{'-' if value < timedelta(0) else ''}{seconds}.{micros:06}' SECOND"
        case str():
            return quote_text(value)
        case _:
            raise FatalError(Code.PLAN_INVALID, f"a {type(value).__name__} cannot be a SQL value", operation="sql")
