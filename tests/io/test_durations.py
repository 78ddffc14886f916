"""Intervals come back from Parquet as they were, wherever they stand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.io.durations import restored, stored

MADE: Any = pa.MonthDayNano
SMALL = st.integers(-(2**31), 2**31 - 1)
INTERVALS = st.none() | st.tuples(SMALL, SMALL, st.integers(-(2**63), 2**63 - 1)).map(MADE)
KIND = pa.month_day_nano_interval()
STRUCT = st.none() | st.fixed_dictionaries({"x": INTERVALS, "y": st.none() | st.integers(0, 9)})
COLUMNS: dict[str, tuple[Any, Any]] = {
    "plain": (KIND, INTERVALS),
    "other": (pa.string(), st.none() | st.text(max_size=3)),
    "list": (pa.list_(KIND), st.none() | st.lists(INTERVALS, max_size=3)),
    "large": (pa.large_list(KIND), st.none() | st.lists(INTERVALS, max_size=3)),
    "struct": (pa.struct([("x", KIND), ("y", pa.int64())]), STRUCT),
    "deep": (pa.list_(pa.struct([("x", KIND), ("y", pa.int64())])), st.none() | st.lists(STRUCT, max_size=2)),
    "map": (pa.map_(pa.string(), KIND), st.none() | st.lists(st.tuples(st.text(max_size=2), INTERVALS), max_size=2)),
}
ROWS = st.lists(st.fixed_dictionaries({name: values for name, (_, values) in COLUMNS.items()}), max_size=6)
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])


@settings(max_examples=60)
@given(rows=ROWS, skip=st.integers(0, 3))
def test_parquet_gives_back_every_interval(rows: list[Any], skip: int) -> None:
    batch = pa.RecordBatch.from_pylist(rows, SCHEMA).slice(skip)
    file = pa.BufferOutputStream()
    table = pa.Table.from_batches([stored(batch)])
    pq.write_table(table, file)
    back = [restored(one) for one in pq.read_table(pa.BufferReader(file.getvalue())).to_batches()]
    assert pa.Table.from_batches(back, SCHEMA).to_pylist() == batch.to_pylist()


def test_rows_without_intervals_are_left_alone() -> None:
    batch = pa.RecordBatch.from_pydict({"a": [1]})
    assert stored(batch) is batch
    assert restored(batch) is batch
