"""Rows that PostgreSQL writes as CSV are the rows that are there: over a socket, and through TLS."""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import GUARDED, Server
from tests.tls import FAR, behind_tls, make_certificates

from headgate.core.errors import Code, FatalError
from headgate.core.secrets import Secret
from headgate.io.postgres import csv_rows
from headgate.io.postgres.connection import Connection
from headgate.io.postgres.reading import Snapshot

FIELDS: list[tuple[str, pa.DataType]] = [
    ("i", pa.int64()),
    ("s", pa.int16()),
    ("b", pa.bool_()),
    ("r", pa.float32()),
    ("f", pa.float64()),
    ("t", pa.string()),
    ("d", pa.date32()),
    ("ts", pa.timestamp("us")),
    ("tz", pa.timestamp("us", "UTC")),
]
SCHEMA = pa.schema(FIELDS)
COLUMNS = "i bigint, s smallint, b boolean, r real, f float8, t text, d date, ts timestamp, tz timestamptz"
ORACLE = (
    "SELECT d - DATE '1970-01-01', (extract(epoch FROM ts) * 1000000)::bigint,"
    " (extract(epoch FROM tz) * 1000000)::bigint FROM t ORDER BY n"
)
"""What the server says of its times, as numbers."""

Numbered = tuple[Any, ...]


@pytest.fixture(params=["socket", "tls"])
def connection(
    request: pytest.FixtureRequest, postgres_server: Server, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    if request.param == "socket":
        yield Connection(url=Secret(postgres_url))
        return
    certificates = make_certificates(tmp_path_factory.mktemp("tls"))
    database = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    with behind_tls(postgres_server.socket, certificates.good) as server:
        yield Connection(
            host=FAR,
            port=server.port,
            database=str(database),
            username=GUARDED,
            password=Secret(postgres_server.password),
            sslrootcert=str(certificates.authority),
        )


@contextmanager
def writing(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as session:
        yield session


def read(connection: Connection, select: str, schema: pa.Schema, batch_rows: int = 1000) -> pa.Table:
    assert csv_rows.readable(schema)
    snapshot = Snapshot(connection, "t")
    try:
        return snapshot.stream(select, schema, batch_rows).read_all()
    finally:
        snapshot.close()


def days() -> st.SearchStrategy[str]:
    """Days that PostgreSQL has: four digits for a year, five or six, and before Christ."""
    years = st.integers(1, 9999) | st.integers(10_000, 290_000)
    forms = st.tuples(years, st.integers(1, 12), st.integers(1, 28), st.sampled_from(["", "", " BC"]))
    return forms.map(lambda f: f"{f[0] if not f[3] else f[0] % 4700 + 1:04}-{f[1]:02}-{f[2]:02}{f[3]}")


def moments() -> st.SearchStrategy[str]:
    clocks = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 10**6 - 1))
    texts = clocks.map(lambda c: f"{c[0]:02}:{c[1]:02}:{c[2]:02}" + (f".{c[3]:06}" if c[3] % 3 else ""))
    return st.tuples(days(), texts).map(lambda pair: f"{pair[0].removesuffix(' BC')} {pair[1]}{pair[0][-3:]}"
                                        if pair[0].endswith("BC") else f"{pair[0]} {pair[1]}")  # fmt: skip


def texts() -> st.SearchStrategy[str]:
    awkward = st.sampled_from(['"', ",", "\n", "\r\n", "\\.", "\\N", "NULL", "", " ", "t", "'"])
    return st.lists(awkward | st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=4).map("".join)


ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.integers(-(2**15), 2**15 - 1),
        st.none() | st.booleans(),
        st.none() | st.floats(width=32),
        st.none() | st.floats(),
        st.none() | texts(),
        st.none() | days(),
        st.none() | moments(),
        st.none() | moments(),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_what_is_there_is_what_is_read(connection: Connection, postgres_url: str, rows: list[Numbered]) -> None:
    with writing(postgres_url) as session, session.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute(f"CREATE TABLE t (n int, {COLUMNS})")
        cursor.execute("GRANT SELECT ON t TO PUBLIC")
        places = ", ".join(["%s"] * 7 + ["%s::date", "%s::timestamp", "%s::timestamptz"])
        cursor.executemany(f"INSERT INTO t VALUES ({places})", [(n, *row) for n, row in enumerate(rows)])
        times = cursor.execute(ORACLE).fetchall()
    found = read(connection, "SELECT * FROM t ORDER BY n", SCHEMA, batch_rows=5)
    assert found.schema == SCHEMA
    wanted = [(*row[:6], *numbers) for row, numbers in zip(rows, times, strict=True)]
    assert [*map(same, as_numbers(found))] == [*map(same, wanted)]


def as_numbers(table: pa.Table) -> list[Numbered]:
    counted = [
        column.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(column.type)
        else column.cast(pa.int64()) if pa.types.is_timestamp(column.type)
        else column
        for column in table.columns
    ]  # fmt: skip
    return list(zip(*(column.to_pylist() for column in counted), strict=True))


def same(row: Numbered) -> Numbered:
    """NaN equals itself, and zero has its sign."""
    return tuple(
        "NaN" if isinstance(value, float) and math.isnan(value) else
        struct.pack(">d", value) if isinstance(value, float) else value
        for value in row
    )  # fmt: skip


def test_a_column_alone_keeps_its_nulls_and_its_empty_texts(connection: Connection) -> None:
    values = "(VALUES (1, NULL), (2, ''), (3, NULL), (4, E'\\n'), (5, '\\.')) AS v (n, t)"
    found = read(connection, f"SELECT t FROM {values} ORDER BY n", pa.schema({"t": pa.string()}))
    assert found["t"].to_pylist() == [None, "", None, "\n", "\\."]


def test_no_rows_are_no_rows(connection: Connection) -> None:
    assert read(connection, "SELECT 1 AS i WHERE false", pa.schema({"i": pa.int64()})).num_rows == 0


def test_a_row_may_be_larger_than_what_is_parsed_together(connection: Connection) -> None:
    sizes = [1, 5_000_000, 3, 2_097_152, 0, 9_000_000]
    select = f"SELECT repeat(E'a\"\\n', size / 3 + 1) AS t FROM unnest(ARRAY{sizes}) WITH ORDINALITY AS u (size, n)"
    found = read(connection, f"{select} ORDER BY n", pa.schema({"t": pa.string()}))
    assert found["t"].to_pylist() == ['a"\n' * (size // 3 + 1) for size in sizes]


def test_many_rows_come_whole_and_in_order(connection: Connection) -> None:
    fields: list[tuple[str, pa.DataType]] = [("i", pa.int64()), ("t", pa.string())]
    select = "SELECT g AS i, repeat('x', (g % 100)::int) AS t FROM generate_series(1, 200000) g ORDER BY g"
    found = read(connection, select, pa.schema(fields), batch_rows=7000)
    assert found["i"].to_pylist() == list(range(1, 200_001))
    assert [len(str(text)) for text in found["t"].to_pylist()] == [g % 100 for g in range(1, 200_001)]


@pytest.mark.parametrize(
    ("type_", "arrow", "told"),
    [
        ("date", pa.date32(), 'column "a" or "b" holds infinity, which Arrow cannot hold'),
        ("timestamp", pa.timestamp("us"), 'column "b" holds infinity, or a time beyond the year 294246'),
        ("timestamptz", pa.timestamp("us", "UTC"), 'column "b" holds infinity, or a time beyond the year 294246'),
    ],
)
@pytest.mark.parametrize("value", ["infinity", "-infinity"])
def test_infinity_is_refused_by_the_names_of_its_columns(
    connection: Connection, type_: str, arrow: pa.DataType, told: str, value: str
) -> None:
    select = f"SELECT '2024-01-01'::{type_} AS a, x::{type_} AS b FROM (VALUES ('2024-01-01'), ('{value}')) AS v (x)"
    with pytest.raises(FatalError) as refused:
        read(connection, select, pa.schema({"a": arrow, "b": arrow}))
    assert refused.value.code is Code.EXTRACTION_FAILED
    assert refused.value.message.startswith(told)
    assert "isfinite" in refused.value.hint


def test_an_error_in_the_middle_of_the_rows_is_an_error_and_no_end(connection: Connection) -> None:
    select = "SELECT 1 / (150000 - g) AS i FROM generate_series(1, 200000) g"
    with pytest.raises(FatalError, match="division by zero"):
        read(connection, select, pa.schema({"i": pa.int32()}))


@pytest.mark.parametrize("type_", [pa.binary(), pa.list_(pa.int64()), pa.time64("us"), pa.decimal128(10, 2)])
def test_other_types_are_left_to_the_driver(type_: pa.DataType) -> None:
    assert not csv_rows.readable(pa.schema({"i": pa.int64(), "x": type_}))
    assert not csv_rows.readable(pa.schema([]))


def test_what_helps_against_bytes_of_a_database_without_an_encoding_is_told(postgres_url: str) -> None:
    name = f"ascii_{uuid.uuid4().hex}"
    with writing(postgres_url) as session:
        session.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    url = psycopg.conninfo.make_conninfo(postgres_url, dbname=name)
    fields: list[tuple[str, pa.DataType]] = [("i", pa.int64()), ("t", pa.string())]
    select = "SELECT 1 AS i, chr(228)::text AS t"
    with pytest.raises(FatalError, match="invalid byte sequence") as refused:
        read(Connection(url=Secret(url)), select, pa.schema(fields))
    assert "convert_from" in refused.value.hint
    converted = "SELECT 1 AS i, convert_from(convert(chr(228)::bytea, 'LATIN1', 'UTF8'), 'SQL_ASCII') AS t"
    assert read(Connection(url=Secret(url)), converted, pa.schema(fields))["t"].to_pylist() == ["ä"]


@pytest.mark.parametrize(("lines", "made"), [(b"1\n2\n", 2), (b"1\n\n\n2\n", 4)])
def test_rows_that_came_and_rows_that_were_parsed_are_as_many(lines: bytes, made: int) -> None:
    """A parser that sees other lines than the server wrote would lose rows in silence."""
    schema, piece = pa.schema({"i": pa.int64()}), pa.py_buffer(lines)
    assert csv_rows.parsed(piece, made, schema, "t").num_rows == made
    with pytest.raises(FatalError, match=f"3 rows came, and {made} were made of them"):
        csv_rows.parsed(piece, 3, schema, "t")
