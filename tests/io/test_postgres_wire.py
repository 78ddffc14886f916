"""Bytes of a COPY from one session into another: past libpq, or through it where the connection is encrypted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.io.postgres import wire
from headgate.io.postgres.link import Link, hang_up

OUT, IN = "COPY ({}) TO STDOUT (FORMAT binary)", "COPY there FROM STDIN (FORMAT binary)"
ROWS = "SELECT n, repeat('x', n % 100) AS t FROM generate_series(1, 30000) AS n"
ENDLESS = "SELECT generate_series(1, 2000000000) AS n, 'x'"


@pytest.fixture
def sessions(postgres_url: str) -> Iterator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
    with psycopg.connect(postgres_url) as left, psycopg.connect(postgres_url) as right:
        right.execute("CREATE TABLE there (n int, t text)")
        right.commit()
        yield left, right
        for session in (left, right):
            session.close()


Sessions = tuple[psycopg.Connection[Any], psycopg.Connection[Any]]


def through_libpq(monkeypatch: pytest.MonkeyPatch, *encrypted: psycopg.Connection[Any]) -> None:
    monkeypatch.setattr(wire, "plain", lambda session: session not in encrypted)


def moved(sessions: Sessions, select: str = ROWS, statement: str = IN) -> int:
    left, right = sessions
    return wire.copy_in(right, statement, wire.copy_out(left, OUT.format(select), "here"), "there")


@pytest.mark.parametrize("encrypted", [(), (0,), (1,), (0, 1)])
def test_the_same_rows_arrive_whichever_connection_is_encrypted(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, encrypted: tuple[int, ...]
) -> None:
    through_libpq(monkeypatch, *(sessions[number] for number in encrypted))
    assert moved(sessions) == 30_000
    left, right = sessions
    right.commit()
    assert left.execute(f"SELECT count(*) FROM (({ROWS}) EXCEPT TABLE there) AS d").fetchone() == (0,)
    assert left.execute("SELECT count(*) FROM there").fetchone() == (30_000,)


@pytest.mark.parametrize("select", [f"{ROWS} LIMIT 0", "SELECT 1, repeat('y', 3000000) FROM generate_series(1, 3)"])
def test_no_row_and_rows_larger_than_a_piece(sessions: Sessions, select: str) -> None:
    rows = 0 if "LIMIT 0" in select else 3
    assert moved(sessions, select) == rows
    assert moved(sessions, select) == rows, "the sessions are in step afterwards"
    found = sessions[1].execute("SELECT count(*), coalesce(sum(length(t)), 0) FROM there").fetchone()
    assert found == (2 * rows, 2 * rows * 3_000_000)


def test_notices_between_the_rows_are_no_rows(sessions: Sessions) -> None:
    left, right = sessions
    speak = "LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'row %', {}; RETURN {}; END$$"
    left.execute(f"CREATE FUNCTION pg_temp.said(n int) RETURNS int {speak.format('n', 'n')}")
    right.execute(f"CREATE FUNCTION heard() RETURNS trigger {speak.format('NEW.n', 'NEW')}")
    right.execute("CREATE TRIGGER heard BEFORE INSERT ON there FOR EACH ROW EXECUTE FUNCTION heard()")
    assert moved(sessions, f"SELECT pg_temp.said(n), t FROM ({ROWS}) AS r") == 30_000


def test_an_error_of_the_source_is_the_error_and_the_target_takes_nothing(sessions: Sessions) -> None:
    with pytest.raises(FatalError, match="division by zero") as failed:
        moved(sessions, "SELECT 1 / (29999 - n), 'x' FROM generate_series(1, 30000) AS n")
    assert failed.value.code is Code.EXTRACTION_FAILED
    left, right = sessions
    right.rollback()
    assert right.execute("SELECT count(*) FROM there").fetchone() == (0,)
    left.rollback()
    assert moved(sessions) == 30_000, "both sessions go on"


def test_an_error_of_the_target_names_the_column_and_is_told_at_once(sessions: Sessions) -> None:
    left, right = sessions
    right.execute("CREATE TABLE small (n smallint CHECK (n < 20000), t varchar(50))")
    right.commit()
    with pytest.raises(HeadgateError, match='column "n": incorrect binary data format') as failed:
        moved(sessions, ENDLESS, "COPY small FROM STDIN (FORMAT binary)")
    assert failed.value.code is Code.LOAD_EXECUTION_FAILED
    right.rollback()
    assert right.execute("SELECT 1").fetchone() == (1,)
    assert not left.closed


def test_a_statement_that_cannot_begin(sessions: Sessions) -> None:
    with pytest.raises(FatalError) as failed:
        moved(sessions, "SELECT * FROM nowhere")
    assert failed.value.code is Code.TABLE_NOT_FOUND
    sessions[0].rollback()
    sessions[1].rollback()
    with pytest.raises(FatalError) as failed:
        moved(sessions, statement="COPY nowhere FROM STDIN (FORMAT binary)")
    assert failed.value.code is Code.TABLE_NOT_FOUND


@pytest.mark.parametrize("ended", [0, 1])
def test_a_session_that_the_server_ends(sessions: Sessions, postgres_url: str, ended: int) -> None:
    pid = sessions[ended].info.backend_pid

    def end() -> None:
        time.sleep(0.3)
        with psycopg.connect(postgres_url) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(RetriableError, match=r"terminating connection|closed the connection|connection lost"):
        moved(sessions, ENDLESS)
    thread.join()


def test_a_reader_in_another_thread_ends_when_its_session_hangs_up(sessions: Sessions) -> None:
    left, _ = sessions
    timer = threading.Timer(0.2, hang_up, [left])
    timer.start()
    began = time.monotonic()

    def read() -> None:
        with closing(Link(left)) as link:
            link.start(OUT.format("SELECT 1, pg_sleep(60)::text"), b"H")
            while len(link.rows()):
                pass
            link.end()  # the server says that it was cancelled, if it comes to that before the line is cut

    with pytest.raises(psycopg.OperationalError):
        read()
    assert time.monotonic() - began < 10
    timer.join()
