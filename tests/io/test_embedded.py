"""What is read from Parquet files by conditions, as from a table in memory: readers skip what statistics rule out."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.io import embedded
from headgate.sql.literals import quote_text

HUGE = Decimal("9" * 28 + "." + "9" * 10)
MOMENTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
]
TEXTS = ["", "a", "A", "é", "\ue000", "💧", "z" * 70, "z" * 70 + "b"]
DOUBLES = [0.0, -0.0, 1.5, 5e-324, 1e300, math.nan, math.inf, -math.inf]
KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "boolean": (pa.bool_(), [False, True]),
    "int8": (pa.int8(), [-128, -1, 0, 127]),
    "int64": (pa.int64(), [-(2**63), -1, 0, 2**63 - 1]),
    "uint32": (pa.uint32(), [0, 2**31, 2**32 - 1]),
    "uint64": (pa.uint64(), [0, 2**63, 2**64 - 1]),
    "float": (pa.float32(), [value for value in DOUBLES if abs(value) != 1e300]),
    "double": (pa.float64(), DOUBLES),
    "decimal of 18": (pa.decimal128(18, 4), [Decimal(0), Decimal("0.0001"), Decimal("-99999999999999.9999")]),
    "decimal of 38": (pa.decimal128(38, 10), [Decimal(0), Decimal("0.0000000001"), HUGE, HUGE.copy_negate()]),
    "text": (pa.string(), TEXTS),
    "bytes": (pa.binary(), [b"", b"\x00", b"\x7f", b"\x80", b"\xff" * 80]),
    "two bytes": (pa.binary(2), [b"\x00\x00", b"\x7f\x80", b"\x80\x00", b"\xff\xff"]),
    "uuid": (pa.uuid(), [uuid.UUID(int=number).bytes for number in (0, 2**127, 2**128 - 1)]),
    "date": (pa.date32(), [date.min, date(1969, 12, 31), date.max]),
    "time": (pa.time64("us"), [time.min, time(12), time.max]),
    "timestamp": (pa.timestamp("us"), [moment.replace(tzinfo=None) for moment in MOMENTS]),
    "instant": (pa.timestamp("us", "Asia/Tokyo"), MOMENTS),
}
COMPARISONS = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
CONDITIONS = [
    *(f"x {sign} {{one}}" for sign in COMPARISONS),
    *(f"NOT (x {sign} {{one}}) OR x IS NULL" for sign in COMPARISONS),
    "x IN ({one}, {other})",
    "x NOT IN ({one}, {other}) OR x IS NULL",
    "x BETWEEN {one} AND {other}",
    "(x NOT BETWEEN {one} AND {other}) IS NOT FALSE",
    "coalesce(x, {one}) = {one}",
    "x IS NULL",
    "x IS NOT NULL",
]
WRITTEN = st.fixed_dictionaries(
    {
        "version": st.sampled_from(["1.0", "2.6"]),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "use_dictionary": st.booleans(),
        "row_group_size": st.sampled_from([1, 2, 5]),
        "write_page_index": st.booleans(),
        "store_decimal_as_integer": st.booleans(),
    }
)


def column(type_: pa.DataType, values: list[Any]) -> pa.Array[Any]:
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, pa.array(values, type_.storage_type))
    return pa.array(values, type_)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "rows.parquet"


def compare(
    place: Path, kind: str, values: list[Any], picked: tuple[Any, Any], conditions: Sequence[str], **written: Any
) -> None:
    """Each condition finds the same rows, with the same values, in the file and in memory."""
    type_ = KINDS[kind][0]
    pq.write_table(pa.table({"n": range(len(values)), "x": column(type_, values)}), place, **written)
    file = embedded.parquet_rows([str(place)])
    with duckdb.connect() as connection:
        embedded.settings(connection)
        connection.execute(f"CREATE TABLE same AS FROM {file}")
        connection.register("picked", pa.table({"x": column(type_, list(picked))}))
        told = connection.execute("SELECT CAST(x AS VARCHAR), typeof(x) FROM picked").fetchall()
        one, other = (f"CAST({quote_text(text)} AS {sql})" for text, sql in told)
        for condition in conditions:
            where = condition.format(one=one, other=other)
            found, wanted = (
                connection.execute(f"SELECT n, x::VARCHAR FROM {rows} WHERE {where} ORDER BY n").fetchall()
                for rows in (file, "same")
            )
            assert found == wanted, where
        joined, wanted = (
            connection.execute(f"SELECT a.n, b.n FROM {rows} a JOIN same b USING (x) ORDER BY ALL").fetchall()
            for rows in (file, "same")
        )
        assert joined == wanted


@settings(max_examples=60)
@given(st.sampled_from([*KINDS]), st.data(), WRITTEN)
def test_rows_are_found_in_files_as_in_memory(place: Path, kind: str, data: st.DataObject, written: Any) -> None:
    known = KINDS[kind][1]
    few = data.draw(st.lists(st.sampled_from([*known, None]), min_size=1, max_size=3))
    values = data.draw(st.lists(st.sampled_from(few), min_size=1, max_size=8))
    picked = data.draw(st.tuples(st.sampled_from(known), st.sampled_from(known)))
    conditions = data.draw(st.lists(st.sampled_from(CONDITIONS), max_size=8, unique=True))
    compare(place, kind, values, picked, conditions, **written)


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_and_nulls_are_told_apart(place: Path, kind: str) -> None:
    """DuckDB 2.0.0 took the values of such a row group for NULL, where it is text without a dictionary."""
    known = KINDS[kind][1]
    compare(place, kind, [known[1], None, known[1]], (known[0], known[1]), CONDITIONS, use_dictionary=False)
