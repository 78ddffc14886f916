"""Writing Parquet with bounded memory through files that can be forced to the disk, and fail in tests.

Encoding takes most of the time of writing, and one core: row groups are encoded side by side, each as a file in memory,
whose pages are then appended to the file in their order.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from headgate.io import files

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    import pyarrow as pa

    from headgate.io.parquet_footers import Joined

ROW_GROUP_ROWS = 122_880
ROW_GROUP_BYTES = 64 * 1024**2
"""Rows of a row group, and bytes of their values in memory: what comes first ends it."""
DICTIONARY_BYTES = 65_536
"""Columns with more distinct values give up their dictionary early: a quarter less CPU and smaller files (measured)."""
SAMPLE_ROWS = 10_000
ENCODERS = min(4, os.cpu_count() or 1)
Compression = Literal["gzip", "brotli", "lz4", "zstd", "snappy", "none"]


class Room:
    """So many bytes of memory, that several files share."""

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()
        self._free = size

    def take(self, size: int) -> bool:
        """Whether there was room for so many bytes, which are taken then."""
        with self._lock:
            fits = size <= self._free
            self._free -= size if fits else 0
            return fits

    def give(self, size: int) -> None:
        with self._lock:
            self._free += size


ENCODED = Room(48 * 1024**2)
"""For the values of all row groups, of any file, that threads encode or have encoded. Row groups of wide rows are
larger: they are encoded where they are written."""


class ParquetFile:
    """One Parquet file being written. ``close`` makes its content durable (not its name); ``abort`` removes it.

    Args:
        path: must not exist.
        schema: of all batches.
        metadata: key-value pairs for the footer.
        group_rows: a row group ends with so many rows, or before, by its bytes.
        room: memory for row groups on their way to the file.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        compression: Compression = "zstd",
        metadata: dict[str, str] | None = None,
        group_rows: int = ROW_GROUP_ROWS,
        room: Room = ENCODED,
    ) -> None:
        self.path, self.schema, self.rows = path, schema, 0
        self._group_rows, self._room = group_rows, room
        self._options: dict[str, Any] = {
            "compression": compression,
            "dictionary_pagesize_limit": DICTIONARY_BYTES,
            "store_decimal_as_integer": True,  # as Iceberg wants it, and smaller
        }
        self._stored = schema.with_metadata({**(schema.metadata or {}), **(metadata or {})})
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        self._encoders: ThreadPoolExecutor | None = None
        self._encoding: deque[tuple[int, Future[pa.Buffer]]] = deque()
        """Row groups on their way to the file, with their bytes in memory."""
        self._joined: Joined | None = None
        with files.told("write", path):
            self._file = files.DurableFile(path)

    @property
    def pending(self) -> int:
        """Rows that wait in memory for their row group to be full."""
        return self._pending_rows

    @property
    def size(self) -> int:
        """Bytes of the file, as far as rows were encoded; row groups on their way count as those that are there."""
        written = self._file.tell()
        if self._joined is None:
            return written + sum(held for held, _ in self._encoding)
        return written + written * len(self._encoding) // self._joined.files

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; they reach the disk a row group at a time."""
        if batch.num_rows == 0:
            return
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._pending_rows >= self._group_rows or self._pending_bytes >= ROW_GROUP_BYTES:
            self._encode()

    def _encode(self) -> None:
        """Have the row group encoded in a thread, beside those before it and what gives the next rows."""
        from concurrent.futures import ThreadPoolExecutor

        size, table = self._pending_bytes, self._table()
        while self._encoding and (self._encoding[0][1].done() or len(self._encoding) >= ENCODERS):
            self._append_next()
        while not self._room.take(size):
            if not self._encoding:
                self._append(_encoded(table, self._stored, self._options))
                return
            self._append_next()
        if self._encoders is None:
            self._encoders = ThreadPoolExecutor(ENCODERS, "headgate-encode")
        self._encoding.append((size, self._encoders.submit(_encoded, table, self._stored, self._options)))

    def _table(self) -> pa.Table:
        """The rows that wait; the first ones decide which columns get dictionaries."""
        import pyarrow as pa

        table = pa.Table.from_batches(self._pending, self.schema)
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
        if "use_dictionary" not in self._options:
            self._options["use_dictionary"] = _repetitive(table)
        return table

    def _append_next(self) -> None:
        size, encoding = self._encoding.popleft()
        try:
            self._append(encoding.result())
        finally:
            self._room.give(size)

    def _append(self, written: pa.Buffer) -> None:
        """The pages of a file in memory to the end of this one."""
        import pyarrow as pa

        from headgate.io import parquet_footers as footers

        with files.told("write", self.path):
            if self._joined is None:
                self._joined = footers.Joined()
                self._file.write(footers.MAGIC)
            footer, end = footers.read(pa.BufferReader(written))
            self._joined.add(footer, self._file.tell() - len(footers.MAGIC))
            self._file.write(written[len(footers.MAGIC) : end])

    def close(self) -> None:
        if self._file.closed:
            return
        if self._pending and (self._joined is not None or self._encoding):
            self._encode()
        while self._encoding:
            self._append_next()
        with files.told("write", self.path):
            if self._joined is None:
                self._write_whole()
            else:
                self._file.write(self._joined.ending())
            self._file.commit()
        self._end()

    def _write_whole(self) -> None:
        """The only row group, straight into the file."""
        import pyarrow as pa

        sink: Any = pa.PythonFile(cast("Any", self._file), mode="w")
        _write(sink, self._table(), self._stored, self._options)

    def abort(self) -> None:
        self._pending = []
        self._end()
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _end(self) -> None:
        """No thread works on any longer, and nothing is held."""
        if self._encoders is not None:
            self._encoders.shutdown(cancel_futures=True)
        while self._encoding:
            self._room.give(self._encoding.popleft()[0])


def _encoded(table: pa.Table, schema: pa.Schema, options: dict[str, Any]) -> pa.Buffer:
    """The rows as a Parquet file of one row group, in memory."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    _write(sink, table, schema, options)
    return sink.getvalue()


def _write(sink: Any, table: pa.Table, schema: pa.Schema, options: dict[str, Any]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(sink, schema, **options) as writer:
        if table.num_rows:
            writer.write_table(table, row_group_size=table.num_rows)


def _repetitive(sample: pa.Table) -> list[str] | bool:
    """Columns whose values repeat, so that a dictionary pays; nested columns and small files keep theirs."""
    import pyarrow as pa
    import pyarrow.compute as pc  # most of its time goes into making functions that small files do not need

    head = sample.slice(0, SAMPLE_ROWS)
    if head.num_rows < SAMPLE_ROWS:
        return True
    chosen = []
    for field in head.schema:
        if pa.types.is_nested(field.type):
            return True  # names of nested columns are paths: leave the choice to the writer
        if pc.count_distinct(head.column(field.name)).as_py() * 4 < SAMPLE_ROWS:
            chosen.append(field.name)
    return chosen


def move(source: Path, target: Path) -> None:
    """Move a durable file, across file systems too; the new name is durable when the caller syncs the folder."""
    try:
        files.rename(source, target)
    except OSError as error:
        if error.errno != 18:  # EXDEV: another file system
            raise
        shutil.copyfile(source, target)
        files.sync_file(target)
        files.unlink(source)
