"""Opening DuckDB files: one process writes, or several read; who comes meanwhile waits, then is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError, nearest
from headgate.core.models import ConnectionOptions, Duration
from headgate.io import embedded, files, misread
from headgate.io.rejections import CONSTRAINT, NULL, REFERRED, values_in

if TYPE_CHECKING:
    import duckdb

MEMORY = "400MB"
"""What a merge may hold before it spills beside the file."""

_BUSY = ("Could not set lock", "Conflicting lock", "different configuration", "being used by another process")


class Connection(ConnectionOptions):
    """One DuckDB database file."""

    type: Literal["duckdb"] = Field(default="duckdb", description="A DuckDB database file.")
    path: str = Field(description="The database file; relative to the project.")
    timeout: Duration = Field(default=timedelta(seconds=10), description="How long to wait for other processes.")

    def file(self, root: Path) -> Path:
        return (root / self.path).resolve()


def connect(path: Path, timeout: timedelta, *, write: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the file; only ``write`` creates it. SQL in it can reach nothing else.

    Raises:
        RetriableError: CONFLICT when another process has it open in a way that keeps us out.
    """
    import duckdb

    if not write and not path.is_file():
        raise missing_file(path)
    if write:
        with files.told("connect", path.parent):
            files.make_folder(path.parent)
    config: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "memory_limit": MEMORY,
    }
    until = time.monotonic() + timeout.total_seconds()
    while True:
        try:
            connection = duckdb.connect(str(path), read_only=not write, config=config)
        except duckdb.Error as error:
            if any(word in str(error) for word in _BUSY) and time.monotonic() < until:
                time.sleep(0.02)
                continue
            raise explain(error, "connect", str(path)) from None
        embedded.settings(connection)
        return connection


def missing_file(path: Path) -> FatalError:
    beside = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file()) if path.parent.is_dir() else []
    return FatalError(
        Code.SOURCE_NOT_FOUND,
        "there is no such file",
        operation="connect",
        object=str(path),
        hint=nearest(path.name, beside) or "check the connection's path",
    )


@contextmanager
def told(operation: str, object_: object) -> Iterator[None]:
    """Turn errors of DuckDB into ours."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise explain(error, operation, str(object_)) from None


def explain(error: Exception, operation: str, object_: str) -> HeadgateError:
    import duckdb

    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    hint = ""
    if any(word in text for word in _BUSY):
        return RetriableError(
            Code.CONFLICT,
            "another process has the database file open",
            operation=operation,
            object=object_,
            hint="a DuckDB file has one writer or several readers: try again, or raise the connection's timeout",
        )
    if "No space left" in text or "out of disk" in text.lower():  # whatever it was doing: of a commit too
        hint = "free space; nothing was published"
        return FatalError(Code.DISK_FULL, "no space left on the disk", operation=operation, object=object_, hint=hint)
    if isinstance(error, duckdb.TransactionException):
        hint = "another session was in the way; nothing was published"
        return RetriableError(Code.CONFLICT, text, operation=operation, object=object_, hint=hint)
    code = Code.LOAD_EXECUTION_FAILED if operation in ("stage", "publish") else Code.EXTRACTION_FAILED
    if isinstance(error, duckdb.ConstraintException):
        code, hint = _rejected(text)
    elif isinstance(error, duckdb.IOException | duckdb.SerializationException | duckdb.FatalException):
        code, hint = Code.STORAGE_FAILED, "check the file and the version of DuckDB that wrote it"
    elif operation in misread.READS and _misread(error, text):
        code, hint = Code.PLAN_INVALID, misread.hint("DuckDB")
    elif isinstance(error, duckdb.CatalogException):
        code = Code.TABLE_NOT_FOUND
    return FatalError(code, text, operation=operation, object=object_, hint=hint, values=values_in(text))


def _misread(error: Exception, text: str) -> bool:
    import duckdb

    unknown = isinstance(error, duckdb.CatalogException) and "Function" in text
    return unknown or isinstance(error, duckdb.ParserException | duckdb.BinderException)


def _rejected(text: str) -> tuple[Code, str]:
    """Code and hint for a row that a constraint rejects, by DuckDB's words: it has one error for all kinds."""
    if "NOT NULL" in text:
        return Code.LOAD_EXECUTION_FAILED, NULL
    if "still referenced" in text:
        return Code.LOAD_EXECUTION_FAILED, REFERRED
    if "CHECK constraint" in text or "foreign key" in text:
        return Code.LOAD_EXECUTION_FAILED, CONSTRAINT
    return Code.DUPLICATE_KEYS, "deduplicate first, or use mode: upsert with the table's keys"
