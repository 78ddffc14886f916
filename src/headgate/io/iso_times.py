"""Dates and times as ISO 8601 texts, which have four digits for a year and no hour 24."""

from __future__ import annotations

from typing import Any

from headgate.core.errors import Code, FatalError

_FIRST_DAY, _LAST_DAY = -719_528, 2_932_896
"""0000-01-01 and 9999-12-31, in days since 1970."""
_PARTS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def check(array: Any, column: str, product: str) -> None:
    """Raise UNSUPPORTED for what has no such text: Arrow would write words about it, or what nobody reads again."""
    bounds = _bounds(array.type)
    if bounds is None or array.null_count == len(array):
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = array.cast(pa.int32() if array.type.bit_width == 32 else pa.int64())
    found: Any = pc.min_max(whole)
    if found["min"].as_py() < bounds[0] or found["max"].as_py() > bounds[1]:
        raise FatalError(
            Code.UNSUPPORTED,
            f'the column "{column}" holds a date or time beyond the years 0 to 9999, or 24:00, which have no text in'
            f" {product}",
            operation="stage",
            object=column,
            hint="clean the column, or hold such rows back with a rule",
        )


def _bounds(type_: Any) -> tuple[int, int] | None:
    """The first and the last value that has a text, as the type counts."""
    import pyarrow.types as t

    if t.is_date32(type_):
        return _FIRST_DAY, _LAST_DAY
    day = 86_400 * _PARTS[type_.unit] if t.is_time(type_) or t.is_timestamp(type_) else 0
    if t.is_time(type_):
        return 0, day - 1
    if t.is_timestamp(type_):
        return (_FIRST_DAY * day, (_LAST_DAY + 1) * day - 1) if type_.unit != "ns" else (-(2**63), 2**63 - 1)
    return None
