"""PostgreSQL as a source, against a real server."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from datetime import date
from typing import Any

import psycopg
import pytest

from headgate.core.contracts import Interval
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.io.postgres import changes
from headgate.sources.postgres import Read
from headgate.testing.rows import read_all
from headgate.testing.sources import SourceContract, SourcePlace, new_rows, read_window

Database = Any
"""The one of conftest.py."""


class TestContract(SourceContract):
    @pytest.fixture
    def place(self, database: Database) -> SourcePlace:
        found: SourcePlace = database
        return found


def changed(database: Database, read: Read, since: Any) -> tuple[list[Any], Any]:
    """The ids that a run reads, and the position after it."""
    found, position = new_rows(database, read, since)
    return ([] if found is None else sorted(found["id"].to_pylist())), position


ORDERS = "CREATE TABLE orders (id bigint PRIMARY KEY, at timestamptz)"


def orders(**options: Any) -> Read:
    return Read(table="orders", mode="incremental", incremental={"column": "at", "key": "id", **options})


class TestExactWindows:
    """Transactions that commit late are read by a later run, once."""

    def test_a_transaction_open_at_the_first_read_is_read_by_the_next(self, database: Database) -> None:
        database.execute(ORDERS)
        with psycopg.connect(database.url) as late:
            late.execute("INSERT INTO orders VALUES (1, '2024-01-01')")
            late.execute("SAVEPOINT s")
            late.execute("INSERT INTO orders VALUES (2, '2024-01-01')")
            late.execute("RELEASE SAVEPOINT s")
            database.execute("INSERT INTO orders VALUES (3, '2024-06-01')")
            first, since = changed(database, orders(), None)
            late.commit()
        second, since = changed(database, orders(), since)
        assert sorted(first + second) == [1, 2, 3]
        assert changed(database, orders(), since)[0] == []

    def test_a_prepared_transaction_is_read_when_it_commits(self, database: Database) -> None:
        database.execute(ORDERS)
        with psycopg.connect(database.url) as late:
            late.execute("INSERT INTO orders VALUES (1, '2024-01-01')")
            late.execute("PREPARE TRANSACTION 'late'")
            late.rollback()
        database.execute("INSERT INTO orders VALUES (2, '2024-06-01')")
        first, since = changed(database, orders(), None)
        database.execute("COMMIT PREPARED 'late'")
        second, _ = changed(database, orders(), since)
        assert sorted(first + second) == [1, 2]

    def test_what_was_rolled_back_is_never_read(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2024-01-01')")
        with psycopg.connect(database.url) as session:
            session.execute("INSERT INTO orders VALUES (2, '2024-01-01')")
            session.execute("SAVEPOINT s")
            session.execute("INSERT INTO orders VALUES (3, '2024-01-01')")
            session.execute("ROLLBACK TO SAVEPOINT s")
            session.commit()
            session.execute("INSERT INTO orders VALUES (4, '2024-01-01')")
            session.rollback()
        assert changed(database, orders(), None)[0] == [1, 2]

    def test_freezing_and_rewriting_a_table_reads_nothing_again(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2024-01-01'), (2, '2024-01-02')")
        _, since = changed(database, orders(), None)
        database.execute("VACUUM (FREEZE) orders", "VACUUM (FULL) orders", "ALTER TABLE orders ADD COLUMN note text")
        assert changed(database, orders(), since)[0] == []
        database.execute("UPDATE orders SET note = 'x' WHERE id = 1")
        assert changed(database, orders(), since)[0] == [1]

    def test_five_writers_and_a_reader_lose_and_repeat_nothing(self, database: Database) -> None:
        database.execute("CREATE TABLE orders (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")
        stop = threading.Event()
        writers = [threading.Thread(target=_write, args=(database.url, seed, stop)) for seed in range(5)]
        for writer in writers:
            writer.start()
        delivered: list[int] = []
        since: Any = None
        for _ in range(25):
            found, since = changed(database, orders(), since)
            delivered += found
        stop.set()
        for writer in writers:
            writer.join()
        found, since = changed(database, orders(), since)
        delivered += found
        with psycopg.connect(database.url) as session:
            wanted = [number for (number,) in session.execute("SELECT id FROM orders ORDER BY id").fetchall()]
        assert sorted(delivered) == wanted
        assert len(wanted) > 50
        assert changed(database, orders(), since)[0] == []

    def test_rows_that_change_between_probe_and_scan_belong_to_the_next_window(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2024-01-01'), (2, '2024-01-02')")
        source = database.open()
        window = source.probe(orders(), database.context(), None)
        assert window is not None
        database.execute("UPDATE orders SET at = '2025-01-01' WHERE id = 2")
        table, since = read_window(source, database, orders(), window)
        source.close()
        assert table["id"].to_pylist() == [1]
        assert since["value"].startswith("2024-01-01"), "the watermark is what was scanned"
        assert changed(database, orders(), since)[0] == [2]

    def test_partitions_are_read_like_one_table(self, database: Database) -> None:
        database.execute(
            "CREATE TABLE orders (id bigint, at timestamptz) PARTITION BY RANGE (id)",
            "CREATE TABLE low PARTITION OF orders FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE high PARTITION OF orders FOR VALUES FROM (10) TO (20)",
            "INSERT INTO orders VALUES (1, '2024-01-01'), (11, '2024-01-01')",
        )
        first, since = changed(database, orders(), None)
        assert first == [1, 11]
        database.execute("UPDATE orders SET id = 12 WHERE id = 1")
        assert changed(database, orders(), since)[0] == [12]

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ({"system": "1"}, "another server"),
            ({"timeline": 99}, "another server"),
            ({"xid": 2**40}, "went back"),
        ],
    )
    def test_a_position_of_another_server_is_refused(self, database: Database, wrong: dict[str, Any], why: str) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2024-01-01')")
        _, since = changed(database, orders(), None)
        with pytest.raises(FatalError) as refusal:
            changed(database, orders(), {**since, **wrong})
        assert refusal.value.code is Code.STATE_INVALID
        assert why in refusal.value.message
        assert "state reset" in refusal.value.hint

    def test_too_long_a_window_is_refused(self) -> None:
        since = changes.Moment(10, "s", 1).position(None)
        changes.check(since, changes.Moment(10 + 2**31 - 1, "s", 1), "orders")
        with pytest.raises(FatalError, match=r"2\*\*31"):
            changes.check(since, changes.Moment(10 + 2**31, "s", 1), "orders")


def _write(url: str, seed: int, stop: threading.Event) -> None:
    """Insert and update rows in transactions with savepoints and rollbacks until told to stop."""
    luck = random.Random(seed)  # noqa: S311 - a test
    with psycopg.connect(url) as session:
        while not stop.is_set():
            for _ in range(luck.randint(1, 3)):
                session.execute("SAVEPOINT s")
                session.execute("INSERT INTO orders DEFAULT VALUES")
                time.sleep(luck.random() / 200)
                session.execute("ROLLBACK TO s" if luck.random() < 0.3 else "RELEASE s")
            if luck.random() < 0.2:
                session.rollback()
            else:
                session.commit()


class TestPositions:
    def test_the_first_run_starts_where_it_is_told(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2023-12-31'), (2, '2024-01-01'), (3, '2024-01-02')")
        first, since = changed(database, orders(start=date(2024, 1, 1)), None)
        assert first == [2, 3]
        database.execute("UPDATE orders SET at = '2020-01-01' WHERE id = 1")
        assert changed(database, orders(start=date(2024, 1, 1)), since)[0] == [1], "a change is a change"

    def test_a_position_set_by_hand_is_a_lower_bound(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2024-01-01'), (2, '2024-01-02'), (3, '2024-01-03')")
        found, since = changed(database, orders(), {"value": "2024-01-02T00:00:00+00:00"})
        assert found == [3]
        assert "xid" in since

    def test_the_watermark_never_goes_back(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2024-05-01')")
        _, since = changed(database, orders(), None)
        database.execute("INSERT INTO orders VALUES (2, '2024-01-01')")
        found, later = changed(database, orders(), since)
        assert found == [2]
        assert later["value"] == since["value"]

    def test_null_cursors_follow_the_policy(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, NULL), (2, '2024-01-01')")
        with pytest.raises(FatalError, match="at is NULL in 1 row") as refusal:
            changed(database, orders(), None)
        assert refusal.value.code is Code.EXTRACTION_FAILED
        assert changed(database, orders(nulls="include"), None)[0] == [1, 2]
        assert changed(database, orders(nulls="ignore"), None)[0] == [2]

    def test_an_interval_reads_its_own_rows_and_leaves_the_position(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2024-01-01'), (2, '2024-01-02'), (3, '2024-01-03')")
        context = database.context(interval=Interval("2024-01-02", "2024-01-03"))
        source = database.open()
        window = source.probe(orders(), context, {"value": "x", "xid": 5})
        assert window is not None
        scan = source.scan(orders(), context, window)
        assert read_all(scan)["id"].to_pylist() == [2]
        assert scan.position is None
        assert (window.identity, window.high) == ({"interval": ["2024-01-02", "2024-01-03"]}, {"value": "x", "xid": 5})
        source.close()

    @pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
    def test_views_are_read_by_value_with_ties(self, database: Database, kind: str) -> None:
        database.execute(
            "CREATE TABLE base (id bigint, at timestamptz)",
            "INSERT INTO base VALUES (1, '2024-01-01'), (2, '2024-01-02')",
            f"CREATE {kind} orders AS SELECT * FROM base",
        )
        first, since = changed(database, orders(), None)
        assert first == [1, 2]
        database.execute("INSERT INTO base VALUES (3, '2024-01-02'), (4, '2024-01-03')")
        if kind != "VIEW":
            database.execute("REFRESH MATERIALIZED VIEW orders")
        assert changed(database, orders(), since)[0] == [3, 4]

    def test_queries_take_parameters_and_variables_as_values(self, database: Database) -> None:
        database.execute(ORDERS, "INSERT INTO orders VALUES (1, '2024-01-01'), (2, '2024-01-02'), (3, '2024-01-03')")
        read = Read(
            query="SELECT id, at::date AS day, ':least' AS text FROM orders WHERE id >= :least AND at >= {{ ds }}; ",
            parameters={"least": 2},
            where="id < :most -- not the last",
        )
        read = read.model_copy(update={"parameters": {"least": 2, "most": 3}})
        source, context = database.open(), database.context(variables={"ds": date(2024, 1, 1)})
        window = source.probe(read, context, None)
        assert window is not None
        rows = read_all(source.scan(read, context, window)).to_pylist()
        source.close()
        assert rows == [{"id": 2, "day": date(2024, 1, 2), "text": ":least"}]


class TestFailures:
    def test_a_query_that_fails_in_the_middle_fails_the_scan(self, database: Database) -> None:
        with pytest.raises(FatalError, match="division by zero") as refusal:
            new_rows(database, Read(query="SELECT 1 / (50000 - i) AS x FROM generate_series(1, 100000) AS i"), None)
        assert refusal.value.code is Code.EXTRACTION_FAILED

    def test_a_server_process_that_dies_in_mid_stream_is_no_end_of_data(self, database: Database) -> None:
        source, read = database.open(), Read(query="SELECT i, repeat('x', 500) AS t FROM generate_series(1, 400000) i")
        window = source.probe(read, database.context(), None)
        assert window is not None
        scan = source.scan(read, database.context(), window)
        assert scan.batches is not None
        scan.batches.read_next_batch()
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'COPY%' AND pid <> pg_backend_pid()"
        )
        with pytest.raises(RetriableError) as broken:
            for _ in scan.batches:
                pass
        assert broken.value.code is Code.CONNECTION_FAILED
        scan.close()
        source.close()

    def test_unknown_columns_are_named_with_the_nearest(self, database: Database) -> None:
        database.execute(ORDERS)
        with pytest.raises(FatalError, match='did you mean "at"'):
            changed(database, orders(column="att"), None)
        with pytest.raises(FatalError, match='no column "idd"') as refusal:
            new_rows(database, Read(table="orders", columns=("idd",)), None)
        assert refusal.value.code is Code.SCHEMA_MISMATCH

    def test_a_mistake_in_the_condition_is_the_servers_own_message(self, database: Database) -> None:
        database.execute(ORDERS)
        with pytest.raises(FatalError, match="syntax error") as refusal:
            new_rows(database, Read(table="orders", where="id >"), None)
        assert refusal.value.code is Code.PLAN_INVALID

    def test_a_role_needs_to_see_no_more_columns_than_are_read(self, database: Database) -> None:
        database.execute(
            "CREATE TABLE people (id bigint, name text, salary int)", "INSERT INTO people VALUES (1, 'a', 9)"
        )
        role = f"clerk_{abs(hash(database.url))}"
        database.execute(f"CREATE ROLE {role} LOGIN", f"GRANT SELECT (id, name) ON people TO {role}")
        clerk = type(database)(database.url.replace("postgres@", f"{role}@"))
        read = Read(table="people", columns=("id", "name"), where="id > 0")
        try:
            found, _ = new_rows(clerk, read, None)
            assert found is not None
            assert found.to_pydict() == {"id": [1], "name": ["a"]}
            with pytest.raises(FatalError, match="permission denied"):
                new_rows(clerk, Read(table="people"), None)
        finally:
            database.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    def test_sources_cannot_write(self, database: Database) -> None:
        database.execute("CREATE SEQUENCE s")
        with pytest.raises(FatalError, match="read-only"):
            new_rows(database, Read(query="SELECT nextval('s') AS id"), None)


def test_reading_imports_no_library_of_data_frames(database: Database) -> None:
    """The driver imports those that are there, where it is used as the Python database interface has it."""
    database.execute("CREATE TABLE t AS SELECT 1 AS id")
    code = (
        "import sys; from headgate.io.postgres import Connection; from headgate.io.postgres.reading import Snapshot\n"
        f"snapshot = Snapshot(Connection(url={database.url!r}), 't')\n"
        "print(snapshot.rows('SELECT id FROM t'), *sys.modules); snapshot.close()"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    told, *loaded = ran.stdout.split()
    assert told == "[(1,)]"
    assert not {"pandas", "polars", "pyarrow.dataset"} & set(loaded)


def test_probing_imports_no_heavy_library() -> None:
    heavy = {"pyarrow", "duckdb", "numpy", "sqlglot", "adbc_driver_postgresql", "pgpq"}
    code = "import sys, headgate.sources.postgres, headgate.targets.postgres, psycopg; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    loaded = set(ran.stdout.split())
    assert not heavy & loaded
