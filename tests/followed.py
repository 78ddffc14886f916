"""A project that follows a table of one database into another, run as people run it: by the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import Server, database_name
from tests.movers import Movers
from typer.testing import CliRunner

from headgate.cli.main import app

MERGE = {"connection": "goal", "table": "out", "mode": "merge", "keys": "id"}


@dataclass(frozen=True)
class Told:
    """What a run by the command line ended with."""

    status: int
    text: str
    """What stood on stderr."""
    out: str

    @property
    def error(self) -> str:
        """The code of the one error; "" if there was none."""
        codes = re.findall(r"error\[(\w+)\]", self.text)
        assert len(codes) <= 1, self.text
        return codes[0] if codes else ""

    @property
    def hint(self) -> str:
        found = re.search(r"hint: (.+)", self.text, re.DOTALL)
        return found[1] if found else ""


class Followed(Movers):
    """The pipeline ``load`` follows the table t of ``shop`` and merges it into out of ``goal``."""

    def headgate(self, *arguments: str) -> Told:
        """Call the program. No exception may leave it, and no traceback may be printed."""
        result = CliRunner().invoke(app, [*arguments, "-C", str(self.root)], env={"COLUMNS": "1000"})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.stderr
        return Told(result.exit_code, result.stderr, result.stdout)

    def go(self, *options: str) -> Told:
        """Run the pipeline."""
        return self.headgate("run", "load", *options)

    def same(self, columns: str = "id, name, n") -> bool:
        """Whether the target is what the source is."""
        select = f"SELECT {columns} FROM {{}} ORDER BY id"
        return self.rows(select.format("out")) == self.rows(select.format("t"), self.source)

    def refused(self, code: str, *words: str, status: int, **options: Any) -> Told:
        """Run the pipeline, which must end with this error, a hint, and nothing done to the target."""
        before = self._target()
        told = self.go(*options.get("options", ()))
        assert (told.error, told.status) == (code, status), told
        for word in words:
            assert word in told.text, told
        assert told.hint, told
        assert self._target() == before
        return told

    def anew(self) -> None:
        """What hints say: begin anew; then the target is the source, and following goes on."""
        assert self.go("--full-refresh").status == 0
        assert self.same()
        self.shop("DELETE FROM t WHERE id = (SELECT max(id) FROM t)")
        assert self.go().status == 0
        assert self.same()

    def slots(self) -> list[tuple[Any, ...]]:
        """Name and place of each slot of the source."""
        return self.rows(
            "SELECT slot_name, confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()",
            self.source,
        )

    def _target(self) -> Sequence[Any]:
        there = self.rows("SELECT to_regclass('out') IS NOT NULL")[0][0]
        marks = self.rows("SELECT to_regclass('headgate_watermarks') IS NOT NULL")[0][0]
        return [
            self.rows("SELECT o::text FROM out o ORDER BY 1") if there else None,
            self.rows("SELECT m::text FROM headgate_watermarks m ORDER BY 1") if marks else [],
        ]


def following(root: Path, servers: tuple[Server, Server]) -> Iterator[Followed]:
    """A project in ``root``; source and target are databases of these servers, and end with the test."""
    names = [database_name(), database_name()]
    source, target = (server.create_database(name) for server, name in zip(servers, names, strict=True))
    found = Followed(root, source, target)
    # a commit is in the log when its writer goes on, as with any server that is not one for tests
    found.shop(f"ALTER DATABASE {names[0]} SET synchronous_commit = on")
    found.shop(
        "CREATE TABLE t (id int PRIMARY KEY, name text, n numeric(12,2))",
        "INSERT INTO t SELECT g, 'name ' || g, g FROM generate_series(1, 100) g",
    )
    found.define(source={"connection": "shop", "table": "t", "mode": "cdc"}, target=MERGE)
    yield found
    with psycopg.connect(servers[0].url("postgres"), autocommit=True) as session:
        session.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s AND NOT active",
            (names[0],),
        )
    for server, name in zip(servers, names, strict=True):
        server.drop_database(name)


@pytest.fixture
def followed(tmp_path: Path, postgres_server: Server) -> Iterator[Followed]:
    yield from following(tmp_path, (postgres_server, postgres_server))
