"""Sources and targets that were restored from a backup: what was read and is not there any more is told."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import Server, running_server
from tests.followed import Followed, following


class Restorable:
    """A server whose folder can be copied, and put back later."""

    def __init__(self, server: Server) -> None:
        self._server, self._data = server, Path(server.program.pgdata)
        self._copy = self._data.with_name("copy")

    def back_up(self) -> None:
        self._server.program.stop()
        subprocess.run(["cp", "-a", self._data, self._copy], check=True)  # noqa: S603, S607 - keeps the folder's owner
        self._server.program.start()

    def restore(self, *, recovered: bool = False) -> None:
        """Put the copy back; ``recovered``: by recovery, which begins a timeline of its own, as from an archive."""
        self._server.program.stop()
        shutil.rmtree(self._data)
        subprocess.run(["cp", "-a", self._copy, self._data], check=True)  # noqa: S603, S607
        if recovered:
            signal = self._data / "recovery.signal"
            signal.touch()
            shutil.chown(signal, self._data.owner(), self._data.group())
            with (self._data / "postgresql.conf").open("a") as configuration:
                configuration.write("restore_command = 'false'\n")
        self._server.program.start()
        with psycopg.connect(self._server.url("postgres"), autocommit=True) as session:
            while session.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
                pass


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def followed(tmp_path: Path, own_server: Server, postgres_server: Server) -> Iterator[Followed]:
    """The source is on a server of its own."""
    yield from following(tmp_path, (own_server, postgres_server))


def write_beyond(followed: Followed, lsn: str) -> None:
    """What others write until the log is longer than it was."""
    followed.shop("CREATE TABLE IF NOT EXISTS others (x int)")
    while not followed.rows(f"SELECT pg_current_wal_flush_lsn() > '{lsn}'::pg_lsn", followed.source)[0][0]:
        followed.shop("INSERT INTO others SELECT generate_series(1, 1000)", "SELECT pg_switch_wal()")


def test_a_source_that_was_restored(followed: Followed, own_server: Server) -> None:
    """Its log ends before the position, and its slot is an old one."""
    restorable = Restorable(own_server)
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id = 1")
    assert followed.go().status == 0
    restorable.back_up()
    followed.shop("DELETE FROM t WHERE id = 2", "UPDATE t SET name = repeat('x', 10000)")
    assert followed.go().status == 0
    restorable.restore()
    told = followed.refused("STATE_INVALID", "it was restored from a backup", status=1)
    assert "--full-refresh" in told.hint
    followed.refused("STATE_INVALID", "it was restored from a backup", status=1)
    followed.anew()


def test_a_source_that_was_recovered_and_wrote_on(tmp_path: Path, postgres_server: Server) -> None:
    """Its log is longer than the position by now, and went another way before it."""
    with running_server() as server:
        for followed in following(tmp_path, (server, postgres_server)):
            restorable = Restorable(server)
            assert followed.go().status == 0
            restorable.back_up()
            followed.shop("DELETE FROM t WHERE id = 2", "UPDATE t SET name = repeat('x', 10000)")
            assert followed.go().status == 0
            position = str(followed.slots()[0][1])
            restorable.restore(recovered=True)
            write_beyond(followed, position)
            followed.shop("DELETE FROM t WHERE id = 3")
            told = followed.refused("STATE_INVALID", "its log went another way", status=1)
            assert "--full-refresh" in told.hint
            followed.anew()


def test_a_source_that_was_promoted_after_the_position(tmp_path: Path, postgres_server: Server) -> None:
    """A new timeline that begins behind the position leaves nothing out."""
    with running_server() as server:
        for followed in following(tmp_path, (server, postgres_server)):
            restorable = Restorable(server)
            assert followed.go().status == 0
            followed.shop("DELETE FROM t WHERE id = 2")
            restorable.back_up()
            restorable.restore(recovered=True)
            followed.shop("DELETE FROM t WHERE id = 3")
            assert followed.go().status == 0
            assert followed.same()
            followed.shop("DELETE FROM t WHERE id = 4")
            assert followed.go().status == 0
            assert followed.same()


def test_another_server_in_place_of_the_source(followed: Followed, postgres_server: Server) -> None:
    """As after a dump and a restore: the names are there, and the log is another."""
    assert followed.go().status == 0
    (slot, _), (publication,) = (
        followed.slots()[0],
        followed.rows("SELECT pubname FROM pg_publication", followed.source)[0],
    )
    owner, database = followed.source, psycopg.conninfo.conninfo_to_dict(followed.source)["dbname"]
    followed.source = postgres_server.create_database(str(database))
    try:
        followed.shop(f"ALTER DATABASE {database} SET synchronous_commit = on")
        followed.shop(
            "CREATE TABLE t (id int PRIMARY KEY, name text, n numeric(12,2))",
            f"CREATE PUBLICATION {publication} FOR TABLE t",
            f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')",
            "INSERT INTO t VALUES (1, 'another', 1), (2, 'another', 2)",
        )
        followed.write()
        told = followed.refused("STATE_INVALID", "in the log of another server", status=1)
        assert "--full-refresh" in told.hint
        followed.anew()
    finally:
        followed.shop(f"SELECT pg_drop_replication_slot('{slot}')")
        postgres_server.drop_database(str(database))
        followed.source = owner


def test_a_target_that_was_restored(followed: Followed) -> None:
    """Its position lies before what the server has kept."""
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id = 1")
    assert followed.go().status == 0
    followed.goal(
        *(
            f"CREATE TABLE backup_{table} AS SELECT * FROM {table}"
            for table in ("out", "headgate_watermarks", "headgate_runs")
        )
    )
    followed.shop("DELETE FROM t WHERE id = 2")
    assert followed.go().status == 0
    followed.goal(
        *(
            f"TRUNCATE {table}; INSERT INTO {table} SELECT * FROM backup_{table}"
            for table in ("out", "headgate_watermarks", "headgate_runs")
        )
    )
    followed.shop("DELETE FROM t WHERE id = 3")
    told = followed.refused("STATE_INVALID", "the target was restored from a backup", status=1)
    assert "--full-refresh" in told.hint
    followed.anew()
