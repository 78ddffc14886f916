"""Tables that are altered between runs, and between changes of one run: followed exactly, or begun anew."""

from __future__ import annotations

import pytest
from tests.followed import Followed


def test_an_empty_column_that_is_added(followed: Followed) -> None:
    """Also in the middle of a transaction; a default that is set later is no fill of old rows."""
    assert followed.go().status == 0
    followed.shop(
        "BEGIN; UPDATE t SET n = 0 WHERE id = 1; ALTER TABLE t ADD COLUMN extra text;"
        " UPDATE t SET extra = 'x' WHERE id = 2; COMMIT",
    )
    assert followed.go().status == 0
    assert followed.same("id, name, n, extra")
    followed.shop("ALTER TABLE t ALTER COLUMN extra SET DEFAULT 'later'", "INSERT INTO t (id) VALUES (300)")
    assert followed.go().status == 0
    assert followed.same("id, name, n, extra")


@pytest.mark.parametrize(
    "column",
    [
        "int DEFAULT 5",
        "int NOT NULL DEFAULT 5",
        "double precision DEFAULT random()",
        "int GENERATED ALWAYS AS IDENTITY",
    ],
)
@pytest.mark.parametrize("more", ["", "UPDATE t SET n = 0 WHERE id = 1"])
def test_a_column_that_is_added_with_values(followed: Followed, column: str, more: str) -> None:
    """The log tells of no row that got its default, neither then nor later."""
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id = 2", f"ALTER TABLE t ADD COLUMN extra {column}", more)
    told = followed.refused("SCHEMA_MISMATCH", 'column "extra" was added with values', status=1)
    assert "--full-refresh" in told.hint
    assert followed.go("--full-refresh").status == 0
    assert followed.same("id, name, n, extra")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER TABLE t RENAME COLUMN name TO called", 'column "name" was renamed to "called"'),
        ("ALTER TABLE t ALTER COLUMN n TYPE bigint USING n * 100", 'column "n" changed its type to bigint'),
        ("ALTER TABLE t ALTER COLUMN n TYPE numeric(12,1)", 'column "n" changed its type to numeric(12,1)'),
        (
            "ALTER TABLE t DROP COLUMN n; ALTER TABLE t ADD COLUMN n numeric(12,2)",
            'column "n" was dropped and made again',
        ),
    ],
)
@pytest.mark.parametrize("when", ["between", "before others", "after others"])
def test_a_column_that_is_altered(followed: Followed, change: str, reason: str, when: str) -> None:
    """Whether its changes wait or not: the rows that nobody touched are other ones in the source now."""
    assert followed.go().status == 0
    if when == "after others":
        followed.shop("DELETE FROM t WHERE id = 1")
    followed.shop(*change.split(";"))
    if when == "before others":
        followed.shop("DELETE FROM t WHERE id = 1")
    told = followed.refused("SCHEMA_MISMATCH", reason, status=1)
    assert "--full-refresh" in told.hint


@pytest.mark.parametrize("change", ["varchar(20)", "varchar"])
def test_a_text_that_may_be_longer_changes_no_value(followed: Followed, change: str) -> None:
    followed.shop("ALTER TABLE t ADD COLUMN more varchar(10)", "UPDATE t SET more = 'a' WHERE id = 1")
    assert followed.go().status == 0
    followed.shop("UPDATE t SET more = 'b' WHERE id = 2", f"ALTER TABLE t ALTER COLUMN more TYPE {change}")
    followed.shop("UPDATE t SET more = repeat('c', 15) WHERE id = 3")
    assert followed.go().status == 0
    assert followed.same("id, name, n, more")


def test_a_number_that_may_have_more_digits_changes_no_value(followed: Followed) -> None:
    """The target's column is somebody's to widen: nothing is to be read anew."""
    assert followed.go().status == 0
    followed.shop(
        "DELETE FROM t WHERE id = 1",
        "ALTER TABLE t ALTER COLUMN n TYPE numeric(20,2)",
        "UPDATE t SET n = 1e15 WHERE id = 2",
    )
    told = followed.refused("SCHEMA_MISMATCH", "numeric(12,2) in the table, and decimal128(20, 2)", status=1)
    assert "--full-refresh" not in told.hint
    followed.goal("ALTER TABLE out ALTER COLUMN n TYPE numeric(20,2)")
    assert followed.go().status == 0
    assert followed.same()


def test_a_column_that_is_dropped(followed: Followed) -> None:
    """The target keeps it, and what it held; new rows have nothing in it."""
    assert followed.go().status == 0
    followed.shop("UPDATE t SET n = 0 WHERE id = 1", "ALTER TABLE t DROP COLUMN name", "INSERT INTO t VALUES (200, 1)")
    assert followed.go().status == 0
    assert followed.same("id, n")
    assert followed.rows("SELECT name FROM out WHERE id IN (2, 200) ORDER BY id") == [("name 2",), (None,)]


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, name text, n numeric(12,2))",
        "ALTER TABLE t RENAME TO old; CREATE TABLE t (id int PRIMARY KEY, name text, n numeric(12,2))",
    ],
    ids=["dropped", "renamed"],
)
def test_a_table_in_place_of_another(followed: Followed, change: str) -> None:
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id = 1", *change.split(";"), "INSERT INTO t VALUES (1, 'another', 1)")
    told = followed.refused("STATE_INVALID", "the table is another one than at the last run", status=1)
    assert "--full-refresh" in told.hint
    followed.shop("INSERT INTO t VALUES (2, 'another', 2)")
    followed.anew()


@pytest.mark.parametrize("change", ["DROP TABLE t", "ALTER TABLE t RENAME TO renamed"])
def test_a_table_that_is_not_there_any_more(followed: Followed, change: str) -> None:
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id = 1", change)
    followed.refused("TABLE_NOT_FOUND", 'there is no table "t"', status=2)


def test_an_index_a_comment_and_a_vacuum_change_nothing(followed: Followed) -> None:
    assert followed.go().status == 0
    followed.shop(
        "CREATE INDEX ON t (name)",
        "COMMENT ON TABLE t IS 'x'",
        "DELETE FROM t WHERE id = 1",
        "VACUUM FULL t",
        "CLUSTER t USING t_pkey",
        "ANALYZE t",
    )
    assert followed.go().status == 0
    assert followed.same()
