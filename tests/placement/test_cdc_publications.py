"""Publications as people make, alter and drop them: a run tells what they left out, or follows exactly."""

from __future__ import annotations

from typing import Any

import pytest
from tests.followed import Followed

EVERYTHING = "insert, update, delete, truncate"
CDC = {"connection": "shop", "table": "t", "mode": "cdc"}


def own(followed: Followed) -> str:
    """The publication that the first run made."""
    return str(followed.rows("SELECT pubname FROM pg_publication", followed.source)[0][0])


def named(followed: Followed, *statements: str, **read: Any) -> None:
    """The pipeline reads a publication that somebody else made by these statements."""
    followed.shop(*statements)
    followed.define(source={**CDC, "cdc": {"publication": "theirs"}, **read}, target=followed.pipeline["target"])


def test_a_publication_that_was_dropped(followed: Followed) -> None:
    """Since version 18 the server only warns of it, and tells no change."""
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id = 1", f"DROP PUBLICATION {own(followed)}", "DELETE FROM t WHERE id = 2")
    told = followed.refused("STATE_INVALID", "publication", "was dropped", status=1)
    assert "--full-refresh" in told.hint
    followed.anew()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DROP PUBLICATION {p}", "CREATE PUBLICATION {p} FOR TABLE t"),
        ("ALTER PUBLICATION {p} DROP TABLE t", "ALTER PUBLICATION {p} ADD TABLE t"),
        ("ALTER PUBLICATION {p} SET (publish = 'insert')", f"ALTER PUBLICATION {{p}} SET (publish = '{EVERYTHING}')"),
        ("ALTER PUBLICATION {p} SET TABLE t WHERE (id > 50)", "ALTER PUBLICATION {p} SET TABLE t"),
    ],
    ids=["dropped", "without the table", "inserts only", "a row filter"],
)
def test_a_publication_that_was_silent_for_a_while(followed: Followed, before: str, after: str) -> None:
    assert followed.go().status == 0
    name = own(followed)
    followed.shop(before.format(p=name), "DELETE FROM t WHERE id = 1", after.format(p=name))
    told = followed.refused("STATE_INVALID", "altered or made again", status=1)
    assert "--full-refresh" in told.hint
    followed.anew()


def test_a_publication_that_gets_and_loses_other_tables_tells_the_same(followed: Followed) -> None:
    assert followed.go().status == 0
    name = own(followed)
    followed.shop(
        "CREATE TABLE other (id int PRIMARY KEY, name text, n numeric(12,2))",
        f"ALTER PUBLICATION {name} ADD TABLE other",
        "INSERT INTO other VALUES (1, 'not ours', 0), (500, 'not ours', 0)",
        "DELETE FROM t WHERE id = 2",
    )
    assert followed.go().status == 0
    assert followed.same()
    followed.shop(f"ALTER PUBLICATION {name} DROP TABLE other", "DELETE FROM t WHERE id = 3")
    assert followed.go().status == 0
    assert followed.same()


@pytest.mark.parametrize(
    ("change", "reason", "remedy"),
    [
        ("ALTER PUBLICATION {p} DROP TABLE t", "does not have the table", "ADD TABLE"),
        ("ALTER PUBLICATION {p} SET (publish = 'insert')", "update and each delete", "publish = 'insert, update"),
        ("ALTER PUBLICATION {p} SET (publish = 'insert, update, delete')", "each truncate", "truncate"),
        ("ALTER PUBLICATION {p} SET TABLE t (id, name)", "column n", "columns: [id, name]"),
    ],
)
def test_a_publication_that_was_altered(followed: Followed, change: str, reason: str, remedy: str) -> None:
    """Without the table, without deletes or truncates, or with a list of columns it tells less than was read."""
    assert followed.go().status == 0
    followed.shop(change.format(p=own(followed)), "DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (101, 'x', 1)")
    told = followed.refused("UNSUPPORTED", reason, status=2)
    assert remedy in told.hint
    followed.anew()


@pytest.mark.parametrize(
    ("publication", "reason"),
    [
        ("CREATE PUBLICATION theirs FOR TABLE other", "does not have the table"),
        ("CREATE PUBLICATION theirs FOR TABLE t WITH (publish = 'insert')", "does not tell of each update"),
        ("CREATE PUBLICATION theirs FOR TABLE t (id, name)", "does not tell of column n"),
    ],
)
def test_a_publication_of_somebody_else_that_tells_less(followed: Followed, publication: str, reason: str) -> None:
    """The first run says it, and so does the plan: neither makes a slot or touches the publication."""
    named(followed, "CREATE TABLE other (id int PRIMARY KEY)", publication)
    before = followed.rows("SELECT p::text FROM pg_publication p", followed.source)
    followed.refused("UNSUPPORTED", reason, status=2)
    planned = followed.headgate("plan", "load")
    assert reason in planned.text
    assert followed.slots() == []
    assert followed.rows("SELECT p::text FROM pg_publication p", followed.source) == before


@pytest.mark.parametrize("tables", ["FOR TABLE other, t", "FOR ALL TABLES", "FOR TABLES IN SCHEMA public"])
def test_a_publication_of_somebody_else_with_other_tables(followed: Followed, tables: str) -> None:
    """What is done to others is none of the table's, even where they look alike or are emptied together."""
    named(
        followed,
        "CREATE TABLE other (id int PRIMARY KEY, name text, n numeric(12,2))",
        f"CREATE PUBLICATION theirs {tables}",
    )
    assert followed.go().status == 0
    followed.shop(
        "INSERT INTO other VALUES (1, 'not ours', 0), (500, 'not ours', 0)",
        "UPDATE t SET n = 7 WHERE id = 2",
        "DELETE FROM other WHERE id = 1",
        "TRUNCATE other",
    )
    assert followed.go().status == 0
    assert followed.rows("SELECT count(*) FROM out") == [(100,)]
    assert followed.same()
    followed.shop("INSERT INTO t VALUES (600, 'gone', 0)", "TRUNCATE other, t", "INSERT INTO t VALUES (601, 'new', 1)")
    assert followed.go().status == 0
    assert followed.rows("SELECT id FROM out") == [(601,)]


def test_a_publication_with_a_row_filter_keeps_the_rows_that_pass(followed: Followed) -> None:
    """The snapshot, too; a row that comes under the filter is inserted, and one that leaves it deleted."""
    named(
        followed,
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "CREATE PUBLICATION theirs FOR TABLE t WHERE (n > 50)",
    )
    assert followed.go().status == 0
    kept = "SELECT id, n FROM {} WHERE n > 50 ORDER BY id"
    assert followed.rows("SELECT count(*) FROM out") == [(50,)]
    followed.shop(
        "UPDATE t SET n = 1000 WHERE id = 1",
        "UPDATE t SET n = 1 WHERE id = 100",
        "DELETE FROM t WHERE id = 99",
        "DELETE FROM t WHERE id = 2",
        "UPDATE t SET n = n + 1 WHERE id = 98",
    )
    assert followed.go().status == 0
    assert followed.rows("SELECT id, n FROM out ORDER BY id") == followed.rows(kept.format("t"), followed.source)


def test_a_column_list_that_has_all_that_is_read(followed: Followed) -> None:
    named(followed, "CREATE PUBLICATION theirs FOR TABLE t (id, name)", columns=["id", "name"])
    assert followed.go().status == 0
    followed.shop(
        "UPDATE t SET name = 'x' WHERE id = 1", "UPDATE t SET n = 0 WHERE id = 2", "DELETE FROM t WHERE id = 3"
    )
    assert followed.go().status == 0
    assert followed.same("id, name")


def test_a_publication_that_is_named_and_not_there_is_made(followed: Followed) -> None:
    named(followed)
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id = 1")
    assert followed.go().status == 0
    assert followed.same()


def test_columns_that_are_chosen_later(followed: Followed) -> None:
    """What they hold in rows that were read before is nowhere in the log."""
    followed.define(source={**CDC, "columns": ["id", "name"]}, target=followed.pipeline["target"])
    assert followed.go().status == 0
    followed.define(source=CDC, target=followed.pipeline["target"])
    followed.shop("UPDATE t SET name = 'x' WHERE id = 1")
    followed.refused("SCHEMA_MISMATCH", 'column "n" was not read until now', status=1)
    followed.anew()
