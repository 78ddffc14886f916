"""Files of a table while they are written: where they lie, what they are called, when a new one begins."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from headgate.core.contracts import Load, Partitioning
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import PREFIX
from headgate.io import files, formats, local
from headgate.targets._local import parts
from headgate.targets._local.manifest import DataFile

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.io.formats import RowFile

FAILED = "failed_data"
"""The folder of rows that were held back; it is there from the first claim on."""
FILE_SIZE = 256 * 1024**2
OPEN_FILES = 100
OPEN_ROWS = 500_000
"""Of all parts of a table together; beyond, the file that waits longest is closed."""


@dataclass(frozen=True)
class Shape:
    """How a table's new files look.

    ``file_rows``: a new file after so many rows; the files are numbered then, in a folder of the run.
    """

    format: str = "parquet"
    compression: str | None = None
    file_size: int = FILE_SIZE
    file_rows: int | None = None
    partitioning: Partitioning | None = None


def shape_of(load: Load) -> Shape:
    """What the load's options say; those of another connector say nothing about files."""
    told = ("format", "compression", "file_size", "file_rows")
    given = {name: getattr(load.write, name) for name in told if hasattr(load.write, name)}
    return Shape(**given, partitioning=load.partitioning)


def folder_name(table: str) -> str:
    """A folder for a table, whatever its name; ``a/b`` is a folder in a folder.

    Raises:
        FatalError: UNSUPPORTED for names of the ledger and ones too long.
    """
    nested = all(part and not part.startswith((".", "_")) for part in table.split("/"))
    name = quote(table, safe=" ()+,=@~/" if nested else " ()+,=@~")
    if table.lower().startswith(PREFIX):
        raise FatalError(
            Code.UNSUPPORTED,
            f'tables whose names start with "{PREFIX}" are headgate\'s own',
            operation="stage",
            object=table,
            hint="choose another name",
        )
    if name.lower() == FAILED or name.lower().startswith(f"{FAILED}/"):
        raise FatalError(
            Code.UNSUPPORTED,
            f"the folder {FAILED} holds rows that were held back",
            operation="stage",
            object=table,
            hint="choose another name",
        )
    if name.startswith(("_", ".")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if not name or len(name) > 200:
        raise FatalError(
            Code.UNSUPPORTED,
            "the name is empty or too long for a folder",
            operation="stage",
            object=table,
            hint="choose a name of 1 to 60 characters",
        )
    return name


class TableWriter:
    """Writes batches into files of a table's folder, or of folders in it, a part each."""

    def __init__(
        self,
        root: Path,
        table: str,
        schema: pa.Schema,
        owner: str,
        run_id: str,
        shape: Shape,
        *,
        merged: bool = False,
        done: Callable[[DataFile], None],
    ) -> None:
        self._root, self._folder, self._table = root, root / folder_name(table), table
        self._schema, self._owner, self._run_id = schema, owner, run_id
        self._shape, self._merged, self._done = shape, merged, done
        self._ending, self._compression = formats.ending(shape.format, shape.compression)
        self._open: dict[str, RowFile] = {}
        self._seen: set[str] = set()
        self._begun = 0

    def write(self, batch: pa.RecordBatch) -> None:
        from headgate.targets._local.staging import fitted

        if batch.num_rows == 0:
            return
        rows = fitted(batch, self._schema)
        for part, chosen in parts.split(rows, self._shape.partitioning):
            for piece in self._sized(part, chosen):
                self._write(part, piece)

    def _sized(self, part: str, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The rows in pieces, none of which goes beyond the rows of a file."""
        limit, at = self._shape.file_rows, 0
        while limit is not None and at < rows.num_rows:
            there = self._open[part].rows if part in self._open else 0
            yield rows.slice(at, limit - there)
            at += limit - there
        if limit is None:
            yield rows

    def _write(self, part: str, rows: pa.RecordBatch) -> None:
        file = self._open.pop(part, None) or self._new(part)
        self._open[part] = file  # the last one written to is the last to be closed
        file.write(rows)
        full = file.rows == self._shape.file_rows
        if full or file.size >= self._shape.file_size:
            self._close(part)
        while len(self._open) > 1 and (
            len(self._open) > OPEN_FILES or sum(one.pending for one in self._open.values()) > OPEN_ROWS
        ):
            self._close(next(iter(self._open)))

    def _new(self, part: str) -> RowFile:
        self._seen.add(part)
        if len(self._seen) > parts.LIMIT:
            raise FatalError(
                Code.UNSUPPORTED,
                f"the rows need more than {parts.LIMIT} folders",
                operation="stage",
                object=self._table,
                hint="choose another column for partitioning, or a wider by",
            )
        self._begun += 1
        path = self._folder / part / self._name()
        for attempt in range(3):
            try:
                with files.told("stage", path.parent):
                    files.make_folder(path.parent)
                return formats.named(self._shape.format).create(path, self._schema, self._compression)
            except FatalError as error:  # another run's sweep may just have removed the empty folder
                if attempt == 2 or not isinstance(error.__cause__, FileNotFoundError):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _name(self) -> str:
        """Unique, and found by its owner's name."""
        if self._shape.file_rows is None or self._merged:
            return f"{self._owner}-{uuid.uuid4().hex}{self._ending}"
        return f"{self._owner}-batches/batch_{self._begun:05}{self._ending}"

    def close(self) -> None:
        for part in list(self._open):
            self._close(part)

    def _close(self, part: str) -> None:
        file = self._open[part]
        file.close()
        with files.told("stage", file.path):
            size, digest = file.path.stat().st_size, local.digest(file.path)
        del self._open[part]
        relative = file.path.relative_to(self._root).as_posix()
        self._done(DataFile(relative, file.rows, size, digest, self._run_id, len(self._schema), self._merged))

    def abort(self) -> None:
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.abort()
            remove_empty(self._root, file.path.parent)
        self._open = {}


def remove_empty(root: Path, folder: Path) -> None:
    """Remove folders of a table that nothing is in any more."""
    while folder not in (root, root.parent):
        try:
            folder.rmdir()
        except OSError:  # other runs' files are in it, or it is gone
            return
        folder = folder.parent


def left(root: Path, owner: str) -> Iterator[Path]:
    """Files of tables, and of what was held back, that the owner has made."""
    found = (*root.rglob(f"{owner}-*"), *root.rglob(f"{owner}-batches/*"))
    return (path for path in found if path.is_file())
