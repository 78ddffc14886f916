"""PostgreSQL's types on their way to Arrow: exact, text, or refused."""

from __future__ import annotations

import datetime as dt
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.errors import Code, FatalError
from headgate.sources.postgres import Read
from headgate.testing.rows import canonical
from headgate.testing.sources import new_rows

Database = Any
"""The one of conftest.py."""


class TestTypes:
    def test_every_type_arrives_exactly_or_as_text(self, database: Database) -> None:
        database.execute(
            "CREATE TYPE mood AS ENUM ('ok')",
            "CREATE DOMAIN price AS numeric(12, 3)",
            "CREATE TABLE t (id bigint, small smallint, price price, wide numeric(38, 10), huge numeric(50, 2),"
            " neg numeric(5, -2), tiny numeric(2, 5), u uuid, j jsonb, m mood, i inet, b bytea, c char(5), s interval,"
            " ts timestamp, tz timestamptz, d date, tm time, f real, a int[], n numeric(6, 2)[], v varchar(9)[])",
            "INSERT INTO t VALUES (1, -5, 1.250, 12345678901234567890.0123456789, 1.25, 12345, 0.00012,"
            " '00000000-0000-0000-0000-00000000000a', '{\"a\": 1}', 'ok', '10.0.0.1', '\\x00ff', 'ab', '1 mon 2 days',"
            " '0001-01-01', '2024-02-29 12:00+02', '9999-12-31', '23:59:59.999999', 1.5, '{1,NULL}',"
            " '{1.5,2.25}', '{x}')",
        )
        found, _ = new_rows(database, Read(table="t"), None)
        assert found is not None
        row = found.to_pylist()[0]
        assert row["price"] == Decimal("1.250")
        assert (row["wide"], row["neg"], row["tiny"]) == (
            Decimal("12345678901234567890.0123456789"),
            Decimal(12300),
            Decimal("0.00012"),
        )
        assert (row["huge"], row["u"], row["m"], row["i"], row["c"]) == (
            "1.25",
            "00000000-0000-0000-0000-00000000000a",
            "ok",
            "10.0.0.1/32",
            "ab",
        )
        assert (row["ts"], row["tz"]) == (datetime(1, 1, 1), datetime(2024, 2, 29, 10, tzinfo=UTC))  # noqa: DTZ001
        assert (row["d"], row["tm"]) == (date(9999, 12, 31), dt.time(23, 59, 59, 999999))
        assert (row["a"], row["n"], row["v"]) == ([1, None], [Decimal("1.50"), Decimal("2.25")], ["x"])
        assert (row["b"], row["f"], json.loads(row["j"])) == (b"\x00\xff", 1.5, {"a": 1})
        assert tuple(row["s"]) == (1, 2, 0)

    def test_a_numeric_without_a_scale_is_never_rounded(self, database: Database) -> None:
        database.execute("CREATE TABLE t (n numeric)", "INSERT INTO t VALUES (1.50), (0.12345678901), ('NaN')")
        source, read = database.open(), Read(table="t")
        schema = source.schema(read, database.context(), None)
        assert schema.casts == {"n": "DECIMAL(38, 10)"}
        window = source.probe(read, database.context(), None)
        assert window is not None
        scan = source.scan(read, database.context(), window)
        assert scan.batches is not None
        texts = scan.batches.read_all()["n"].to_pylist()
        scan.close()
        source.close()
        assert texts == ["1.5", "0.12345678901 has more than 10 decimal places", "NaN"]
        with duckdb.connect() as engine:
            engine.register("t", pa.table({"n": texts}))
            kept = engine.sql("SELECT TRY_CAST(n AS DECIMAL(38, 10)) FROM t").fetchall()
        assert kept == [(Decimal("1.5000000000"),), (None,), (None,)], "rows that do not fit are row errors"

    def test_a_list_of_numerics_without_a_scale_is_never_rounded(self, database: Database) -> None:
        values = "('{1.50,NULL,-7}'), ('{}'), (NULL)"
        database.execute("CREATE TABLE t (n numeric[])", f"INSERT INTO t VALUES {values}")
        found, _ = new_rows(database, Read(table="t"), None)
        assert found is not None
        assert found["n"].to_pylist() == [[Decimal("1.5"), None, Decimal(-7)], [], None]
        database.execute("INSERT INTO t VALUES ('{2,0.12345678901}')")
        with pytest.raises(duckdb.ConversionException, match="has more than 10 decimal places"):
            new_rows(database, Read(table="t"), None)

    @pytest.mark.parametrize(
        "value",
        ["'infinity'::date", "'-infinity'::date", "'infinity'::timestamp", "'-infinity'::timestamptz"],
    )
    def test_infinite_times_are_refused_by_name(self, database: Database, value: str) -> None:
        with pytest.raises(FatalError, match="infinity") as refusal:
            new_rows(database, Read(query=f"SELECT {value} AS ends"), None)
        assert "ends" in refusal.value.message
        assert "isfinite" in refusal.value.hint

    @pytest.mark.parametrize(
        "value",
        ["ARRAY[[1,2],[3,4]]", "'[2:3]={5,6}'::int[]", "ARRAY[[1.5,2.5]]::numeric(5,2)[]", "ARRAY[[1.5]]::numeric[]"],
    )
    def test_arrays_of_arrays_are_refused_rather_than_flattened(self, database: Database, value: str) -> None:
        with pytest.raises(FatalError, match="array of arrays") as refusal:
            new_rows(database, Read(query=f"SELECT {value} AS a"), None)
        assert refusal.value.code is Code.EXTRACTION_FAILED

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        rows=st.lists(
            st.tuples(
                st.none() | st.integers(-(2**63), 2**63 - 1),
                st.none()
                | st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20),
                st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
                st.none() | st.binary(max_size=20),
                st.none() | st.datetimes(),
                st.none() | st.dates(),
                st.none() | st.floats(),
                st.none() | st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=4),
            ),
            min_size=1,
            max_size=20,
        )
    )
    def test_what_is_written_is_what_is_read(self, database: Database, rows: list[tuple[Any, ...]]) -> None:
        names = ["i", "n", "t", "b", "ts", "d", "f", "a"]
        types = "i bigint, n numeric(30, 6), t text, b bytea, ts timestamp, d date, f float8, a int[]"
        with psycopg.connect(database.url) as session, session.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS t")
            cursor.execute(f"CREATE TABLE t ({types})")
            cursor.executemany(f"INSERT INTO t VALUES ({', '.join(['%s'] * len(names))})", rows)
        found, _ = new_rows(database, Read(table="t"), None)
        assert found is not None
        wanted = [dict(zip(names, row, strict=True)) for row in rows]
        assert [_comparable(row) for row in found.to_pylist()] == [_comparable(row) for row in wanted]


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    return {name: canonical(value + 0 if isinstance(value, Decimal) else value) for name, value in row.items()}
