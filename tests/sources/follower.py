"""Who follows the changes of a PostgreSQL table, as a pipeline does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
from tests.conftest import Server, database_name
from tests.sources.conftest import Database

from headgate.core.contracts import Window
from headgate.sources.postgres import Read

Row = dict[str, Any]


class Follower:
    """Follows one table, run by run; what it knows is what a target would have."""

    def __init__(self, database: Database, table: str = "t", **read: Any) -> None:
        self.database, self.read = database, Read(table=table, mode="cdc", **read)
        self.context = replace(database.context(), project="shop", pipeline="orders")
        self.position: Mapping[str, Any] | None = None
        self.rows: dict[Any, Row] = {}
        self.seen: list[str] = []

    def window(self) -> Window | None:
        source = self.database.open()
        try:
            return source.probe(self.read, self.context, self.position)
        finally:
            source.close()

    def run(self, *, acknowledge: bool = True) -> list[str]:
        """One run: what was done to each row, in its order; [] if there was nothing new."""
        source = self.database.open()
        try:
            window = source.probe(self.read, self.context, self.position)
            if window is None:
                return []
            if window.idle:
                self.position = window.high
                source.acknowledge(self.read, window.high)
                return []
            scan = source.scan(self.read, self.context, window)
            try:
                assert scan.batches is not None
                assert scan.position is not None
                found = pa.Table.from_batches(scan.batches, scan.schema.raw).to_pylist()
                position = scan.position()
            finally:
                scan.close()
            if acknowledge:
                source.acknowledge(self.read, position)
        finally:
            source.close()
        self.position = position
        if scan.whole:
            self.rows.clear()
        for row in sorted(found, key=lambda row: row["_order"]):
            change = row.pop("_change")
            row.pop("_order")
            self.rows.pop(row["id"], None)
            if change != "delete":
                self.rows[row["id"]] = row
        self.seen = [f"{row['id']}" for row in found]
        return self.seen

    def agrees(self, columns: str = "*") -> bool:
        """Whether what is known is what the table has."""
        with psycopg.connect(self.database.url, row_factory=psycopg.rows.dict_row) as session:
            there = session.execute(f"SELECT {columns} FROM {self.read.table}").fetchall()
        return sorted(map(repr, self.rows.values())) == sorted(map(repr, there))


@contextmanager
def logged_database(server: Server) -> Iterator[Database]:
    """A database whose slots are gone with it."""
    name = database_name()
    url = server.create_database(name)
    found = Database(url)
    # a commit is in the log when its writer goes on, as with any server that is not one for tests
    found.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
    yield found
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
            " AND database = current_database()"
        )
    server.drop_database(name)


def follow(database: Database) -> Follower:
    """A table of three rows, and who follows it."""
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, name text, n bigint)",
        "INSERT INTO t VALUES (1, 'one', 1), (2, NULL, 2), (3, '', 3)",
    )
    return Follower(database)
