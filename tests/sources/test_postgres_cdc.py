"""Changes of a PostgreSQL table: the snapshot and what follows it make the table, whatever was done to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from tests.conftest import Server, database_name
from tests.sources.conftest import Database

from headgate.core.contracts import Window
from headgate.core.errors import Code, HeadgateError
from headgate.io.postgres import slots
from headgate.sources.postgres import Cdc, Read

Row = dict[str, Any]


class Follower:
    """Follows one table, run by run; what it knows is what a target would have."""

    def __init__(self, database: Database, table: str = "t", **read: Any) -> None:
        self.database, self.read = database, Read(table=table, mode="cdc", **read)
        self.context = replace(database.context(), project="shop", pipeline="orders")
        self.position: Mapping[str, Any] | None = None
        self.rows: dict[Any, Row] = {}
        self.seen: list[str] = []

    def window(self) -> Window | None:
        source = self.database.open()
        try:
            return source.probe(self.read, self.context, self.position)
        finally:
            source.close()

    def run(self, *, acknowledge: bool = True) -> list[str]:
        """One run: what was done to each row, in its order; [] if there was nothing new."""
        source = self.database.open()
        try:
            window = source.probe(self.read, self.context, self.position)
            if window is None:
                return []
            if window.idle:
                self.position = window.high
                source.acknowledge(self.read, window.high)
                return []
            scan = source.scan(self.read, self.context, window)
            try:
                assert scan.batches is not None
                assert scan.position is not None
                found = pa.Table.from_batches(scan.batches, scan.schema.raw).to_pylist()
                position = scan.position()
            finally:
                scan.close()
            if acknowledge:
                source.acknowledge(self.read, position)
        finally:
            source.close()
        self.position = position
        if scan.whole:
            self.rows.clear()
        for row in sorted(found, key=lambda row: row["_order"]):
            change = row.pop("_change")
            row.pop("_order")
            self.rows.pop(row["id"], None)
            if change != "delete":
                self.rows[row["id"]] = row
        self.seen = [f"{row['id']}" for row in found]
        return self.seen

    def agrees(self, columns: str = "*") -> bool:
        """Whether what is known is what the table has."""
        with psycopg.connect(self.database.url, row_factory=psycopg.rows.dict_row) as session:
            there = session.execute(f"SELECT {columns} FROM {self.read.table}").fetchall()
        return sorted(map(repr, self.rows.values())) == sorted(map(repr, there))


@pytest.fixture
def database(postgres_server: Server) -> Iterator[Database]:
    name = database_name()
    url = postgres_server.create_database(name)
    found = Database(url)
    # a commit is in the log when its writer goes on, as with any server that is not one for tests
    found.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
    yield found
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
            " AND database = current_database()"
        )
    postgres_server.drop_database(name)


@pytest.fixture
def follower(database: Database) -> Follower:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, name text, n bigint)",
        "INSERT INTO t VALUES (1, 'one', 1), (2, NULL, 2), (3, '', 3)",
    )
    return Follower(database)


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


def test_a_slot_that_is_gone_is_told_and_never_replaced_in_silence(follower: Follower) -> None:
    follower.run()
    follower.database.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
    )
    with pytest.raises(HeadgateError, match="was dropped") as caught:
        follower.run()
    assert caught.value.code is Code.STATE_INVALID


def test_a_slot_that_the_server_gave_up_is_told_and_never_replaced_in_silence(follower: Follower) -> None:
    follower.run()
    follower.database.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    try:
        for turn in range(4):
            follower.database.execute(f"INSERT INTO t VALUES ({10 + turn}, 'x', 1)", "SELECT pg_switch_wal()")
        follower.database.execute("CHECKPOINT")
    finally:
        follower.database.execute("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")
    with pytest.raises(HeadgateError, match="fell too far behind") as refused:
        follower.run()
    assert refused.value.code is Code.STATE_INVALID
    assert "--full-refresh" in refused.value.hint
    follower.position = None
    follower.run()
    assert follower.agrees()


def test_a_first_run_that_never_published_is_begun_anew(follower: Follower) -> None:
    follower.run(acknowledge=False)
    follower.position, follower.rows = None, {}
    follower.database.execute("DELETE FROM t WHERE id = 1")
    assert len(follower.run()) == 2
    assert follower.agrees()


def test_a_slot_moves_on_with_the_position_though_only_other_tables_change(follower: Follower) -> None:
    """It is never ahead of what the target has: a slot that is, was read by somebody else."""
    follower.run()
    first = follower.position
    assert first is not None
    follower.database.execute("CREATE TABLE other (x int)", "INSERT INTO other SELECT generate_series(1, 1000)")
    assert follower.run() == []
    assert follower.position == first, "so little log may wait"
    follower.database.execute(
        *["INSERT INTO other SELECT generate_series(1, 100000)"] * 3,
        "SELECT pg_switch_wal()",
        "INSERT INTO other VALUES (1)",
    )
    assert follower.run() == []
    with psycopg.connect(follower.database.url) as session:
        slot = session.execute(
            "SELECT slot_name, confirmed_flush_lsn::text FROM pg_replication_slots WHERE database = current_database()"
        ).fetchone()
    assert slot is not None
    assert slots.number(slot[1]) == follower.position["lsn"] > first["lsn"]
    follower.database.execute("INSERT INTO t VALUES (60, 'x', 1)")
    assert follower.run() == ["60"]


def test_the_note_tells_how_healthy_the_slot_is(follower: Follower) -> None:
    follower.run()
    follower.database.execute("INSERT INTO t VALUES (61, 'x', 1)")
    window = follower.window()
    assert window is not None
    assert "1 changes" in window.note
    assert "reserved" in window.note


def test_two_pipelines_have_a_slot_each(follower: Follower) -> None:
    other = Follower(follower.database)
    other.context = replace(other.context, pipeline="other")
    follower.run()
    other.run()
    follower.database.execute("INSERT INTO t VALUES (70, 'x', 1)")
    assert follower.run() == other.run() == ["70"]


def test_a_trial_leaves_no_slot(follower: Follower) -> None:
    source = follower.database.open()
    context = replace(follower.context, trial=True)
    window = source.probe(follower.read, context, None)
    assert window is not None
    scan = source.scan(follower.read, context, window)
    assert scan.batches is not None
    assert scan.batches.read_all().num_rows == 3
    scan.close()
    source.close()
    with psycopg.connect(follower.database.url) as session:
        assert session.execute(
            "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
        ).fetchone() == (0,)


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


def test_names_of_slots_are_what_the_server_allows() -> None:
    assert slots.slot_name(("My Shop", "täglich", "public.Orders")).startswith(
        "headgate_my_shop_t_glich_public_orders_"
    )
    assert len(slots.slot_name(("x" * 99, "y", "z"))) <= slots.LONGEST
    with pytest.raises(ValueError, match="pattern"):
        Cdc(slot="Robert'); DROP TABLE t")
