"""Writing Parquet with bounded memory through files that can be forced to the disk, and fail in tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from headgate.io import files

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP_ROWS = 122_880
ROW_GROUP_BYTES = 64 * 1024**2
"""Rows of a row group, and bytes of their values in memory: what comes first ends it."""
DICTIONARY_BYTES = 65_536
"""Columns with more distinct values give up their dictionary early: a quarter less CPU and smaller files (measured)."""
SAMPLE_ROWS = 10_000
Compression = Literal["gzip", "brotli", "lz4", "zstd", "snappy", "none"]


class ParquetFile:
    """One Parquet file being written. ``close`` makes its content durable (not its name); ``abort`` removes it.

    Args:
        path: must not exist.
        schema: of all batches.
        metadata: key-value pairs for the footer.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        compression: Compression = "zstd",
        metadata: dict[str, str] | None = None,
    ) -> None:
        self.path, self.schema, self.rows = path, schema, 0
        self._options: dict[str, Any] = {"compression": compression}
        self._stored = schema.with_metadata({**(schema.metadata or {}), **(metadata or {})})
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        with files.told("write", path):
            self._file = files.DurableFile(path)

    @property
    def pending(self) -> int:
        """Rows that wait in memory for their row group."""
        return self._pending_rows

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; they reach the disk a row group at a time."""
        if batch.num_rows == 0:
            return
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._pending_rows >= ROW_GROUP_ROWS or self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        table = pa.Table.from_batches(self._pending, self.schema)
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
        with files.told("write", self.path):
            if self._writer is None:
                self._writer = self._open(table)
            if table.num_rows:
                self._writer.write_table(table, row_group_size=table.num_rows)

    def _open(self, sample: pa.Table) -> pq.ParquetWriter:
        """The writer; which columns get dictionaries follows from the first rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink: Any = pa.PythonFile(cast("Any", self._file), mode="w")
        return pq.ParquetWriter(
            sink,
            self._stored,
            use_dictionary=_repetitive(sample),  # type: ignore[arg-type]  # names of columns are allowed too
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            store_decimal_as_integer=True,  # as Iceberg wants it, and smaller
            **self._options,
        )

    def close(self) -> None:
        if not self._file.closed:
            if self._pending or self._writer is None:
                self._flush()
            with files.told("write", self.path):
                assert self._writer is not None
                self._writer.close()
                self._file.commit()

    def abort(self) -> None:
        self._pending = []
        if self._writer is not None:
            self._writer.is_open = False  # else its finaliser would write a footer into the closed file
            self._writer = None
        self._file.close()
        self.path.unlink(missing_ok=True)


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
