"""A PostgreSQL database that can be put back as it was."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql
from tests.conftest import Server


@dataclass(frozen=True)
class Database:
    """One database of the tests' server, with a copy beside it."""

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
