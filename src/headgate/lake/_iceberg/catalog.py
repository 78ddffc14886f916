"""The catalogue: one SQLite file with Iceberg's pointers, the ledger and parked runs, in pyiceberg's own layout.

A commit is one SQLite transaction. The rollback journal with ``synchronous=EXTRA`` makes it durable when COMMIT
returns (FULL leaves the journal's removal in the air), and leaves one file that any other tool can open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.io import files, ledger
from headgate.lake._iceberg import names

NAME = "headgate"
"""The catalogue's name in its tables: ``SqlCatalog("headgate", uri="sqlite:///…/catalog.db")`` opens it."""

BUSY_SECONDS = 30.0

_TABLES = (
    """CREATE TABLE IF NOT EXISTS iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5),
        PRIMARY KEY (catalog_name, table_namespace, table_name))""",
    """CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000) NOT NULL, PRIMARY KEY (catalog_name, namespace, property_key))""",
    """CREATE TABLE IF NOT EXISTS headgate_tags (tag VARCHAR(128) NOT NULL PRIMARY KEY)""",
    """CREATE TABLE IF NOT EXISTS headgate_parked (
        run_id VARCHAR(64) NOT NULL, project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL,
        tag VARCHAR(128) NOT NULL, descriptor TEXT NOT NULL, PRIMARY KEY (project, pipeline, run_id))""",
)
_IS_TABLE = "catalog_name = ? AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)"


class Session:
    """A connection to the catalogue, as the ledger's statements want it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, parameters).fetchall()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(statement, parameters).rowcount

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def abandon(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def swap(self, table: str, old: str | None, new: str) -> bool:
        """Move a table's pointer if it is still ``old`` (None: the table does not exist)."""
        namespace, name = names.identifier(table)
        if old is None:
            present = self.query(
                "SELECT 1 FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
                (NAME, namespace, name),
            )
            if present:
                return False
            self.execute(
                "INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?, ?, 'exists', 'true')", (NAME, namespace)
            )
            self.execute("INSERT INTO iceberg_tables VALUES (?, ?, ?, ?, NULL, 'TABLE')", (NAME, namespace, name, new))
            return True
        moved = self.execute(
            "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?"
            " WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ?",
            (new, old, NAME, namespace, name, old),
        )
        return moved == 1


class Catalogue:
    """The catalogue file of one lake. Connections live as long as one piece of work: a fork inherits none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "catalog.db"

    @contextmanager
    def reading(self) -> Iterator[Session | None]:
        """Read without side effects; None where nothing was ever published."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            yield None
            return
        with self._told("read"), closing(self._connect("rw")) as connection:
            known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            session = Session(connection)
            yield session if {"iceberg_tables", "headgate_runs", "headgate_tags"} <= known else None

    @contextmanager
    def writing(self, operation: str) -> Iterator[Session]:
        """One write transaction; whoever opens it commits, otherwise it is rolled back."""
        with self._told(operation):
            created = not self.path.exists()
            if created:
                with files.told("create", self.root):
                    files.make_folder(self.root)
            with closing(self._connect("rwc")) as connection:
                session = Session(connection)
                try:
                    session.execute("BEGIN IMMEDIATE")
                    for statement in _TABLES:
                        session.execute(statement)
                    ledger.create(session)
                    yield session
                finally:
                    session.abandon()
            if created:
                with files.told("fsync", self.root):
                    files.sync_folder(self.root)

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"{self.path.resolve().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA synchronous = EXTRA")
        return connection

    @contextmanager
    def _told(self, operation: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, operation, self.path) from error

    def tables(self) -> list[str]:
        with self.reading() as session:
            if session is None:
                return []
            found = session.query(f"SELECT table_namespace, table_name FROM iceberg_tables WHERE {_IS_TABLE}", (NAME,))
            return sorted(names.display(namespace, name) for namespace, name in found)

    def pointer(self, table: str) -> str | None:
        """The location of a table's current metadata; None if there is no such table."""
        namespace, name = names.identifier(table)
        with self.reading() as session:
            if session is None:
                return None
            found = session.query(
                "SELECT metadata_location FROM iceberg_tables"
                f" WHERE {_IS_TABLE} AND table_namespace = ? AND table_name = ?",
                (NAME, namespace, name),
            )
            return str(found[0][0]) if found else None


def explain(error: sqlite3.Error, operation: str, path: Path) -> HeadgateError:
    """The error for people, by SQLite's result code."""
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    message = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return FatalError(
            Code.CONFLICT,
            f"the ledger already holds this run or this execution ({message})",
            operation=operation,
            object=str(path),
            hint="the work was published meanwhile; see: headgate runs",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RetriableError(
            Code.CONFLICT,
            f"another process keeps the catalogue busy ({message})",
            operation=operation,
            object=str(path),
            hint="nothing was published; run again",
        )
    if code == sqlite3.SQLITE_FULL:
        return FatalError(
            Code.DISK_FULL,
            "no space left for the catalogue",
            operation=operation,
            object=str(path),
            hint="free space; nothing was published, and the next run starts afresh",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return FatalError(
            Code.STATE_INVALID,
            f"the catalogue cannot be used: {message}",
            operation=operation,
            object=str(path),
            hint="restore the lake's catalog.db from a backup, or choose another path for the lake",
        )
    return FatalError(
        Code.STORAGE_FAILED,
        message,
        operation=operation,
        object=str(path),
        hint="see that the lake's folder is there and that this user may write to it",
    )
