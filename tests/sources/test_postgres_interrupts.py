"""A Ctrl-C while PostgreSQL is read: the program ends as it should, and the server is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from tests.sources.conftest import Database

from headgate.io.postgres.reading import Snapshot

COMMAND = [sys.executable, "-c", "from headgate.cli.start import main; main()", "run"]
PROJECT = """
version: 1
project: shop
connections: {db: {type: postgres, url: "${DB_URL}"}}
pipelines:
  totals:
    engine: duckdb  # the server would make the groups
    source: {connection: db, table: big, parallel: 3}
    transformations: [{type: aggregate, group_by: [id], aggregations: {amount: sum}}]
    target: {connection: db, table: totals, mode: append}
  relayed:
    source: {connection: db, query: "SELECT 1 AS id WHERE pg_sleep(30) IS NOT NULL"}
    target: {connection: db, table: relayed, mode: append}
  slow:
    source: {connection: db, query: "SELECT 1 AS id WHERE pg_sleep(30) IS NOT NULL"}
    target: {table: slow, mode: append}
"""
ACTIVE = "SELECT query FROM pg_stat_activity WHERE application_name = 'headgate' AND state <> 'idle'"


def settled(url: str, sql: str) -> list[tuple[object, ...]]:
    """What a statement answers once it answers nothing, or after some seconds."""
    with psycopg.connect(url, autocommit=True) as session:
        for _ in range(50):
            found = session.execute(sql).fetchall()
            if not found:
                break
            time.sleep(0.1)
    return list(found)


def interrupted(root: Path, url: str, pipeline: str, moment: str, later: float) -> tuple[int, str]:
    """Run the program, press Ctrl-C so long after it told ``moment``; its exit status and what it said."""
    child = subprocess.Popen(  # noqa: S603 - our own program
        [*COMMAND, pipeline],
        cwd=root,
        env={**os.environ, "DB_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    said = ""
    for line in child.stderr:
        said += line
        if moment in line:
            time.sleep(later)
            child.send_signal(signal.SIGINT)
            break
    said += child.stderr.read()
    child.stderr.close()
    return child.wait(60), said


def test_a_run_that_reads_with_several_threads_ends_at_once_and_leaves_nothing(
    database: Database, tmp_path: Path
) -> None:
    columns = "g AS id, repeat('x', 100) AS note, g * 1.5 AS amount"
    database.execute(f"CREATE TABLE big AS SELECT {columns} FROM generate_series(1, 1500000) g")
    (tmp_path / "headgate.yml").write_text(PROJECT)
    for moment, later in (
        ("planning", 0.1),
        ("reading", 0.05),
        ("computing aggregate_input", 0.05),
        ("computing aggregate_input", 0.4),
    ):
        status, said = interrupted(tmp_path, database.url, "totals", moment, later)
        assert status == 1, (moment, later, said)
        assert (
            "error[INTERRUPTED] run totals: the run was interrupted\n  hint: nothing was published; run it again"
            in said
        )
        assert settled(database.url, ACTIVE) == []
        with psycopg.connect(database.url) as session:
            assert session.execute("SELECT to_regclass('totals')").fetchall() == [(None,)]


@pytest.mark.parametrize("pipeline", ["relayed", "slow"])
def test_a_query_that_the_server_computes_is_cancelled(database: Database, tmp_path: Path, pipeline: str) -> None:
    (tmp_path / "headgate.yml").write_text(PROJECT)
    began = time.monotonic()
    status, said = interrupted(tmp_path, database.url, pipeline, "reading", 0.5)
    assert status == 1, said
    assert f"error[INTERRUPTED] run {pipeline}" in said
    assert time.monotonic() - began < 25
    assert settled(database.url, ACTIVE) == []


@pytest.mark.parametrize("action", ["rows", "stream"])
def test_a_statement_that_the_server_computes_on_is_interrupted(database: Database, action: str) -> None:
    """ADBC's own handler made an error of the statement out of it, which was worth another try."""
    snapshot = Snapshot(database.connection, "slow")
    slow = "SELECT pg_sleep(20)::text AS t"

    def read() -> None:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        if action == "rows":
            snapshot.rows(slow)
        else:
            snapshot.stream(slow, pa.schema({"t": pa.string()}), 10).read_all()

    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        read()
    assert time.monotonic() - started < 10
    snapshot.close()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert settled(database.url, ACTIVE) == []
