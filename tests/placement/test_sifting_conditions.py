"""Conditions mean in every source what they mean in the engine, whatever the values: nulls, edges, spaces, letters."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from tests.conftest import Server, database_name
from tests.mariadb import MariaServer

from headgate.core.contracts import ReadContext, Source
from headgate.core.engines import Column
from headgate.engines.duckdb import DuckdbEngine
from headgate.sources import duckdb as duckdb_source
from headgate.sources import mysql, postgres, sqlite
from headgate.sql.postgres import typed
from headgate.sql.shapes import StepInput
from headgate.sql.sifting import DIALECTS, Sifter, Unsiftable

TYPES = {
    "i": "INTEGER",
    "b": "BIGINT",
    "d": "DECIMAL(9, 2)",
    "t": "VARCHAR",
    "y": "DATE",
    "m": "TIMESTAMP",
    "x": "BOOLEAN",
}
STEP = StepInput(tuple(Column(*item) for item in TYPES.items()))
TABLE = "CREATE TABLE t (n integer, i integer, b bigint, d {decimal}(9,2), t {text}, y date, m {moment}, x boolean)"
ENGINE = TABLE.format(decimal="decimal", text="varchar", moment="timestamp")

Rows = list[tuple[Any, ...]]


@dataclass
class Place:
    """A database with a table ``t``: how it is filled, how it is asked, and the source that reads it."""

    dialect: str
    fill: Callable[[Rows], None]
    ask: Callable[[str], Rows]
    source: Source

    def values(self) -> dict[str, str]:
        module = {"postgres": postgres, "mysql": mysql, "sqlite": sqlite, "duckdb": duckdb_source}[self.dialect]
        found = self.source.schema(module.Read(table="t"), ReadContext(Path()), None).ground
        assert (found.dialect, found.obstacle) == (self.dialect, "")
        return dict(found.values)


@pytest.fixture(scope="module", params=["postgres", "mysql", "sqlite", "duckdb"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    match request.param:
        case "postgres":
            yield from _postgres(request.getfixturevalue("postgres_server"))
        case "mysql":
            yield from _mysql(request.getfixturevalue("mariadb_server"))
        case "sqlite":
            yield from _sqlite(folder)
        case _:
            yield from _duckdb(folder)


def _postgres(server: Server) -> Iterator[Place]:
    name = database_name()
    url = server.create_database(name)
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(TABLE.format(decimal="numeric", text="text", moment="timestamp"))

        def fill(rows: Rows) -> None:
            session.execute("TRUNCATE t")
            session.cursor().executemany("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", rows)

        source = postgres.open_source(postgres.Connection(url=url), Path())
        yield Place("postgres", fill, lambda sql: session.execute(sql).fetchall(), source)
        source.close()
    server.drop_database(name)


def _mysql(server: MariaServer) -> Iterator[Place]:
    name = database_name()
    url = server.create_database(name)
    text = "varchar(20) COLLATE utf8mb4_general_ci"
    server.execute(name, TABLE.format(decimal="decimal", text=text, moment="datetime(6)"))

    def fill(rows: Rows) -> None:
        with server.connect(name) as session, session.cursor() as cursor:
            cursor.execute("TRUNCATE t")
            cursor.executemany("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", rows)

    source = mysql.open_source(mysql.Connection(url=url), Path())
    yield Place("mysql", fill, lambda sql: server.execute(name, sql), source)
    source.close()
    server.drop_database(name)


def _sqlite(folder: Path) -> Iterator[Place]:
    connection = sqlite3.connect(folder / "t.db", isolation_level=None)
    connection.execute(TABLE.format(decimal="decimal", text="text COLLATE nocase", moment="timestamp"))

    def stored(value: Any) -> Any:
        match value:
            case dt.datetime():
                return value.isoformat(sep=" ")
            case dt.date() | Decimal():
                return str(value)
            case _:
                return value

    def fill(rows: Rows) -> None:
        connection.execute("DELETE FROM t")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [tuple(map(stored, row)) for row in rows]
        )

    source = sqlite.open_source(sqlite.Connection(type="sqlite", path=str(folder / "t.db")), folder)
    yield Place("sqlite", fill, lambda sql: connection.execute(sql).fetchall(), source)
    source.close()
    connection.close()


def _duckdb(folder: Path) -> Iterator[Place]:
    path = folder / "t.duckdb"
    with duckdb.connect(path, config={"threads": 1}) as connection:
        connection.execute(TABLE.format(decimal="decimal", text="varchar COLLATE nocase", moment="timestamp"))
    source = duckdb_source.open_source(duckdb_source.Connection(path=str(path)), folder)
    source.schema(duckdb_source.Read(table="t"), ReadContext(folder), None)
    known = source.schema(duckdb_source.Read(table="t"), ReadContext(folder), None)
    with duckdb.connect(path, config={"threads": 1}) as connection:

        def fill(rows: Rows) -> None:
            connection.execute("DELETE FROM t")
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

        place = Place("duckdb", fill, lambda sql: connection.execute(sql).fetchall(), source)
        place.values = lambda: dict(known.ground.values)  # type: ignore[method-assign]  # we hold the file
        yield place
    source.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as session:
        session.execute(ENGINE)
        yield session


TEXTS = (
    "",
    "a",
    "A",
    "a",
    "A",
    "a ",
    " a",
    "ä",
    "a\u0308",
    "ß",
    "ss",
    "é😀",
    "\\",
    "'",
    '"',
    "%",
    "_",
    "\t",
    "1",
    "01",
    "NaN",
)
INTEGERS = st.one_of(st.integers(-3, 3), st.sampled_from([2**31 - 1, -(2**31)]))
LONGS = st.one_of(st.integers(-3, 3), st.sampled_from([2**63 - 1, -(2**63) + 1, 2**53 + 1, 2**53]))
DECIMALS = st.one_of(
    st.sampled_from([Decimal(text) for text in ("0.00", "-0.01", "1.10", "1.01", "9999999.99", "-9999999.99", "1.00")]),
    st.decimals(-9999999, 9999999, places=2),
)
DATES = st.one_of(
    st.sampled_from([dt.date(1000, 1, 1), dt.date(9999, 12, 31), dt.date(2024, 2, 29), dt.date(1970, 1, 1)]),
    st.dates(dt.date(1000, 1, 1)),
)
MOMENTS = st.one_of(
    st.datetimes(dt.datetime(1000, 1, 1)),  # noqa: DTZ001 - these columns have no zone
    DATES.map(lambda day: dt.datetime(day.year, day.month, day.day)),  # noqa: DTZ001
    st.sampled_from([dt.datetime(9999, 12, 31, 23, 59, 59, 999999), dt.datetime(2024, 2, 29, 0, 0, 0, 1)]),  # noqa: DTZ001
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i": INTEGERS,
    "b": LONGS,
    "d": DECIMALS,
    "t": st.sampled_from(TEXTS),
    "y": DATES,
    "m": MOMENTS,
    "x": st.booleans(),
}
ROW = st.tuples(*(st.one_of(st.none(), values) for values in VALUES.values()))
FORMS = (
    *("{c} = {v}", "{c} <> {v}", "{v} < {c}", "{c} <= {v}", "{c} > {v}", "{v} >= {c}", "{c} IN ({v}, {w}, NULL)"),
    *("{c} NOT IN ({v}, {w})", "{c} BETWEEN {v} AND {w}", "{c} IS NULL", "{c} IS NOT NULL", "NOT ({c} = {v})"),
    *("({c} > {v}) IS NOT TRUE", "({c} <> {w}) IS FALSE", "{c} = NULL"),
)


def written(value: Any) -> str:
    """A literal as somebody would write it."""
    match value:
        case bool() | int() | Decimal():
            return str(value).upper()
        case _:
            return "'" + str(value).replace("'", "''") + "'"


@st.composite
def conditions(draw: st.DrawFn) -> str:
    def atom() -> str:
        name = draw(st.sampled_from([*TYPES, "t", "t"]))
        v, w = written(draw(VALUES[name])), written(draw(VALUES[name]))
        if name in "ib" and draw(st.booleans()):
            w = draw(st.sampled_from(["0.5", "-0.5", "1.0", "2147483647.5"]))
        return draw(st.sampled_from(FORMS)).format(c=name, v=v, w=w)

    found = atom()
    for _ in range(draw(st.integers(0, 2))):
        found = f"({found}) {draw(st.sampled_from(['AND', 'OR']))} {draw(st.sampled_from(['', 'NOT ']))}({atom()})"
    return found


def translated(place: Place, values: dict[str, str], texts: list[str]) -> dict[str, str]:
    """Conditions in the source's SQL, by the engine's: those that it can be asked."""
    binder = DuckdbEngine().binder()

    def bind(query: exp.Expr) -> list[str]:
        assert isinstance(query, exp.Select)
        return [found.type for found in binder.bind(query.from_("source").sql("duckdb"), {"source": STEP.columns})]

    found: dict[str, str] = {}
    try:
        for text in texts:
            node = STEP.expression(text)
            try:
                found[node.sql("duckdb")] = Sifter(DIALECTS[place.dialect], typed([node], bind), values).sql(node)
            except Unsiftable:
                continue
    finally:
        binder.close()
    return found


@given(rows=st.lists(ROW, min_size=1, max_size=12), texts=st.lists(conditions(), min_size=8, max_size=8))
@settings(max_examples=10, deadline=None)
def test_a_condition_is_true_in_the_source_where_it_is_true_in_the_engine(
    place: Place, engine: duckdb.DuckDBPyConnection, rows: Rows, texts: list[str]
) -> None:
    numbered = [(number, *row) for number, row in enumerate(rows)]
    place.fill(numbered)
    engine.execute("DELETE FROM t")
    engine.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", numbered)
    pairs = translated(place, place.values(), texts)
    for here, there in pairs.items():
        expected = engine.execute(f"SELECT n FROM t WHERE {here} ORDER BY n").fetchall()
        found = place.ask(f"SELECT n FROM t WHERE {there} ORDER BY n")
        assert [n for (n,) in found] == [n for (n,) in expected], (here, there)
