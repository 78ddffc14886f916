"""Batches that are set aside on the disk and read back once, in their order: as much as there is, in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from headgate.io import files

if TYPE_CHECKING:
    import pyarrow as pa


class SetAside:
    """A file of batches, as they are written and of every type.

    Args:
        path: must not exist; :meth:`batches` removes it at its end.
        schema: of all batches.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow as pa

        self.rows = 0
        self._path = path
        with files.told("write", path):
            self._file = files.DurableFile(path)
            self._writer = pa.ipc.new_stream(pa.PythonFile(cast("Any", self._file), mode="w"), schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        with files.told("write", self._path):
            self._writer.write_batch(batch)

    def close(self) -> None:
        """Nothing more comes. The file need not survive the run, so it is not forced to the disk."""
        with files.told("write", self._path):
            try:
                self._writer.close()
            finally:
                self._file.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """What was written, as it was."""
        import pyarrow as pa

        with files.told("read", self._path), pa.OSFile(str(self._path), "r") as file:
            yield from pa.ipc.open_stream(file)
        files.unlink(self._path)
