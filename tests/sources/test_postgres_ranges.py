"""A table read by several sessions at once is one state of it, each row once."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from tests.sources.conftest import Database

from headgate.core.errors import HeadgateError
from headgate.io.postgres.ranges import conditions
from headgate.sources.postgres import Read


def read(database: Database, **options: Any) -> list[int]:
    source = database.open()
    try:
        context = database.context(batch_size=500)
        chosen = database.read("t", parallel=4, **options)
        window = source.probe(chosen, context, None)
        assert window is not None
        scan = source.scan(chosen, context, window)
        assert scan.batches is not None
        try:
            return sorted(row["id"] for batch in scan.batches for row in batch.to_pylist())
        finally:
            scan.close()
    finally:
        source.close()


@pytest.fixture
def filled(database: Database) -> Database:
    database.execute(
        "CREATE TABLE t (id int, note text)",
        "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g",
    )
    return database


def test_every_row_is_read_once(filled: Database) -> None:
    assert read(filled) == list(range(1, 5001))
    assert read(filled, where="id % 2 = 0") == list(range(2, 5001, 2))


def test_a_small_or_empty_table_needs_no_ranges(database: Database) -> None:
    database.execute("CREATE TABLE t (id int)")
    assert read(database) == []
    database.execute("INSERT INTO t VALUES (7)")
    assert read(database) == [7]


def test_the_plan_says_how_many_sessions_read(filled: Database) -> None:
    def note(**options: Any) -> str:
        source = filled.open()
        window = source.probe(Read(**options), filled.context(), None)
        source.close()
        assert window is not None
        return window.note

    by_id: dict[str, Any] = {"mode": "incremental", "incremental": {"column": "id"}}
    assert note(table="t", parallel=4).endswith("; by up to 4 sessions, where rows go through the engine")
    for other in ({"query": "SELECT 1 AS id"}, {"table": "t", "max_records": 9}, {"table": "t", **by_id}):
        assert "by one session" in note(parallel=4, **other)
    assert "session" not in note(table="t")


def test_rows_that_move_between_pages_meanwhile_are_neither_lost_nor_doubled(filled: Database) -> None:
    """Each update writes the row anew, at the end of the table: ranges of different moments would see it twice."""
    stop = threading.Event()

    def move() -> None:
        with psycopg.connect(filled.url, autocommit=True) as session:
            while not stop.is_set():
                session.execute("UPDATE t SET note = note WHERE id % 50 = floor(random() * 50)::int")

    writer = threading.Thread(target=move)
    writer.start()
    try:
        for _ in range(5):
            assert read(filled) == list(range(1, 5001))
    finally:
        stop.set()
        writer.join()


def test_an_error_in_one_range_fails_the_scan(filled: Database) -> None:
    with pytest.raises(HeadgateError, match="division by zero"):
        read(filled, where="1 / (id - 4000) < 2")


@pytest.mark.parametrize(("pages", "parts"), [(10, 3), (3, 3), (1, 1), (0, 1)])
def test_ranges_follow_each_other_without_a_gap(pages: int, parts: int) -> None:
    found = conditions(pages, parts)
    assert len(found) == parts
    ends = [text.rpartition("< ")[2] for text in found[:-1]]
    starts = [text.partition(">= ")[2].partition(" AND")[0] for text in found[1:]]
    assert ends == starts


def test_a_scan_closed_in_the_middle_waits_for_whoever_reads_and_leaves_no_session(filled: Database) -> None:
    """A session closed under a thread that reads from it took the process down."""
    filled.execute("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(5001, 200000) g")
    source = filled.open()
    context, chosen = filled.context(batch_size=500), filled.read("t", parallel=4)
    for _ in range(5):
        window = source.probe(chosen, context, None)
        assert window is not None
        scan = source.scan(chosen, context, window)
        assert scan.batches is not None
        assert scan.batches.read_next_batch().num_rows == 500
        scan.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "headgate-range"]
        with pytest.raises(HeadgateError, match="ended"):
            scan.batches.read_next_batch()
    source.close()
    with psycopg.connect(filled.url) as session:
        others = "SELECT query FROM pg_stat_activity WHERE application_name = 'headgate'"
        assert session.execute(others).fetchall() == []
