"""Values of rows as Python has them, and as plain JSON: exact or as text, never rounded."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headgate.core.runs import timestamp

if TYPE_CHECKING:
    import pyarrow as pa


def counted(number: int, noun: str, many: str = "") -> str:
    """``1 row``, ``12,345 rows``; ``many`` is the plural where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


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


def column_values(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> list[Any]:
    """The values of an Arrow column. Moments that Python lacks are text: infinity, years before 1 or beyond 9999."""
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):
        return [_value(one) for one in column]


def row_values(rows: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Rows as mappings, values as of ``column_values``."""
    columns = [column_values(column) for column in rows.columns]
    names = rows.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _value(scalar: Any) -> Any:
    import pyarrow as pa

    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(inner) for name, inner in scalar.items()}
        if not pa.types.is_temporal(scalar.type):
            return [_value(inner) for inner in scalar.values]
        most = 2 ** (scalar.type.bit_width - 1) - 1
        if abs(scalar.value) >= most:
            return "infinity" if scalar.value > 0 else "-infinity"
        return pa.array([scalar]).cast(pa.string())[0].as_py()
