"""Changes into a target, run by run: the target becomes what the source is, in one commit with the position."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from tests.followed import MERGE, Followed

from headgate.core.errors import Code
from headgate.execute import publish
from headgate.sources.postgres.source import PostgresSource


def test_the_target_becomes_what_the_source_is(followed: Followed) -> None:
    first = followed.run()
    assert first.rows.inserted == 100
    assert followed.same()
    followed.shop(
        "UPDATE t SET n = n + 1 WHERE id <= 10",
        "UPDATE t SET n = n + 1 WHERE id <= 10",
        "DELETE FROM t WHERE id > 95",
        "INSERT INTO t VALUES (200, NULL, -1)",
        "INSERT INTO t VALUES (201, 'gone again', 0)",
        "DELETE FROM t WHERE id = 201",
        "UPDATE t SET id = 300 WHERE id = 50",
    )
    second = followed.run()
    assert followed.same()
    assert second.rows.deduplicated > 0
    assert (second.rows.inserted, second.rows.updated, second.rows.deleted) == (2, 10, 6)
    assert second.watermark is not None
    assert second.watermark.column == "lsn"
    assert followed.run().status.value == "skipped"


def test_position_and_rows_are_one_commit(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies before the commit changes nothing; one that dies after it is not done again."""
    followed.run()
    followed.shop("UPDATE t SET name = 'x'")

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "_record", dies)
        assert followed.attempt().is_failure
    assert not followed.same()
    with monkeypatch.context() as patch:
        patch.setattr(PostgresSource, "acknowledge", dies)
        assert followed.attempt().is_failure
    assert followed.same()
    followed.shop("DELETE FROM t WHERE id = 1")
    assert followed.run().rows.deleted == 1
    assert followed.same()


def test_writers_beside_the_runs_lose_nothing(followed: Followed) -> None:
    stop = threading.Event()

    def write(number: int) -> None:
        with psycopg.connect(followed.source) as session:
            for turn in range(10_000):
                if stop.is_set():
                    break
                key = 1000 * number + turn % 50
                session.execute("INSERT INTO t VALUES (%s, 'w', 0) ON CONFLICT (id) DO UPDATE SET n = t.n + 1", (key,))
                if turn % 5 == 0:
                    session.execute("DELETE FROM t WHERE id = %s", (key - 3,))
                if turn % 7:
                    session.commit()
                else:
                    session.rollback()

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(4):
            followed.run()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    followed.run()
    assert followed.same()


def test_an_emptied_table_empties_the_target(followed: Followed) -> None:
    followed.run()
    followed.shop("TRUNCATE t", "INSERT INTO t VALUES (1, 'new', 1), (2, 'gone', 2)", "DELETE FROM t WHERE id = 2")
    followed.run()
    assert followed.rows("SELECT id, name FROM out") == [(1, "new")]
    followed.shop("TRUNCATE t")
    followed.run()
    assert followed.rows("SELECT count(*) FROM out") == [(0,)]


def test_large_values_that_did_not_change_are_kept_from_the_target(followed: Followed) -> None:
    followed.shop("UPDATE t SET name = (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 500) g)")
    followed.run()
    followed.shop("UPDATE t SET n = n * 2")
    assert followed.run().rows.updated == 100
    assert followed.same()


def test_rules_ask_nothing_of_deleted_rows(followed: Followed) -> None:
    steps = [{"type": "calculate", "columns": {"twice": "n * 2"}}]
    rules = [{"type": "not_null", "columns": ["name", "twice"]}]
    followed.pipeline |= {"transformations": steps, "quality_rules": rules}
    followed.write()
    followed.run()
    followed.shop("DELETE FROM t WHERE id = 1", "UPDATE t SET n = 7 WHERE id = 2")
    assert followed.run().checks[0].passed
    assert followed.rows("SELECT twice FROM out WHERE id <= 2") == [(14,)]
    followed.shop("UPDATE t SET name = NULL WHERE id = 3")
    assert followed.attempt().error_code is Code.QUALITY_CHECK_FAILED


def test_a_new_column_reaches_the_target(followed: Followed) -> None:
    followed.run()
    followed.shop("ALTER TABLE t ADD COLUMN extra int", "UPDATE t SET extra = 5 WHERE id = 1")
    followed.run()
    assert followed.rows("SELECT extra FROM out WHERE id = 1") == [(5,)]
    assert followed.same()


def test_appended_every_change_is_kept_in_its_order(followed: Followed) -> None:
    followed.write(target={"connection": "goal", "table": "out"})
    followed.run()
    followed.shop("UPDATE t SET n = 0 WHERE id = 1", "UPDATE t SET n = 1 WHERE id = 1", "DELETE FROM t WHERE id = 1")
    followed.run()
    found = followed.rows("SELECT _change, n FROM out WHERE id = 1 ORDER BY _order, _change")
    assert [change for change, _ in found] == ["insert", "update", "update", "delete"]


def test_a_lost_slot_is_told_and_a_full_refresh_begins_anew(followed: Followed) -> None:
    followed.run()
    followed.shop(
        "DELETE FROM t WHERE id = 1",
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
        "DELETE FROM t WHERE id = 2",
    )
    failure = followed.attempt().failure
    assert failure is not None
    assert failure.code is Code.STATE_INVALID
    assert "--full-refresh" in failure.hint
    followed.run(full_refresh=True)
    assert followed.same()
    followed.shop("DELETE FROM t WHERE id = 3")
    followed.run()
    assert followed.same()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": {**MERGE, "mode": "upsert"}}, "deleted"),
        ({"transformations": [{"type": "filter", "condition": "n > 1"}]}, "leaves out"),
    ],
)
def test_a_plan_that_would_leave_rows_behind_is_refused(followed: Followed, change: Any, message: str) -> None:
    followed.write(**change)
    failure = followed.attempt().failure
    assert failure is not None
    assert failure.code is Code.PLAN_INVALID
    assert message in failure.message
