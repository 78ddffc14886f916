"""Rows on their way into a table: checked types, files with names of their own, durable before they are named."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load
from headgate.core.errors import Code, FatalError
from headgate.io import formats
from headgate.io.merging import handles
from headgate.targets._local.manifest import DataFile, Table
from headgate.targets._local.writing import shape_of

if TYPE_CHECKING:
    import pyarrow as pa

_SPELLED = {"parquet": "Parquet", "csv": "CSV", "json": "JSON", "avro": "Avro"}


def encode_schema(schema: pa.Schema) -> str:
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode()


def decode_schema(text: str) -> pa.Schema:
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def check_types(load: Load) -> None:
    """Raise UNSUPPORTED for a column that the format cannot give back as it was."""
    name = shape_of(load).format
    format_ = formats.named(name)
    lowered: set[str] = set()
    for column in load.schema:
        if not format_.keeps(column.type):
            raise FatalError(
                Code.UNSUPPORTED,
                f'{_SPELLED.get(name, name)} cannot keep column "{column.name}" of type {column.type}',
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
