"""Small tables of what tends to go wrong, for comparisons of steps and rules with plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

Row = tuple[Any, ...]

COLUMNS = {"i": "INTEGER", "f": "DOUBLE", "t": "VARCHAR", "d": "DECIMAL(38, 4)", "day": "DATE"}
ARROW: dict[str, pa.DataType] = {
    "i": pa.int32(), "f": pa.float64(), "t": pa.string(), "d": pa.decimal128(38, 4), "day": pa.date32(),
}  # fmt: skip
INTS = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([2**31 - 1, -(2**31)]))
FLOATS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, -1.5, math.nan, math.inf, -math.inf, 1e300, 5e-324]))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "ä", "a\u0308", "A", "💧", "a ", "'", '"', "NULL"]))
HUGE = Decimal("9" * 34 + ".9999")
LESS = Decimal("9" * 34 + ".9998")
DECIMALS = st.one_of(st.none(), st.sampled_from([Decimal(0), Decimal("0.0001"), HUGE, LESS, HUGE.copy_negate()]))
DAYS = st.one_of(st.none(), st.sampled_from([date.min, date.max, date(2024, 2, 29), date(1969, 12, 31)]))
ROWS = st.tuples(INTS, FLOATS, TEXTS, DECIMALS, DAYS)
TABLES = st.lists(ROWS, max_size=8)
NAMES = st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=3, unique=True)


def key(value: Any) -> Any:
    """Equal in SQL: NaN is NaN, and -0 is 0."""
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return abs(value) if value == 0 else value


def keys(rows: list[Row], names: list[str]) -> list[Row]:
    """What rows have in columns, so that equal is equal in SQL."""
    places = [list(COLUMNS).index(name) for name in names]
    return [tuple(key(row[place]) for place in places) for row in rows]


def arrow(rows: Sequence[Row], **others: pa.DataType) -> pa.Table:
    """The rows with their types; ``others``: columns after those of every table."""
    kinds = {**ARROW, **others}
    values = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(kinds.values())]
    return pa.table(values, names=list(kinds))
