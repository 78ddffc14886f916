"""Rows on their way into a DuckDB file: Arrow files that are mapped into memory, so that no load holds the database."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.io import files

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.core.contracts import Load


class StagingFile:
    """The rows of one load."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path, self._durable = path, durable
        self._writer: Any = None

    def open(self, load: Load) -> None:
        import pyarrow as pa

        with files.told("stage", self.path):
            self._writer = pa.ipc.new_file(str(self.path), load.schema)

    def write(self, batch: pa.RecordBatch) -> None:
        with files.told("stage", self.path):
            self._writer.write_batch(batch)

    def close(self) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        with files.told("stage", self.path):
            writer.close()
            if self._durable:
                files.sync_file(self.path)
                files.sync_folder(self.path.parent)

    def table(self) -> pa.Table:
        """The rows, in pages that the system may take away again."""
        import pyarrow as pa

        with files.told("stage", self.path):
            return pa.ipc.open_file(pa.memory_map(str(self.path))).read_all()

    def remove(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):  # of a full disk: what is not written is not wanted
                writer.close()
        if os.path.lexists(self.path):
            files.unlink(self.path)
