"""Transactions of all kinds: what commits counts, once, in the order of the commits."""

from __future__ import annotations

import psycopg
from tests.followed import Followed


def test_savepoints_that_are_rolled_back(followed: Followed) -> None:
    assert followed.go().status == 0
    with psycopg.connect(followed.source) as session:
        session.execute("INSERT INTO t VALUES (201, 'stays', 0)")
        session.execute("SAVEPOINT a")
        session.execute("DELETE FROM t WHERE id < 50")
        session.execute("INSERT INTO t VALUES (202, 'goes', 0)")
        session.execute("SAVEPOINT b")
        session.execute("TRUNCATE t")
        session.execute("ROLLBACK TO a")
        session.execute("UPDATE t SET n = -1 WHERE id = 60")
        session.execute("SAVEPOINT c")
        session.execute("UPDATE t SET n = -2 WHERE id = 61")
        session.execute("RELEASE c")
    assert followed.go().status == 0
    assert followed.same()
    assert followed.rows("SELECT count(*) FROM out") == [(101,)]


def test_a_prepared_transaction_counts_when_it_commits(followed: Followed) -> None:
    """Not when it is prepared; one that is rolled back never does. A first run waits for it."""
    assert followed.go().status == 0
    for name, statement in (("one", "DELETE FROM t WHERE id = 1"), ("two", "DELETE FROM t WHERE id = 2")):
        with psycopg.connect(followed.source, autocommit=True) as session:
            name = f"{session.info.dbname}_{name}"
            session.execute("BEGIN")
            session.execute(statement)
            session.execute(f"PREPARE TRANSACTION '{name}'")
    database = name.removesuffix("_two")
    followed.shop("UPDATE t SET n = 0 WHERE id = 3")
    assert followed.go().status == 0
    assert followed.same()
    followed.shop(f"COMMIT PREPARED '{database}_one'", f"ROLLBACK PREPARED '{database}_two'")
    assert followed.go().status == 0
    assert followed.same()
    assert followed.rows("SELECT count(*) FROM out") == [(99,)]


def test_transactions_that_do_nothing_to_the_table(followed: Followed) -> None:
    """Empty ones, rolled back ones, and messages that programs write into the log."""
    assert followed.go().status == 0
    followed.shop(
        "BEGIN; COMMIT",
        "BEGIN; DELETE FROM t; ROLLBACK",
        "BEGIN; CREATE TABLE other (x int); INSERT INTO other VALUES (1); COMMIT",
        "SELECT pg_logical_emit_message(true, 'app', 'hello')",
        "SELECT pg_logical_emit_message(false, 'app', 'hello')",
        "UPDATE t SET n = n WHERE false",
    )
    assert "skipped" in followed.go().out
    followed.shop("SELECT pg_logical_emit_message(true, 'app', 'hello')", "DELETE FROM t WHERE id = 1")
    assert followed.go().status == 0
    assert followed.same()


def test_a_transaction_that_the_server_keeps_on_its_disk(followed: Followed) -> None:
    """Beyond logical_decoding_work_mem it is put aside there, with what its savepoints did."""
    database = followed.rows("SELECT current_database()", followed.source)[0][0]
    followed.shop(f"ALTER DATABASE {database} SET logical_decoding_work_mem = '64kB'")
    assert followed.go().status == 0
    with psycopg.connect(followed.source) as session:
        for first in range(1000, 6000, 1000):
            session.execute(
                f"INSERT INTO t SELECT g, repeat('x', 300), g FROM generate_series({first}, {first + 999}) g"
            )
            session.execute("SAVEPOINT s")
            session.execute("DELETE FROM t")
            session.execute("ROLLBACK TO s")
        session.execute("UPDATE t SET n = n + 1 WHERE id % 2 = 0")
        session.execute("DELETE FROM t WHERE id % 3 = 0")
    assert followed.go().status == 0
    assert followed.same()


def test_large_values_that_are_left_alone_by_some_updates(followed: Followed) -> None:
    """Within one run and over several, with keys that change and rows that are new."""
    long = "(SELECT string_agg(md5(g::text || t.id), '') FROM generate_series(1, 300) g)"
    followed.shop("ALTER TABLE t ALTER name SET STORAGE EXTERNAL", f"UPDATE t SET name = {long}")
    assert followed.go().status == 0
    followed.shop(
        "UPDATE t SET n = -1 WHERE id <= 10",
        "UPDATE t SET id = id + 1000 WHERE id <= 5",
        "UPDATE t SET n = -2 WHERE id > 1000",
        "UPDATE t SET name = 'short' WHERE id = 20",
        "UPDATE t SET n = -3 WHERE id = 20",
        f"INSERT INTO t SELECT 2000, {long}, 1 FROM (SELECT 2000 AS id) t",
        "UPDATE t SET n = -4 WHERE id = 2000",
        "DELETE FROM t WHERE id = 30",
        "INSERT INTO t VALUES (30, 'again', 0)",
        "UPDATE t SET n = -5 WHERE id = 30",
    )
    assert followed.go().status == 0
    assert followed.same()
