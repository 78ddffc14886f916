"""Formats of data files that headgate writes and reads back exactly. One module a format, found by its name.

A module says ``ENDING``, ``CODECS`` (compression by name and what it adds to the ending), ``DEFAULT`` (of these),
``keeps(type)``, ``create(path, schema, compression)`` and ``read(path, schema)``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from headgate.core.errors import Code, FatalError

if TYPE_CHECKING:
    import pyarrow as pa


class RowFile(Protocol):
    """One file being written. ``close`` makes its content durable (not its name); ``abort`` removes it."""

    path: Path
    rows: int

    @property
    def pending(self) -> int:
        """Rows that wait in memory."""

    @property
    def size(self) -> int:
        """Bytes of the file so far."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Format(Protocol):
    """What a module of this package gives."""

    ENDING: str
    CODECS: Mapping[str, str]
    DEFAULT: str

    def keeps(self, type_: pa.DataType) -> bool:
        """Whether every value of the type comes back as it was."""

    def create(self, path: Path, schema: pa.Schema, compression: str) -> RowFile: ...

    def read(self, path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows, with those columns of ``schema`` that the file has, in their order."""


def names() -> list[str]:
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))


def named(name: str) -> Format:
    module: Format = importlib.import_module(f"{__name__}.{name}")
    return module


def ending(name: str, compression: str | None) -> tuple[str, str]:
    """The files' ending and the compression, which is the format's own unless it is given.

    Raises:
        FatalError: CONFIG_INVALID for a compression that the format does not have.
    """
    format_ = named(name)
    chosen = compression or format_.DEFAULT
    if chosen not in format_.CODECS:
        raise FatalError(
            Code.CONFIG_INVALID,
            f"{name} files have no compression {chosen}",
            operation="stage",
            object=name,
            hint=f"one of: {', '.join(format_.CODECS)}",
        )
    return f"{format_.ENDING}{format_.CODECS[chosen]}", chosen


def read(path: Path, schema: pa.Schema, columns: int) -> Iterator[pa.RecordBatch]:
    """The rows of a file that one of these formats wrote, with so many columns; see :meth:`Format.read`.

    Raises:
        FatalError: STORAGE_FAILED for a file that is gone or was changed since.
    """
    import duckdb
    import pyarrow as pa

    from headgate.io import files

    try:
        with files.told("read", path):
            for batch in of_path(path.name).read(path, schema):
                if batch.num_columns != columns:
                    raise ValueError(f"{columns} columns were written, and {batch.num_columns} of them are there")
                yield batch
    except (pa.ArrowException, duckdb.Error, ValueError, EOFError) as error:
        raise FatalError(
            Code.STORAGE_FAILED,
            f"the file cannot be read: {error}",
            operation="read",
            object=str(path),
            hint="it may have been changed from outside: restore it, or load the table anew",
        ) from error


def of_path(path: str) -> Format:
    """The format by the ending that :func:`ending` gave."""
    for name in names():
        format_ = named(name)
        if any(path.endswith(f"{format_.ENDING}{more}") for more in format_.CODECS.values()):
            return format_
    raise FatalError(
        Code.STATE_INVALID,
        "the file has an ending that this version does not know",
        operation="read",
        object=path,
        hint=f"formats are: {', '.join(names())}; a newer headgate may have written it",
    )
