"""Databases of servers that can be put back as they were."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import psycopg
from psycopg import sql
from tests.conftest import Server
from tests.mariadb import MariaServer


class Database(Protocol):
    """One database of the tests' server, with a copy beside it."""

    @property
    def url(self) -> str: ...

    def save(self) -> None: ...

    def restore(self) -> None: ...

    def drop(self) -> None: ...


@dataclass(frozen=True)
class Postgres:
    server: Server
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def save(self) -> None:
        self._copy(self.name, f"{self.name}_saved")

    def restore(self) -> None:
        self._copy(f"{self.name}_saved", self.name)

    def drop(self) -> None:
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                " WHERE database = %s AND NOT active",
                [self.name],
            )
        self.server.drop_database(self.name)
        self.server.drop_database(f"{self.name}_saved")

    def _copy(self, source: str, target: str) -> None:
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", ([source, target],)
            )
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(target)))
            for attempt in range(50):
                try:
                    connection.execute(
                        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(target), sql.Identifier(source))
                    )
                except psycopg.errors.ObjectInUse:  # a killed client's server process is not gone yet
                    if attempt == 49:
                        raise
                    connection.execute("SELECT pg_sleep(0.05)")
                else:
                    return


@dataclass(frozen=True)
class Mysql:
    server: MariaServer
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def save(self) -> None:
        self.server.create_database(f"{self.name}_saved")
        self._copy(self.name, f"{self.name}_saved")

    def restore(self) -> None:
        self._copy(f"{self.name}_saved", self.name)

    def drop(self) -> None:
        self.server.drop_database(self.name)
        self.server.drop_database(f"{self.name}_saved")

    def _copy(self, source: str, target: str) -> None:
        self._end_sessions(target)
        wanted, there = self._tables(source), self._tables(target)
        statements = [f'DROP TABLE "{target}"."{table}"' for table in there if table not in wanted]
        for table in wanted:  # none of them changes its columns, and a new table costs more than new rows
            made = f'CREATE TABLE "{target}"."{table}" LIKE "{source}"."{table}"'
            statements.append(f'DELETE FROM "{target}"."{table}"' if table in there else made)
            statements.append(f'INSERT INTO "{target}"."{table}" SELECT * FROM "{source}"."{table}"')
        self.server.execute(None, *statements)

    def _tables(self, database: str) -> list[str]:
        query = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{database}'"
        return [name for (name,) in self.server.execute(None, query)]

    def _end_sessions(self, database: str) -> None:
        """Killed clients leave sessions that may hold locks for a moment."""
        query = f"SELECT id FROM information_schema.processlist WHERE db = '{database}'"
        while sessions := self.server.execute(None, query):
            for (session,) in sessions:
                self.server.execute(None, f"KILL {session}")
            time.sleep(0.01)
