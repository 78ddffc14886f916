"""Rows on their way into a table: checked types, files with names of their own, durable before they are named."""

from __future__ import annotations

import base64
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from headgate.core.contracts import Load
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import PREFIX
from headgate.io import files, local
from headgate.io.merging import handles
from headgate.targets._local.manifest import DataFile, Table

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.io.parquet import Compression, ParquetFile

FILE_SIZE = 256 * 1024**2


def folder_name(table: str) -> str:
    """A folder for a table, whatever its name. Raises FatalError for names of the ledger and ones too long."""
    name = quote(table, safe=" ()+,=@~")
    if table.lower().startswith(PREFIX):
        raise FatalError(
            Code.UNSUPPORTED,
            f'tables whose names start with "{PREFIX}" are headgate\'s own',
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


def encode_schema(schema: pa.Schema) -> str:
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode()


def decode_schema(text: str) -> pa.Schema:
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def check_types(load: Load) -> None:
    """Raise UNSUPPORTED for a column that Parquet cannot give back as it was."""
    lowered: set[str] = set()
    for column in load.schema:
        if not _is_kept(column.type):
            raise FatalError(
                Code.UNSUPPORTED,
                f'Parquet cannot keep column "{column.name}" of type {column.type}',
                operation="stage",
                object=load.table,
                hint=f'cast it in a step, for example: {{type: cast, columns: {{"{column.name}": VARCHAR}}}}',
            )
        if column.name.lower() in lowered:
            raise FatalError(
                Code.UNSUPPORTED,
                f'two columns are called "{column.name}"; upper and lower case do not tell them apart',
                operation="stage",
                object=load.table,
                hint="rename one of them",
            )
        lowered.add(column.name.lower())


def _is_kept(type_: Any) -> bool:
    import pyarrow as pa
    import pyarrow.types as t

    if isinstance(type_, pa.ListType):
        return _is_kept(type_.value_type)
    if isinstance(type_, pa.StructType):
        return type_.num_fields > 0 and all(_is_kept(type_.field(at).type) for at in range(type_.num_fields))
    if isinstance(type_, pa.MapType):
        return _is_kept(type_.key_type) and _is_kept(type_.item_type)
    if t.is_timestamp(type_):
        return bool(type_.unit == "us")
    return bool(
        t.is_boolean(type_)
        or (t.is_integer(type_))
        or t.is_float32(type_)
        or t.is_float64(type_)
        or t.is_decimal128(type_)
        or t.is_string(type_)
        or t.is_binary(type_)
        or t.is_date32(type_)
        or (t.is_time64(type_) and type_ == pa.time64("us"))
    )


def evolved(load: Load, table: Table | None) -> pa.Schema:
    """The table's columns with the load's new ones behind them.

    Raises:
        FatalError: TABLE_NOT_FOUND, or SCHEMA_MISMATCH with column, old and new type.
    """
    if table is None:
        if not load.create:
            raise FatalError(
                Code.TABLE_NOT_FOUND,
                "there is no such table, and create: false forbids to make it",
                operation="stage",
                object=load.table,
                hint="say create: true, or mend the table's name",
            )
        return load.columns.remove_metadata()
    current = decode_schema(table.schema)
    by_name = {column.name.lower(): column for column in current}
    fields = list(current)
    for column in load.columns:
        known = by_name.get(column.name.lower())
        if known is None and load.evolve:
            fields.append(column.remove_metadata().with_nullable(True))
        elif known is None:
            raise _mismatch(load, f'column "{column.name}" is new, and evolve: freeze forbids it', "say evolve: evolve")
        elif known.name != column.name:
            raise _mismatch(load, f'column "{column.name}" is "{known.name}" in the table', "rename it in a step")
        elif not fits(column.type, known.type):
            why = f'column "{column.name}" is {known.type} in the table and {column.type} now'
            raise _mismatch(load, why, f"cast it to {known.type} in a step, or write to another table")
    import pyarrow as pa

    return pa.schema(fields)


def staged_schema(staged: Staged) -> pa.Schema:
    """What the staged files hold: the table's columns, or, where rows are merged in, the load's own in its types."""
    import pyarrow as pa

    if not handles(staged.load):
        return staged.schema
    fields = [
        column if column.name == staged.load.marker else staged.schema.field(column.name)
        for column in staged.load.schema
    ]
    return pa.schema(fields)


def fits(type_: Any, wider: Any) -> bool:
    """Whether every value of ``type_`` is one of ``wider``."""
    import pyarrow as pa
    import pyarrow.types as t

    if type_ == wider:
        return True
    if t.is_integer(type_) and t.is_integer(wider):
        if t.is_signed_integer(type_) and not t.is_signed_integer(wider):
            return False
        room = wider.bit_width - (t.is_unsigned_integer(type_) and t.is_signed_integer(wider))
        return bool(type_.bit_width <= room)
    if t.is_floating(type_) and t.is_floating(wider):
        return bool(type_.bit_width <= wider.bit_width)
    if isinstance(type_, pa.Decimal128Type) and isinstance(wider, pa.Decimal128Type):
        whole = wider.precision - wider.scale >= type_.precision - type_.scale
        return bool(whole and wider.scale >= type_.scale)
    return False


def _mismatch(load: Load, why: str, hint: str) -> FatalError:
    return FatalError(Code.SCHEMA_MISMATCH, why, operation="stage", object=load.table, hint=hint)


@dataclass
class Staged:
    """What a run has staged for one table.

    ``base`` is the manifest number that last changed the table when staging began; ``merged`` the files that replace
    all of the table's, once an upsert or overwrite was worked out.
    """

    load: Load
    schema: pa.Schema
    base: int
    files: list[DataFile] = field(default_factory=list)
    merged: tuple[DataFile, ...] | None = None
    rewritten: list[DataFile] = field(default_factory=list)
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


class FileWriter:
    """Writes batches into files of a table's folder, a new one when one is large enough."""

    def __init__(
        self,
        root: Path,
        table: str,
        schema: pa.Schema,
        owner: str,
        run_id: str,
        *,
        compression: Compression = "zstd",
        file_size: int = FILE_SIZE,
        merged: bool = False,
        done: Callable[[DataFile], None],
    ) -> None:
        self._root, self._folder, self._schema = root, root / folder_name(table), schema
        self._owner, self._run_id, self._merged = owner, run_id, merged
        self._compression, self._file_size, self._done = compression, file_size, done
        self._file: ParquetFile | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        if self._file is None:
            self._file = self._open()
        self._file.write(fitted(batch, self._schema))
        if self._file.path.stat().st_size >= self._file_size:
            self.close()

    def _open(self) -> ParquetFile:
        from headgate.io.parquet import ParquetFile

        path = self._folder / f"{self._owner}-{uuid.uuid4().hex}.parquet"
        for attempt in range(3):
            with files.told("stage", self._folder):
                files.make_folder(self._folder)
            try:
                return ParquetFile(path, self._schema, compression=self._compression)
            except FatalError as error:  # another run's sweep may just have removed the empty folder
                if attempt == 2 or not isinstance(error.__cause__, FileNotFoundError):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        if self._file is None:
            return
        file = self._file
        file.close()
        with files.told("stage", file.path):
            size, digest = file.path.stat().st_size, local.digest(file.path)
        self._file = None
        relative = file.path.relative_to(self._root).as_posix()
        self._done(DataFile(relative, file.rows, size, digest, self._run_id, len(self._schema), self._merged))

    def abort(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.abort()
            self._file = None


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with a table's columns and types; absent columns are NULL."""
    import pyarrow as pa

    if batch.schema.equals(schema):
        return batch
    arrays: list[Any] = []
    for column in schema:
        if column.name in batch.schema.names:
            arrays.append(batch.column(column.name).cast(column.type))
        else:
            arrays.append(pa.nulls(batch.num_rows, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
