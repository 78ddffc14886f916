"""Values of rows as plain JSON, exact or as text, never rounded."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from headgate.core.runs import timestamp


def plain(value: Any) -> Any:  # noqa: C901 - one case a type
    """One value as JSON has it.

    Numbers stay numbers where JSON is exact; decimals are text, so that no digit is lost, and so are NaN and the
    infinities, which JSON lacks. Dates and times are ISO text, durations ISO 8601 durations, bytes base64.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _not_finite(value)
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case datetime():
            return timestamp(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return _duration(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case UUID():
            return str(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case _ if type(value).__name__ == "MonthDayNano":
            return _interval(*value)
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _:
            return str(value)


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _duration(value: timedelta) -> str:
    return _interval(0, value.days, (value - timedelta(days=value.days)) // timedelta(microseconds=1) * 1000)


def _interval(months: int, days: int, nanoseconds: int) -> str:
    """An ISO 8601 duration; months, days and seconds are kept apart, since none follows from another."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    parts = [f"{months}M" if months else "", f"{days}D" if days else ""]
    clock = f"T{sign}{seconds}{fraction}S" if nanoseconds or not (months or days) else ""
    return "P" + "".join(parts) + clock
