"""Histories against a model in plain Python: any changes, in any order, in any number of loads.

The statements that all stores share are run in SQLite, in PostgreSQL, in MySQL's dialect and, as for files, in DuckDB;
that each store runs them in its commit is for the contract suite to say.
"""

from __future__ import annotations

import functools
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymysql.constants import CLIENT
from tests.often import EXAMPLES

from headgate.io import merging, rewriting
from headgate.io.merging import Counts
from headgate.sql import merges
from headgate.sql.dialects import MYSQL, STANDARD, Standard
from headgate.sql.literals import quote_text
from headgate.testing.histories import OPEN, Change, Version, loaded
from headgate.testing.store_modes import HISTORY, changes_table, day, number_of, versioned

LOAD = versioned()
COLUMNS = LOAD.columns.names
VALUES = st.tuples(st.sampled_from(["a", "b", "", None]), st.sampled_from([0.0, 1.5, None]))
MARKS = st.sampled_from([False] * 4 + [True])
CHANGES = st.builds(Change, st.integers(0, 2), st.integers(0, 7), VALUES, st.sampled_from(["x", "y", None]), MARKS)
LOADS = st.lists(
    st.lists(CHANGES, max_size=6, unique_by=lambda change: (change.key, change.since)), min_size=1, max_size=4
)
TOGETHER = 10
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=EXAMPLES // TOGETHER)
Apply = Callable[[list[Version], Sequence[Change]], tuple[Counts, list[Version]]]


def row_of(version: Version) -> tuple[Any, ...]:
    since, until = day(version.since), day(version.until)
    return (version.key, *version.values, version.other, since, until, version.current, version.number)


def version_of(row: Sequence[Any]) -> Version:
    key, a, b, other, since, until, current, number = row
    found = Version(key, number_of(since), number_of(until), number, (a, b), other)
    assert bool(current) == found.current
    return found


@dataclass
class Sql:
    """A database, one statement at a time."""

    run: Callable[..., Any]
    mark: str
    value_of: Callable[[Any], Any] = lambda value: value
    dialect: Standard = STANDARD

    def execute(self, statement: str) -> int:
        return max(int(self.run(statement).rowcount), 0)

    def value(self, statement: str) -> Any:
        return self.run(statement).fetchone()[0]

    def apply(self, history: list[Version], changes: Sequence[Change]) -> tuple[Counts, list[Version]]:
        types = '"key" BIGINT, a TEXT, b DOUBLE PRECISION, other TEXT, valid_from DATE, valid_to DATE'
        for name, extra in (("h", ""), ("s", ', "_hg_d0" BOOLEAN')):
            self.run(f"CREATE TEMPORARY TABLE {name} ({types}, is_current BOOLEAN, version BIGINT{extra})")
        self._fill("h", [row_of(version) for version in history])
        self._fill("s", [tuple(row.values()) for row in changes_table(changes).to_pylist()])
        target = merging.Target("h", "s", lambda value, _: f"'{value.as_py()}'", "work", dialect=self.dialect)
        counts = merging.apply(LOAD, target, self)
        rows = self.run(f"SELECT {merges.names(COLUMNS)} FROM h").fetchall()
        for name in ("h", "s"):
            self.run(self.dialect.drop(name))
        return counts, [version_of([self.value_of(value) for value in row]) for row in rows]

    def _fill(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join(f"({', '.join([self.mark] * len(row))})" for row in rows)
            self.run(f"INSERT INTO {table} VALUES {marks}", [value for row in rows for value in row])


def in_files(
    engine: duckdb.DuckDBPyConnection, history: list[Version], changes: Sequence[Change]
) -> tuple[Counts, list[Version]]:
    """As for Parquet files: what goes, what comes, and what stays."""
    kept = pa.Table.from_pylist(
        [dict(zip([*COLUMNS, rewriting.FILE], [*row_of(version), "f"], strict=True)) for version in history],
        LOAD.columns.append(pa.field(rewriting.FILE, pa.string())),
    )
    with engine.cursor() as connection:  # with tables of its own
        connection.register("kept", kept)
        connection.register("staged", changes_table(changes))
        rewriting.give(connection, LOAD, LOAD.columns, "kept", COLUMNS, "staged")
        done = rewriting.work_out(connection, LOAD, COLUMNS)
        listed = ", ".join(COLUMNS)
        stays = f"SELECT {listed} FROM {rewriting.KEPT} AS o WHERE NOT coalesce({done.gone}, FALSE)"
        rows = [*connection.execute(stays).fetchall(), *connection.execute(done.coming()).fetchall()]
    assert len(rows) == len(history) + done.growth
    return done.counts, [version_of(row) for row in rows]


def in_place(
    engine: duckdb.DuckDBPyConnection, history: list[Version], changes: Sequence[Change]
) -> tuple[Counts, list[Version]]:
    """As for Parquet files of which those that can be are changed where they are, each key's versions in two files."""
    held: dict[str, list[list[Any]]] = {}
    placed = []
    for version in history:
        file = held.setdefault(f"{version.key}'{version.since % 2}", [])
        placed.append([*row_of(version), f"{version.key}'{version.since % 2}", len(file)])
        file.append(list(row_of(version)))
    names = [*COLUMNS, rewriting.FILE, rewriting.ROW]
    schema = LOAD.columns.append(pa.field(rewriting.FILE, pa.string())).append(pa.field(rewriting.ROW, pa.int64()))
    kept = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in placed], schema)
    with engine.cursor() as connection:
        connection.register("kept", kept)
        connection.register("staged", changes_table(changes))
        rewriting.give(connection, LOAD, LOAD.columns, "kept", {*COLUMNS, rewriting.ROW}, "staged")
        done = rewriting.work_out(connection, LOAD, COLUMNS)
        assert done.amended is not None
        listed = ", ".join(COLUMNS)
        rows: list[Sequence[Any]] = [*connection.execute(done.coming(done.amended.files)).fetchall()]
        for path, mine in held.items():
            if path in done.amended.files:
                found = connection.execute(done.amended.of(path)).fetchall()
                assert len(found) == done.amended.files[path] == done.affected[path]
                for number, *values in found:
                    for column, value in zip(done.amended.columns, values, strict=True):
                        mine[number][COLUMNS.index(column)] = value
                rows += mine
            else:
                stays = f"SELECT {listed} FROM {rewriting.KEPT} AS o WHERE NOT coalesce({done.gone}, FALSE)"
                rows += connection.execute(f"{stays} AND o.{rewriting.FILE} = {quote_text(path)}").fetchall()
    assert len(rows) == len(history) + done.growth
    return done.counts, [version_of(row) for row in rows]


@pytest.fixture(params=["sqlite", "files", "files in place", "postgres", pytest.param("mysql", marks=pytest.mark.long)])
def apply(request: pytest.FixtureRequest) -> Iterator[Apply]:
    match request.param:
        case "files" | "files in place":
            with duckdb.connect(config={"threads": "1"}) as engine:
                yield functools.partial(in_files if request.param == "files" else in_place, engine)
        case "sqlite":
            sqlite3.register_adapter(type(day(0)), lambda value: value.isoformat())
            with sqlite3.connect(":memory:", isolation_level=None) as database:
                yield Sql(database.execute, "?", lambda v: type(day(0)).fromisoformat(v) if _is_date(v) else v).apply
        case "mysql":
            server, name = request.getfixturevalue("mariadb_server"), request.getfixturevalue("mariadb_name")
            flags = {"client_flag": CLIENT.FOUND_ROWS, "sql_mode": "ANSI_QUOTES"}
            with server.connect(name, **flags) as session, session.cursor() as cursor:

                def run(statement: str, parameters: Sequence[Any] | None = None) -> Any:
                    cursor.execute(statement, parameters)
                    return cursor

                yield Sql(run, "%s", dialect=MYSQL).apply
        case _:
            url = request.getfixturevalue("postgres_url")
            with psycopg.connect(url, autocommit=True) as session:
                yield Sql(session.execute, "%s").apply


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 10


def follows_the_model(apply: Apply, loads: Sequence[Sequence[Change]]) -> None:
    history: list[Version] = []
    for changes in loads:
        wanted = sorted(loaded(history, changes), key=repr)
        counts, found = apply(history, changes)
        assert sorted(found, key=repr) == wanted
        before = {(version.key, version.since): version for version in history}
        after = {(version.key, version.since): version for version in wanted}
        assert counts.inserted == len(after.keys() - before.keys())
        altered = sum(after[place] != version for place, version in before.items() if place in after)
        assert counts.updated + counts.deleted == altered + len(before.keys() - after.keys())
        again, unchanged = apply(found, changes)
        assert sorted(unchanged, key=repr) == wanted
        assert again == Counts(unchanged=len(changes))
        history = found


@FEW
@given(LOADS)
def test_any_changes_in_any_order_give_the_history_of_the_model(apply: Apply, loads: list[list[Change]]) -> None:
    follows_the_model(apply, loads)


def side_by_side(cases: Sequence[Sequence[Sequence[Change]]]) -> list[list[Change]]:
    """Many histories as one: each with keys of its own, their loads at the same time."""
    return [
        [replace(change, key=change.key + 3 * number) for number, part in enumerate(together) for change in part]
        for together in itertools.zip_longest(*cases, fillvalue=[])
    ]


@pytest.mark.long
@pytest.mark.timeout(7200)
@MANY
@given(st.lists(LOADS, min_size=TOGETHER, max_size=TOGETHER))
def test_ten_thousand_histories_follow_the_model(apply: Apply, cases: list[list[list[Change]]]) -> None:
    follows_the_model(apply, side_by_side(cases))


@FEW
@given(LOADS)
def test_every_history_holds_what_a_history_must(loads: list[list[Change]]) -> None:
    history: list[Version] = []
    for changes in loads:
        history = loaded(history, changes)
        for key in {version.key for version in history}:
            mine = sorted((v for v in history if v.key == key), key=lambda v: v.since)
            assert [v.number for v in mine] == list(range(1, len(mine) + 1))
            assert sum(v.until == OPEN for v in mine) <= 1
            for one, other in itertools.pairwise(mine):
                assert one.until <= other.since
                assert one.values != other.values or one.until != other.since
    assert HISTORY.names[-1] == LOAD.marker
