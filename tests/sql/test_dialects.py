"""What databases say differently is said by one object each; the rest of a merge is the same text."""

from __future__ import annotations

import pytest
import sqlglot

from headgate.core.contracts import History
from headgate.sql import histories, merges
from headgate.sql.dialects import MYSQL, PORTABLE, STANDARD, TRANSACT_SQL, Standard

SPOKEN = [(STANDARD, "postgres"), (MYSQL, "mysql"), (TRANSACT_SQL, "tsql")]


def sides(dialect: Standard) -> merges.Sides:
    return merges.Sides('"t"', '"s"', ("id", "a", "since", "until", "now", "v"), ("id",), "gone", dialect)


@pytest.mark.parametrize(("dialect", "name"), SPOKEN, ids=[name for _, name in SPOKEN])
def test_every_statement_of_a_merge_is_one_of_its_dialect(dialect: Standard, name: str) -> None:
    found = sides(dialect)
    versions = histories.Versions(found, History("since", "until", "now", "v", ("a",)), '"m"', '"c"')
    statements = [
        merges.merge_update(found),
        *merges.merge_deletes(found, missing=True),
        *merges.delete_partitions(found, ("a",)),
        *dialect.work('"m"', histories.matches(versions)),
        histories.close(versions, "change"),
        histories.close_missing(versions, "DATE '2024-01-01'"),
        *dialect.work('"c"', histories.timeline(versions), index="hg_n"),
        histories.update_changed(versions),
        histories.delete_absorbed(versions),
        dialect.drop('"m"'),
        dialect.like('"n"', '"t"'),
    ]
    for statement in statements:
        assert statement is not None
        sqlglot.parse_one(statement.replace('"', "`") if name == "mysql" else statement, read=name)


def test_mysql_never_says_what_it_commits_by() -> None:
    """CREATE INDEX, and DROP TABLE of what is not called temporary, would end the transaction."""
    assert len(MYSQL.work("w", "SELECT 1 AS n", index="n")) == 1
    assert MYSQL.drop("w") == "DROP TEMPORARY TABLE w"


def test_a_database_that_nothing_is_known_of_updates_by_subqueries() -> None:
    assert not PORTABLE.merges
    assert PORTABLE.update("t", {"a": "s.a"}, "t.id = s.id", "s") == (
        'UPDATE t t SET "a" = (SELECT s.a FROM s WHERE t.id = s.id) WHERE EXISTS (SELECT 1 FROM s WHERE t.id = s.id)'
    )


def test_sql_server_keeps_the_rows_of_a_query_where_its_own_select_begins() -> None:
    query = "WITH a AS (SELECT 1 AS n FROM x) SELECT n, ' FROM ' AS \"SELECT\" FROM a WHERE n IN (SELECT n FROM y)"
    (made,) = TRANSACT_SQL.work('"#w"', query)
    assert made == (
        'WITH a AS (SELECT 1 AS n FROM x) SELECT n, \' FROM \' AS "SELECT" INTO "#w" FROM a'
        " WHERE n IN (SELECT n FROM y)"
    )


def test_sql_server_compares_null_as_a_value_without_asking_whether_it_is_unknown() -> None:
    assert TRANSACT_SQL.distinct("t.a", "s.a") == (
        "CASE WHEN t.a = s.a OR (t.a IS NULL AND s.a IS NULL) THEN 0 ELSE 1 END = 1"
    )
    assert TRANSACT_SQL.holds("t.now") == "t.now = 1"
    assert TRANSACT_SQL.truth("a IS NULL") == "CAST(CASE WHEN a IS NULL THEN 1 ELSE 0 END AS BIT)"
