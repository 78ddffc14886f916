"""Changes between databases of a real server: the last of each key counts, and memory does not hang on their width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Server
from tests.followed import Followed, following
from tests.peak import peak

CDC = {"connection": "shop", "table": "t", "mode": "cdc"}
MEGABYTES = 500


@pytest.fixture
def followed(tmp_path: Path, postgres_server: Server) -> Iterator[Followed]:
    yield from following(tmp_path, (postgres_server, postgres_server))


def test_of_several_changes_of_a_key_the_last_counts(followed: Followed) -> None:
    assert followed.go().status == 0
    followed.shop(
        "UPDATE t SET n = n + 1",
        "UPDATE t SET n = n + 1 WHERE id <= 50",
        "DELETE FROM t WHERE id <= 10",
        "INSERT INTO t VALUES (1, 'again', 1)",
    )
    receipt = followed.run()
    assert (receipt.rows.extracted, receipt.rows.deduplicated) == (161, 61)
    assert followed.same()


def test_a_trial_reads_no_more_changes_than_it_is_told(followed: Followed) -> None:
    """It begins with a snapshot, since it may leave no slot behind."""
    assert followed.run(limit=7).rows.extracted == 7
    assert followed.slots() == []


def test_every_change_is_appended_in_its_order(followed: Followed) -> None:
    followed.define(source=CDC, target={"connection": "goal", "table": "out", "mode": "append"})
    assert followed.go().status == 0
    followed.shop("UPDATE t SET n = 0 WHERE id = 1", "UPDATE t SET n = 1 WHERE id = 1", "DELETE FROM t WHERE id = 1")
    receipt = followed.run()
    assert (receipt.rows.extracted, receipt.rows.deduplicated) == (3, 0)
    told = followed.rows("SELECT _change, n FROM out WHERE id = 1 AND _change <> 'insert' ORDER BY _order")
    assert told == [("update", 0), ("update", 1), ("delete", None)]


def test_wide_rows_take_no_more_memory_than_narrow_ones(followed: Followed) -> None:
    """1,500 changes of 100,000 bytes, and as many rows in the snapshot before."""
    followed.shop(
        "ALTER TABLE t ALTER name SET STORAGE EXTERNAL",
        "INSERT INTO t SELECT g, '', g FROM generate_series(101, 1500) g",
        "UPDATE t SET name = repeat(md5(random()::text), 3125)",
    )
    assert peak(followed.root) < MEGABYTES
    followed.shop("UPDATE t SET name = repeat(md5(random()::text), 3125)")
    assert peak(followed.root) < MEGABYTES
    assert followed.same("id, md5(name), n")
