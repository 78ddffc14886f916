"""Tables that somebody else made: rows that they reject, rows that refer to theirs, columns in another case."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb as duckdb_driver
import psycopg
import pyarrow as pa
import pytest
from tests.mariadb import MariaServer

from headgate.core.contracts import Mode, Rescue, Store
from headgate.core.errors import Code, FatalError
from headgate.core.secrets import Secret
from headgate.io.rejections import CONSTRAINT, NULL, REFERRED, values_in
from headgate.targets import duckdb, mysql, postgres, sqlalchemy, sqlite
from headgate.testing.place import Place, load, rows
from headgate.testing.rows import arrow_schema, arrow_table

SERVERS = ("postgres", "mysql", "sqlalchemy postgres", "sqlalchemy mysql")
DATABASES = ("postgres", "mysql", "sqlite", "duckdb", *SERVERS[2:])


@dataclass
class Database:
    """A store's place, and a session beside it."""

    place: Place
    sql: Callable[..., list[Any]]


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    way, _, kind = str(request.param).rpartition(" ")
    opened, sql = _reached(request, tmp_path, kind, through=way)
    place = Place(opened, tmp_path / "_runs")
    yield Database(place, sql)
    place.close()


def _reached(
    request: pytest.FixtureRequest, folder: Path, kind: str, *, through: str
) -> tuple[Callable[[], Store], Callable[..., list[Any]]]:
    if kind == "sqlite":
        lite = sqlite.Connection(type="sqlite", path="w.db")
        return lambda: sqlite.open_store("w", lite, folder), lambda *asked: _asked(
            sqlite3.connect(folder / "w.db", isolation_level=None), asked
        )
    if kind == "duckdb":
        duck = duckdb.Connection(path="w.duckdb")
        return lambda: duckdb.open_store("w", duck, folder), lambda *asked: _asked(
            duckdb_driver.connect(str(folder / "w.duckdb")), asked
        )
    if kind == "postgres":
        url, driver = str(request.getfixturevalue("postgres_url")), "postgresql+psycopg:"
        sql: Any = lambda *asked: _asked(psycopg.connect(url, autocommit=True), asked)  # noqa: E731
    else:
        server, name = request.getfixturevalue("mariadb_server"), request.getfixturevalue("mariadb_name")
        assert isinstance(server, MariaServer)
        url, driver, sql = server.url(name), "mysql+pymysql:", lambda *asked: server.execute(name, *asked)
    if through:
        far = sqlalchemy.Connection(url=Secret(driver + url.partition(":")[2]))
        return lambda: sqlalchemy.open_store("w", far, folder), sql
    if kind == "postgres":
        return lambda: postgres.open_store("w", postgres.Connection(url=Secret(url)), folder), sql
    return lambda: mysql.open_store("w", mysql.Connection(url=Secret(url)), folder), sql


def _asked(session: Any, statements: Sequence[str]) -> list[Any]:
    with closing(session):
        found: list[Any] = []
        for statement in statements:
            cursor = session.execute(statement)
            found = cursor.fetchall() if cursor.description else []
        return found


@pytest.mark.parametrize("database", DATABASES, indirect=True)
def test_a_rejected_row_is_told_with_its_kind_and_a_way_out(database: Database) -> None:
    failed, bad = Code.LOAD_EXECUTION_FAILED, rows((3, "a"), (1, None))
    for name, columns, incoming, code, hint in (
        ("checked", "id BIGINT, name VARCHAR(20), CHECK (id > 2)", bad, failed, CONSTRAINT),
        ("filled", "id BIGINT, name VARCHAR(20) NOT NULL", bad, failed, NULL),
        ("told_apart", "id BIGINT, name VARCHAR(20) UNIQUE", rows((3, "a"), (1, "a")), Code.DUPLICATE_KEYS, "upsert"),
    ):
        database.sql(f"CREATE TABLE {name} ({columns})")
        with pytest.raises(FatalError) as refused:
            database.place.run(name, [(load(name), incoming)])
        assert (refused.value.code, hint in refused.value.hint) == (code, True), (name, refused.value)
        assert database.sql(f"SELECT count(*) FROM {name}") == [(0,)]


@pytest.mark.parametrize("database", SERVERS, indirect=True)
def test_rows_of_others_are_not_deleted_with_those_that_are_replaced(database: Database) -> None:
    for rule in ("CASCADE", "SET NULL"):
        name = f"t_{len(rule)}"
        child = f"child_of_{name}"
        database.sql(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, name VARCHAR(20))")
        database.sql(f"CREATE TABLE {child} (t BIGINT, FOREIGN KEY (t) REFERENCES {name} (id) ON DELETE {rule})")
        database.sql(f"INSERT INTO {name} VALUES (1, 'old')", f"INSERT INTO {child} VALUES (1)")
        for partition in ((), ("id",)):
            with pytest.raises(FatalError) as refused:
                database.place.run(name, [(load(name, "overwrite", partition=partition), rows((1, "new")))])
            assert (refused.value.code, child in refused.value.message) == (Code.UNSUPPORTED, True)
        database.place.run(name, [(load(name, "merge", keys=("id",), delete_missing=True), rows((1, "new")))])
        assert database.sql(f"SELECT p.name FROM {name} p JOIN {child} c ON c.t = p.id") == [("new",)]


@pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)
def test_a_table_that_refers_to_itself_may_be_replaced_as_a_whole(database: Database) -> None:
    database.sql(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR(20), up BIGINT,"
        " FOREIGN KEY (up) REFERENCES t (id) ON DELETE CASCADE)",
        "INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', 1)",
    )
    database.place.run(1, [(load("t", "overwrite"), rows((3, "c")))])
    assert database.sql("SELECT id FROM t") == [(3,)]
    with pytest.raises(FatalError, match="ON DELETE"):
        database.place.run(2, [(load("t", "overwrite", partition=("id",)), rows((3, "d")))])


@pytest.mark.parametrize("database", ["postgres", "mysql", "duckdb"], indirect=True)
def test_rows_that_others_refer_to_are_told_as_such(database: Database) -> None:
    database.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR(20))", "INSERT INTO t VALUES (1, 'old')")
    database.sql("CREATE TABLE child (t BIGINT, FOREIGN KEY (t) REFERENCES t (id))", "INSERT INTO child VALUES (1)")
    with pytest.raises(FatalError) as refused:
        database.place.run(1, [(load("t", "overwrite"), rows((2, "new")))])
    assert (refused.value.code, refused.value.hint) == (Code.LOAD_EXECUTION_FAILED, REFERRED)
    assert database.sql("SELECT * FROM t") == [(1, "old")]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_dead_letter_with_an_infinite_number_is_json(database: Database) -> None:
    database.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, size REAL)", "INSERT INTO t VALUES (1, 0)")
    table = pa.table({"id": [1, 1], "size": [float("inf"), float("-inf")]})
    rescue = Rescue("rejected", "run-1", "2024-01-15T00:00:00Z")
    database.place.run(1, [(load("t", schema=table.schema, rescue=rescue), table)])
    told = [json.loads(payload) for (payload,) in database.sql("SELECT payload FROM rejected ORDER BY payload")]
    assert told == [{"id": 1, "size": "-Infinity"}, {"id": 1, "size": "Infinity"}]


@pytest.mark.parametrize("database", ["mysql", "duckdb"], indirect=True)
def test_the_values_in_a_servers_words_are_known(database: Database) -> None:
    database.sql("CREATE TABLE t (id BIGINT, name VARCHAR(20) UNIQUE)")
    with pytest.raises(FatalError) as refused:
        database.place.run(1, [(load("t"), rows((1, "it's me"), (2, "it's me")))])
    assert "it's me" in refused.value.message
    refused.value.hide("***")
    assert "***" in refused.value.message
    assert "it's me" not in f"{refused.value}{refused.value.as_dict()}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Incorrect integer value: 'ada's' for column `d`.`t`.`n` at row 1", "ada's"),
        ('column "n": invalid input syntax for type integer: "ada"', "ada"),
        ('value "99999999999" is out of range for type integer', "99999999999"),
        ("Violation of UNIQUE KEY constraint 'u'. The duplicate key value is (ada, 1).", "ada, 1"),
        ("Conversion failed when converting the varchar value 'ada' to data type int.", "ada"),
        ("Conversion Error: Could not convert string 'ada' to INT32", "ada"),
    ],
)
def test_each_server_has_its_own_words_for_values(text: str, value: str) -> None:
    assert values_in(text) == (value,)


CAPITALS = arrow_schema([("ID", pa.int64()), ("Name", pa.string())])


@pytest.mark.parametrize("database", ["mysql", "sqlite", "duckdb", *SERVERS[2:]], indirect=True)
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_names_of_columns_that_differ_in_case_only_are_the_same(database: Database, mode: Mode) -> None:
    database.sql("CREATE TABLE t (id BIGINT, name VARCHAR(20))")
    keys = ("ID",) if mode == "merge" else ()
    for name in ("old", "new"):
        database.place.run(name, [(load("t", mode, CAPITALS, keys=keys), arrow_table(CAPITALS, [[1], [name]]))])
    found = [(1, "new")] if keys else [(1, "old"), (1, "new")]
    assert sorted(database.sql("SELECT * FROM t")) == sorted(found)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_no_column_is_added_beside_one_that_differs_in_case_only(database: Database) -> None:
    database.sql("CREATE TABLE t (id BIGINT, name VARCHAR(20))")
    with pytest.raises(FatalError, match='"ID" is "id" in the table') as refused:
        database.place.run(1, [(load("t", schema=CAPITALS), arrow_table(CAPITALS, [[1], ["a"]]))])
    assert (refused.value.code, "rename" in refused.value.hint) == (Code.SCHEMA_MISMATCH, True)
