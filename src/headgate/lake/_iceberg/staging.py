"""Data files: Parquet, rolled over at a bounded size, under names that carry pipeline, run and epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from headgate.core.contracts import Load
from headgate.io import files
from headgate.io.parquet import ParquetFile
from headgate.lake._iceberg import schemas

FILE_BYTES = 128 << 20
FILE_ROWS = 1_000_000


@dataclass(frozen=True)
class DataFile:
    """One whole, durable Parquet file (its name is durable once the folder is synced)."""

    path: Path
    rows: int


class RollingFile:
    """Rows become files of at most about :data:`FILE_BYTES` or :data:`FILE_ROWS`.

    Args:
        folder: created if need be.
        tag: what names start with.
        numbers: shared by all writers of a transaction, so that names never meet.
        schema: of all batches, with field ids.
    """

    def __init__(self, folder: Path, tag: str, numbers: Iterator[int], schema: pa.Schema) -> None:
        self._folder, self._tag, self._numbers, self._schema = folder, tag, numbers, schema
        self._file: ParquetFile | None = None
        self.done: list[DataFile] = []

    def write(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        if self._file is None:
            self._file = ParquetFile(self._next(), self._schema)
        self._file.write(batch)
        if self._file.rows >= FILE_ROWS or self._file.size >= FILE_BYTES:
            self._finish()

    def _next(self) -> Path:
        with files.told("create", self._folder):
            files.make_folder(self._folder)
        return self._folder / f"{self._tag}-{next(self._numbers):05d}.parquet"

    def place(self, make: Callable[[Path], None], rows: int) -> None:
        """Have a whole file made; ``make`` leaves nothing behind when it fails."""
        path = self._next()
        make(path)
        self.done.append(DataFile(path, rows))

    def _finish(self) -> None:
        if self._file is not None:
            self._file.close()
            self.done.append(DataFile(self._file.path, self._file.rows))
            self._file = None

    def close(self) -> list[DataFile]:
        """Make the last file whole; all files so far."""
        self._finish()
        return self.done

    def abort(self) -> None:
        """Forget everything written."""
        if self._file is not None:
            self._file.abort()
            self._file = None
        for file in self.done:
            file.path.unlink(missing_ok=True)
        self.done = []


class TableWriter:
    """The :class:`headgate.core.contracts.Writer` of one load."""

    def __init__(self, load: Load, plan: schemas.SchemaPlan, output: RollingFile, columns: pa.Schema) -> None:
        self._load, self._plan, self._output, self._columns = load, plan, output, columns
        self.closed = False

    def write(self, batch: pa.RecordBatch) -> None:
        self._output.write(schemas.fit(batch, self._plan, self._columns))

    def close(self) -> None:
        self._output.close()
        self.closed = True

    def abort(self) -> None:
        self._output.abort()
        self.closed = True

    @property
    def files(self) -> list[DataFile]:
        return self._output.done


def numbers(start: int = 0) -> Iterator[int]:
    """What the files of one transaction are numbered with."""
    return itertools.count(start)
