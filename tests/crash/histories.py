"""Sources whose rows come, change and come late, each with a model of what the next run must read."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from tests.crash.origins import Row

BEGIN = datetime(2024, 1, 1)  # noqa: DTZ001 - without a zone everywhere


def moment(seq: int) -> str:
    return (BEGIN + timedelta(minutes=seq)).isoformat(sep=" ")


class Origin(ABC):
    """A table ``moves`` of (id, seq, amount, at); ``rows`` are those that anybody can see."""

    transactions: ClassVar[bool] = False
    """Whether rows may be written long before they can be seen."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}

    @abstractmethod
    def connection(self) -> dict[str, Any]: ...

    @abstractmethod
    def put(self, row: Row) -> None:
        """A new row, or a new version of one."""

    @abstractmethod
    def alter(self, change: str) -> None:
        """ALTER TABLE moves …"""

    @abstractmethod
    def fresh(self) -> list[Row]:
        """What a run that begins now reads."""

    @abstractmethod
    def read(self) -> None:
        """A run that began now was published."""

    @abstractmethod
    def everything(self) -> list[Row]:
        """What a run that begins anew reads."""

    def begin_anew(self) -> None:
        """A run that read everything was published."""
        self.read()

    def within(self, start: int, end: int) -> list[Row]:
        return [row for row in self.rows.values() if start <= row[1] < end]

    def settle(self) -> None:  # noqa: B027 - files have nothing to wait for
        """Wait for what a killed run left in a server."""

    def close(self) -> None:  # noqa: B027
        """Let go of everything."""


class SqliteOrigin(Origin):
    """Windows by the time of the rows: one that comes late is found by reading everything only."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._path, self._mark = root / "origin.db", 0
        self._write("CREATE TABLE moves (id INTEGER PRIMARY KEY, seq INTEGER, amount INTEGER, at TIMESTAMP)")

    def connection(self) -> dict[str, Any]:
        return {"type": "sqlite", "path": self._path.name}

    def put(self, row: Row) -> None:
        self.rows[row[0]] = row
        self._write("INSERT OR REPLACE INTO moves (id, seq, amount, at) VALUES (?, ?, ?, ?)", (*row, moment(row[1])))

    def alter(self, change: str) -> None:
        self._write(f"ALTER TABLE moves {change}")

    def fresh(self) -> list[Row]:
        return [row for row in self.rows.values() if row[1] > self._mark]

    def read(self) -> None:
        self._mark = max((row[1] for row in self.fresh()), default=self._mark)

    def everything(self) -> list[Row]:
        return list(self.rows.values())

    def begin_anew(self) -> None:
        self._mark = max(row[1] for row in self.rows.values())

    def _write(self, sql: str, values: tuple[Any, ...] = ()) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(sql, values)


@dataclass
class Open:
    """A transaction that has written rows and has not ended; ``order`` is that of its first write."""

    name: str
    order: int
    connection: psycopg.Connection[Any] | None
    rows: list[tuple[int, Row]] = field(default_factory=list)


class PostgresOrigin(Origin):
    """Windows of transaction ids, which rise as ``order`` does: whatever commits late is read, once.

    A run reads what transactions wrote that came before the oldest one that is still open.
    """

    transactions = True

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._order, self._low = url, 0, 0
        self._orders: dict[int, int] = {}
        self.open: list[Open] = []
        self._main = psycopg.connect(url, autocommit=True)
        self._main.execute(
            "CREATE TABLE moves (id bigint PRIMARY KEY, seq bigint NOT NULL, amount bigint NOT NULL,"
            " at timestamp NOT NULL)"
        )

    def connection(self) -> dict[str, Any]:
        return {"type": "postgres", "url": self._url}

    def put(self, row: Row) -> None:
        self._see(self._next(), row)
        self._insert(self._main, row)

    def alter(self, change: str) -> None:
        self._main.execute(f"ALTER TABLE moves {change}")

    def begin(self, rows: list[Row], *, saved: bool) -> None:
        """Write rows and leave the transaction open; with ``saved`` each under a savepoint of its own."""
        connection = psycopg.connect(self._url)
        opened = Open(f"late{self._order}", self._next(), connection)
        connection.execute("SELECT pg_current_xact_id()")
        for number, row in enumerate(rows):
            if saved:
                connection.execute(f"SAVEPOINT s{number}")
            self._insert(connection, row)
            opened.rows.append((self._next() if saved else opened.order, row))
        self.open.append(opened)

    def prepare(self, opened: Open) -> None:
        """PREPARE TRANSACTION: the session goes, the transaction stays."""
        assert opened.connection is not None
        opened.connection.execute(f"PREPARE TRANSACTION '{opened.name}'")
        opened.connection.close()
        opened.connection = None

    def end(self, opened: Open, *, commit: bool) -> None:
        word = "COMMIT" if commit else "ROLLBACK"
        if opened.connection is None:
            self._main.execute(f"{word} PREPARED '{opened.name}'")
        else:
            opened.connection.execute(word)
            opened.connection.close()
        self.open.remove(opened)
        for order, row in opened.rows if commit else []:
            self._see(order, row)

    def fresh(self) -> list[Row]:
        return [row for id_, row in self.rows.items() if self._low <= self._orders[id_] < self._high()]

    def read(self) -> None:
        self._low = self._high()

    def everything(self) -> list[Row]:
        return [row for id_, row in self.rows.items() if self._orders[id_] < self._high()]

    def settle(self) -> None:
        mine = [self._main.info.backend_pid]
        mine += [opened.connection.info.backend_pid for opened in self.open if opened.connection]
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL(%s)"
        while (self._main.execute(others, (mine,)).fetchone() or (0,))[0]:
            self._main.execute("SELECT pg_sleep(0.01)")

    def close(self) -> None:
        for opened in list(self.open):
            self.end(opened, commit=False)
        self._main.close()

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _high(self) -> int:
        return min((opened.order for opened in self.open), default=self._order + 1)

    def _see(self, order: int, row: Row) -> None:
        self.rows[row[0]], self._orders[row[0]] = row, order

    @staticmethod
    def _insert(connection: psycopg.Connection[Any], row: Row) -> None:
        connection.execute(
            "INSERT INTO moves (id, seq, amount, at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, amount = excluded.amount, at = excluded.at",
            (*row, moment(row[1])),
        )
