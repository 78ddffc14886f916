"""Writing Parquet with bounded memory through files that can be forced to the disk, and fail in tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.io import files

ROW_GROUP_ROWS = 122_880
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
        with files.told("write", path):
            self._file = files.DurableFile(path)
            sink: Any = pa.PythonFile(cast(Any, self._file), mode="w")
            self._writer = pq.ParquetWriter(
                sink, schema.with_metadata({**(schema.metadata or {}), **(metadata or {})}), compression=compression
            )
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; they reach the disk a row group at a time."""
        if batch.num_rows == 0:
            return
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self.rows += batch.num_rows
        if self._pending_rows >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, self.schema)
            self._pending, self._pending_rows = [], 0
            with files.told("write", self.path):
                self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)

    def close(self) -> None:
        if not self._file.closed:
            self._flush()
            with files.told("write", self.path):
                self._writer.close()
                self._file.commit()

    def abort(self) -> None:
        self._pending = []
        self._file.close()
        self.path.unlink(missing_ok=True)


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
