"""Changes of a PostgreSQL table: the snapshot and what follows it make the table, whatever was done to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from tests.conftest import Server
from tests.sources.conftest import Database
from tests.sources.follower import Follower, follow, logged_database

from headgate.core.errors import Code, HeadgateError


@pytest.fixture
def database(postgres_server: Server) -> Iterator[Database]:
    with logged_database(postgres_server) as found:
        yield found


@pytest.fixture
def follower(database: Database) -> Follower:
    return follow(database)


def test_a_snapshot_then_inserts_updates_and_deletes(follower: Follower) -> None:
    assert len(follower.run()) == 3
    assert follower.agrees()
    follower.database.execute(
        "INSERT INTO t VALUES (4, 'four', 4)",
        "UPDATE t SET n = 20 WHERE id = 2",
        "UPDATE t SET n = 21 WHERE id = 2",
        "DELETE FROM t WHERE id = 1",
    )
    assert follower.run() == ["4", "2", "2", "1"]
    assert follower.agrees()
    assert follower.run() == []


def test_writers_beside_the_snapshot_leave_no_gap_and_no_double(follower: Follower) -> None:
    """Transactions commit all the time while the slot is made, the snapshot read and changes followed."""
    stop = threading.Event()

    def write(number: int) -> None:
        with psycopg.connect(follower.database.url) as session:
            key = 1000 * number
            while not stop.is_set():
                key += 1
                session.execute("INSERT INTO t VALUES (%s, 'x', 0)", (key,))
                with session.transaction():
                    session.execute("UPDATE t SET n = n + 1 WHERE id = %s", (key - 1,))
                if key % 3 == 0:
                    session.execute("DELETE FROM t WHERE id = %s", (key - 2,))
                if key % 7:
                    session.commit()
                else:
                    session.rollback()

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 3)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(6):
            follower.run()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    follower.run()
    assert follower.agrees()
    assert len(follower.rows) > 20


def test_a_table_that_was_emptied_replaces_everything(follower: Follower) -> None:
    follower.run()
    follower.database.execute(
        "INSERT INTO t VALUES (5, 'gone', 5)",
        "TRUNCATE t",
        "INSERT INTO t VALUES (6, 'x', 6)",
        "TRUNCATE t",
        "INSERT INTO t VALUES (7, 'stays', 7)",
    )
    assert follower.run() == ["7"]
    assert follower.agrees()
    follower.database.execute("TRUNCATE t")
    follower.run()
    assert follower.rows == {}


def test_a_changed_key_is_another_row(follower: Follower) -> None:
    follower.run()
    follower.database.execute("UPDATE t SET id = id + 10", "UPDATE t SET id = 1 WHERE id = 12")
    assert follower.run() == ["1", "11", "2", "12", "3", "13", "12", "1"]
    assert follower.agrees()


def test_a_transaction_that_is_rolled_back_or_still_open_is_not_seen(follower: Follower) -> None:
    follower.run()
    with psycopg.connect(follower.database.url) as early, psycopg.connect(follower.database.url) as late:
        early.execute("INSERT INTO t VALUES (10, 'early', 0)")
        late.execute("INSERT INTO t VALUES (11, 'late', 0)")
        late.rollback()
        follower.database.execute("INSERT INTO t VALUES (12, 'between', 0)")
        assert follower.run() == ["12"]
        early.commit()
    assert follower.run() == ["10"]
    assert follower.agrees()


def test_what_the_target_committed_is_not_read_again_when_the_source_was_not_told(follower: Follower) -> None:
    follower.run(acknowledge=False)
    follower.database.execute("INSERT INTO t VALUES (20, 'a', 0)")
    assert follower.run(acknowledge=False) == ["20"]
    follower.database.execute("INSERT INTO t VALUES (21, 'b', 0)")
    assert follower.run() == ["21"]
    assert follower.agrees()


def test_small_values_of_a_wide_row_that_an_update_left_alone(database: Database) -> None:
    """The server keeps even these elsewhere where a row has many, and then leaves them unsent."""
    names = [f"c{number}" for number in range(60)]
    database.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, n int, {', '.join(f'{name} text' for name in names)})",
        *(f"ALTER TABLE t ALTER {name} SET STORAGE EXTERNAL" for name in names),
        f"INSERT INTO t VALUES (1, 1, {', '.join(['repeat($$a$$, 50)'] * len(names))})",
    )
    follower = Follower(database)
    follower.run()
    stale = "a" * 50
    follower.context = replace(follower.context, lookup=lambda _, keys, __: dict.fromkeys(keys, stale))
    changes = ", ".join(f"{name} = repeat($$b$$, 50)" for name in names)
    database.execute(f"UPDATE t SET {changes}", "UPDATE t SET n = 2")
    follower.run()
    assert follower.agrees()


def test_a_run_that_fails_reads_the_same_again(follower: Follower) -> None:
    follower.run()
    follower.database.execute("INSERT INTO t VALUES (30, 'a', 0)")
    before = follower.position
    assert follower.run(acknowledge=False) == ["30"]
    follower.position = before
    assert follower.run() == ["30"]


def test_large_values_that_an_update_left_alone(database: Database) -> None:
    """The server does not send them: they come from earlier in the run, from the old row, or from the target."""
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, doc text, n int)",
        "ALTER TABLE t ALTER doc SET STORAGE EXTERNAL",
        "INSERT INTO t VALUES (1, repeat('a', 9000), 1), (2, repeat('b', 9000), 1)",
    )
    follower = Follower(database)
    follower.run()
    database.execute("INSERT INTO t VALUES (3, repeat('c', 9000), 1)", "UPDATE t SET n = 2 WHERE id = 3")
    follower.run()
    assert follower.agrees()

    database.execute("UPDATE t SET n = 3 WHERE id = 1")
    with pytest.raises(HeadgateError, match="cannot tell it"):
        follower.run()

    asked: list[Any] = []

    def lookup(names: Any, keys: Any, column: str) -> dict[tuple[str, ...], str | None]:
        asked.append((names, keys, column))
        return {key: follower.rows[int(key[0])][column] for key in keys}

    follower.context = replace(follower.context, lookup=lookup)
    assert follower.run() == ["1"]
    assert asked == [(["id"], [("1",)], "doc")]
    assert follower.agrees()

    database.execute(
        "ALTER TABLE t REPLICA IDENTITY FULL", "UPDATE t SET n = 4 WHERE id = 2", "UPDATE t SET id = 9 WHERE id = 1"
    )
    follower.context = replace(follower.context, lookup=None)
    follower.run()
    assert follower.agrees()


TYPES = (
    "b boolean, s smallint, i integer, l bigint, p numeric(12,3), q numeric, r real, d double precision, x text,"
    " v varchar(9), c char(4), y bytea, day date, clock time, at timestamp, zoned timestamptz, u uuid, j jsonb,"
    " a int[], span interval, words text[], prices numeric(9,2)[], days date[], flags bool[], codes char(3)[],"
    " raw bytea[], spans interval[], moments timestamptz[], none int[], free numeric[]"
)
VALUES = r"""
(1, true, -32768, 2147483647, -9223372036854775808, -0.125, 1234567.0000000001, 'NaN', '-Infinity', E'é😀''\n', '',
 'ab', '\x00ff5c', '9999-12-31', '23:59:59.999999', '0001-01-01 00:00:00.000001', '2024-06-30 12:00+05',
 '00000000-0000-0000-0000-000000000001', '{"k": [1, null]}', '{1,NULL}',
 '-1 year 2 mons -3 days 04:05:06.000007', array['a,"b\c', '', 'NULL', NULL, '{}', E'é
'], '{1.50,NULL,-0.01}',
 '{2024-02-29}', '{t,f,NULL}', '{a,bcd}', array['\x00ff'::bytea], array['-00:00:00.5'::interval, '1 day'],
 '{2024-06-30 12:00+05}', '{}',
 '{1.5,NULL,0.12345678901}')
"""


def test_every_type_is_the_same_in_the_snapshot_and_in_changes(database: Database) -> None:
    database.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, {TYPES})", f"INSERT INTO t VALUES {VALUES}", "INSERT INTO t VALUES (2)"
    )
    follower = Follower(database)
    follower.run()
    first = dict(follower.rows)
    database.execute("UPDATE t SET id = id + 100")
    follower.run()
    assert repr({key - 100: {**row, "id": row["id"] - 100} for key, row in follower.rows.items()}) == repr(first)


def test_arrays_and_intervals_have_their_own_types(database: Database) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a int[], span interval)")
    follower = Follower(database)
    follower.run()
    database.execute("INSERT INTO t VALUES (1, '{1,NULL}', '1 mon 2 days -00:00:03.5')")
    follower.run()
    made: Any = pa.MonthDayNano  # a struct sequence, whatever its stub says
    assert follower.rows[1] == {"id": 1, "a": [1, None], "span": made([1, 2, -3_500_000_000])}


def test_an_array_that_arrow_cannot_hold_is_named(database: Database) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a int[])")
    follower = Follower(database)
    follower.run()
    database.execute("INSERT INTO t VALUES (1, '{{1,2}}')")
    with pytest.raises(HeadgateError, match='column "a" holds an array that Arrow cannot hold'):
        follower.run()


def test_a_column_that_comes_or_goes_in_mid_stream(follower: Follower) -> None:
    follower.run()
    follower.database.execute(
        "INSERT INTO t VALUES (40, 'before', 1)",
        "ALTER TABLE t ADD COLUMN more int",
        "INSERT INTO t VALUES (41, 'after', 1, 7)",
    )
    follower.run()
    assert follower.rows[40]["more"] is None
    assert follower.rows[41]["more"] == 7
    follower.database.execute(
        "INSERT INTO t VALUES (42, 'x', 1, 8)", "ALTER TABLE t DROP COLUMN name", "INSERT INTO t VALUES (43, 1, 9)"
    )
    follower.run()
    assert [follower.rows[key].get("more") for key in (42, 43)] == [8, 9]


@pytest.mark.parametrize("change", ["ALTER COLUMN n TYPE text", "RENAME COLUMN n TO m"])
def test_a_change_of_the_table_that_cannot_be_followed_is_refused(follower: Follower, change: str) -> None:
    follower.run()
    follower.database.execute("INSERT INTO t VALUES (50, 'x', 1)", f"ALTER TABLE t {change}")
    with pytest.raises(HeadgateError) as caught:
        follower.run()
    assert caught.value.code is Code.SCHEMA_MISMATCH
    assert "--full-refresh" in caught.value.hint


@pytest.mark.parametrize(
    ("prepare", "options", "reason"),
    [
        ("CREATE TABLE k (id int)", {"table": "k"}, "no primary key"),
        ("CREATE VIEW k AS SELECT 1 AS id", {"table": "k"}, "not a view"),
        ("ALTER TABLE t REPLICA IDENTITY NOTHING", {}, "replica identity"),
        ("SELECT 1", {"where": "n > 1"}, "condition"),
        ("SELECT 1", {"columns": ("name",)}, "primary key"),
    ],
)
def test_what_cannot_be_followed_exactly_is_refused(
    follower: Follower, prepare: str, options: dict[str, Any], reason: str
) -> None:
    follower.database.execute(prepare)
    with pytest.raises(HeadgateError, match=reason):
        Follower(follower.database, **{"table": "t", **options}).window()
