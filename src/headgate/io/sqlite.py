"""SQLite connections: opening, transactions, what went wrong, and what a table's columns are declared to be."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError, nearest
from headgate.core.ledger import PREFIX
from headgate.core.models import ConnectionOptions, Duration
from headgate.io import misread
from headgate.io.rejections import CONSTRAINT, NULL


class Connection(ConnectionOptions):
    """One SQLite database file."""

    type: Literal["sqlite"] = Field(description="A SQLite database file.")
    path: str = Field(description="The database file; relative to the project.")
    timeout: Duration = Field(default=timedelta(seconds=10), description="How long to wait for other writers.")

    def file(self, root: Path) -> Path:
        return (root / self.path).resolve()


# ------------------------------------------------------------------------------------------------- connecting


def connect(path: Path, timeout: timedelta, *, write: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from any thread. Only ``write`` creates the file."""
    with told("connect", path):
        if not write and not path.is_file():
            raise missing_file(path)
        try:
            return _opened(path, timeout, "mode=rwc" if write else "mode=ro", write=write)
        except sqlite3.OperationalError as error:
            if write or error.sqlite_errorname != "SQLITE_CANTOPEN" or not _unchanging(path):
                raise
            return _opened(path, timeout, "mode=ro&immutable=1", write=False)


def _opened(path: Path, timeout: timedelta, how: str, *, write: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{how}",
        uri=True,
        timeout=timeout.total_seconds(),
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if write:
            connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _unchanging(path: Path) -> bool:
    """Whether a file in WAL mode lies on a disk that takes no files beside it, and nobody has it open elsewhere.

    Whoever writes it, by way of another mount, has its log beside it.
    """
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and not path.with_name(f"{path.name}-wal").exists()


def missing_file(path: Path) -> FatalError:
    kinds = {path.suffix, ".db", ".sqlite", ".sqlite3"}
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    names = sorted(entry.name for entry in beside if entry.is_file() and entry.suffix in kinds)
    return FatalError(
        Code.SOURCE_NOT_FOUND,
        "there is no such file",
        operation="connect",
        object=str(path),
        hint=nearest(path.name, names) or "check the connection's path",
    )


@contextmanager
def told(operation: str, object_: object) -> Iterator[None]:
    """Turn errors of SQLite into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, operation, str(object_)) from error


def explain(error: sqlite3.Error, operation: str, object_: str) -> HeadgateError:
    """What went wrong and how to recover, by SQLite's own result code."""
    name = getattr(error, "sqlite_errorname", "") or ""
    match name.split("_")[1] if name.startswith("SQLITE_") else "":
        case "BUSY" | "LOCKED":
            return RetriableError(
                Code.CONFLICT,
                "another process is writing to the database",
                operation=operation,
                object=object_,
                hint="try again when it is done, or raise the connection's timeout",
            )
        case "FULL":
            code, message, hint = Code.DISK_FULL, "no space left on the disk", "free space; nothing was published"
        case "READONLY" | "PERM" | "AUTH":
            code, message = Code.STORAGE_FAILED, "the database is read-only for this user"
            hint = "give this user write permission on the file and its folder"
        case "CORRUPT" | "NOTADB":
            code, message = Code.STORAGE_FAILED, f"this is not a sound SQLite database ({error})"
            hint = "restore it from a copy, or see: sqlite3 FILE .recover"
        case "CANTOPEN":
            code, message = Code.CONNECTION_FAILED, "the database file cannot be opened"
            hint = "check that its folder exists and that this user may read it"
        case "IOERR":
            code, message, hint = Code.STORAGE_FAILED, str(error), "check the disk"
        case "INTERRUPT":
            code, message, hint = Code.INTERRUPTED, "interrupted", ""
        case "CONSTRAINT":
            code, hint = _rejected(name, operation)
            message = str(error)
        case "ERROR" if operation in misread.READS:
            code, message, hint = Code.PLAN_INVALID, str(error), misread.hint("SQLite")
        case _:
            code, message, hint = _by_operation(operation), str(error), ""
    return FatalError(code, message, operation=operation, object=object_, hint=hint)


def _rejected(name: str, operation: str) -> tuple[Code, str]:
    """Code and hint for a row that a constraint rejects, by SQLite's name for what happened."""
    match name.removeprefix("SQLITE_CONSTRAINT_"):
        case "UNIQUE" | "PRIMARYKEY" | "ROWID":
            return Code.DUPLICATE_KEYS, "deduplicate first, or use mode: upsert with the table's keys"
        case "NOTNULL":
            return _by_operation(operation), NULL
        case _:
            return _by_operation(operation), CONSTRAINT


def _by_operation(operation: str) -> Code:
    return Code.LOAD_EXECUTION_FAILED if operation in ("stage", "publish") else Code.EXTRACTION_FAILED


class Executes(Protocol):
    """Whatever runs a statement."""

    def execute(self, sql: str, /) -> sqlite3.Cursor: ...


class SqliteStatements:
    """What ``io/ledger.py`` needs of a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, parameters).fetchall()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self.connection.execute(statement, parameters).rowcount


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[SqliteStatements]:
    """A write transaction that has the lock from its start, so that it cannot fail half-way for want of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield SqliteStatements(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


# ---------------------------------------------------------------------------------------------- declared types

Holds = Literal["int", "float", "bool", "text", "blob", "date", "timestamp", "timestamptz", "time", "decimal", "any"]


@dataclass(frozen=True)
class ColumnType:
    """What a declared type says its cells hold, since SQLite itself hardly minds.

    ``exact``: decimals are kept as text, for SQLite's own numbers have 15 digits.
    """

    holds: Holds
    precision: int = 0
    scale: int = 0
    exact: bool = False

    @property
    def sql(self) -> str:
        """SQL name of the true type, where a reader delivers text; empty for ``any``."""
        match self.holds:
            case "int":
                return "BIGINT"
            case "float":
                return "DOUBLE"
            case "bool":
                return "BOOLEAN"
            case "text":
                return "VARCHAR"
            case "blob":
                return "BLOB"
            case "decimal":
                return f"DECIMAL({self.precision},{self.scale})"
            case "any":
                return ""
            case _:
                return self.holds.upper()


@dataclass(frozen=True)
class TableColumn:
    name: str
    declared: str
    key: int = 0
    """Place in the primary key, from 1; 0: not in it."""

    @property
    def type(self) -> ColumnType:
        return parse_type(self.declared)


_NAMES: dict[str, Holds] = {
    "BOOL": "bool",
    "BOOLEAN": "bool",
    "DATE": "date",
    "DATETIME": "timestamp",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITHOUT TIME ZONE": "timestamp",
    "TIMESTAMPTZ": "timestamptz",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "TIME": "time",
    "TIME WITHOUT TIME ZONE": "time",
    "INTERVAL": "text",
    "JSON": "text",
    "UUID": "text",
    "STRING": "text",
}


def parse_type(declared: str) -> ColumnType:
    """The type that a declaration means: well-known names first, then SQLite's own rules of affinity."""
    found = re.fullmatch(r"\s*([^()]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*([^()]*?)\s*", declared.upper())
    if found is None:
        return ColumnType("any")
    name = " ".join(f"{found[1]} {found[4]}".split())
    if name in ("DECIMAL", "NUMERIC", "NUMBER", "DECIMAL_TEXT"):
        precision, scale = int(found[2] or 0), int(found[3] or 0)
        if 1 <= precision <= 38 and scale <= precision:
            return ColumnType("decimal", precision, scale, exact=name == "DECIMAL_TEXT")
        return ColumnType("any")
    if name in _NAMES:
        return ColumnType(_NAMES[name])
    if "INT" in name:
        return ColumnType("int")
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return ColumnType("text")
    if "BLOB" in name or name in ("BYTEA", "BINARY", "VARBINARY"):
        return ColumnType("blob")
    if any(part in name for part in ("REAL", "FLOA", "DOUB")):
        return ColumnType("float")
    return ColumnType("any")


# -------------------------------------------------------------------------------------------------- catalogue


def tables(connection: sqlite3.Connection) -> list[str]:
    """Names of the users' tables and views."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " ORDER BY name"
    )
    return [name for (name,) in found if not name.lower().startswith(PREFIX)]


def columns(connection: sqlite3.Connection, table: str, schema: str = "main") -> tuple[TableColumn, ...]:
    """Columns of a table or view, none if there is no such table."""
    found = connection.execute(
        "SELECT name, type, pk FROM pragma_table_xinfo(?, ?) WHERE hidden <> 1 ORDER BY cid", (table, schema)
    )
    return tuple(TableColumn(name, declared or "", key) for name, declared, key in found)


def known_columns(connection: sqlite3.Connection, table: str, operation: str) -> tuple[TableColumn, ...]:
    """Columns of a table. Raises TABLE_NOT_FOUND with the nearest known table."""
    found = columns(connection, table)
    if not found:
        raise FatalError(
            Code.TABLE_NOT_FOUND,
            f'there is no table "{table}"',
            operation=operation,
            object=table,
            hint=nearest(table, tables(connection)) or "the database has no tables",
        )
    return found
