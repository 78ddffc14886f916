"""Fixtures: the double in a process of its own, and databases in it."""

from __future__ import annotations

import ast
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from tests.sqlserver.server import PASSWORD, USER

from headgate.core.secrets import Secret
from headgate.io.sqlserver.connection import Connection

ROOT = Path(__file__).parents[2]


@dataclass
class Double:
    """A running server."""

    port: int
    orders: IO[str]
    answers: IO[str]

    def tell(self, *words: object) -> str:
        self.orders.write(" ".join(map(str, words)) + "\n")
        self.orders.flush()
        return self.answers.readline().strip()

    def said(self) -> list[str]:
        """The statements that were run since this was asked last."""
        found: list[str] = ast.literal_eval(self.tell("said"))
        return found


@dataclass
class Database:
    """A database in the double."""

    server: Double
    name: str

    @property
    def connection(self) -> Connection:
        return self.reached()

    def reached(self, **changes: Any) -> Connection:
        fields: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": self.name,
            "username": USER,
            "password": Secret(PASSWORD),
        }
        return Connection(**(fields | changes))

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, in T-SQL; the rows of the last."""
        import pytds

        rows: list[tuple[Any, ...]] = []
        with (
            pytds.connect(
                dsn="127.0.0.1",
                port=self.server.port,
                database=self.name,
                user=USER,
                password=PASSWORD,
                autocommit=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
                rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        return rows


@pytest.fixture(scope="session")
def sqlserver_double() -> Iterator[Double]:
    """One process for the whole session (one for each worker of pytest-xdist)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sqlserver.process"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        yield Double(int(process.stdout.readline()), process.stdin, process.stdout)
        process.stdin.close()


@pytest.fixture
def sqlserver(sqlserver_double: Double) -> Iterator[Database]:
    """A fresh, empty database that allows snapshots."""
    name = f"t{os.getpid()}_{secrets.token_hex(4)}"
    sqlserver_double.tell("create", name)
    yield Database(sqlserver_double, name)
    sqlserver_double.tell("drop", name)
