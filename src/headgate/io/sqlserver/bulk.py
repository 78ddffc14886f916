"""Arrow batches as the rows of a bulk load, typed as the staging table's columns are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headgate.io.relational.columns import check_finite

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 2_000
"""Rows that are turned into Python's values at a time."""


def columns(schema: pa.Schema) -> list[Any]:
    """The columns of a bulk load, as the driver wants them."""
    from pytds.tds_base import Column

    return [Column(name=field.name, type=_type(field.type), flags=Column.fNullable) for field in schema]


def check(batch: pa.RecordBatch) -> None:
    """Raise FatalError UNSUPPORTED for NaN and infinity, before a load begins that could not be ended well."""
    import pyarrow.types as t

    for field, array in zip(batch.schema, batch.columns, strict=True):
        if t.is_floating(field.type):
            check_finite("SQL Server", array, field.name)


def rows(batch: pa.RecordBatch) -> Iterator[Sequence[Any]]:
    """The rows of a batch."""
    for start in range(0, batch.num_rows, ROWS):
        part = batch.slice(start, ROWS)
        yield from zip(*(_values(array) for array in part.columns), strict=True)


def _values(array: Any) -> list[Any]:
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us", "UTC" if array.type.tz else None))
    found: list[Any] = array.to_pylist()
    return found


def _type(type_: pa.DataType) -> Any:
    """The driver's type for values of an Arrow type that :func:`headgate.io.sqlserver.types.declare` takes."""
    import pyarrow as pa
    import pyarrow.types as t
    from pytds import tds_types as tds

    if t.is_timestamp(type_):
        return tds.DateTimeOffsetType(precision=6) if type_.tz else tds.DateTime2Type(precision=6)
    if t.is_decimal(type_):
        return tds.DecimalType(precision=type_.precision, scale=type_.scale)
    known: dict[Any, Any] = {
        pa.bool_(): tds.BitType,
        pa.int8(): tds.SmallIntType,
        pa.int16(): tds.SmallIntType,
        pa.int32(): tds.IntType,
        pa.int64(): tds.BigIntType,
        pa.uint8(): tds.TinyIntType,
        pa.uint16(): tds.IntType,
        pa.uint32(): tds.BigIntType,
        pa.uint64(): lambda: tds.DecimalType(precision=20, scale=0),
        pa.float32(): tds.RealType,
        pa.float64(): tds.FloatType,
        pa.string(): tds.NVarCharMaxType,
        pa.large_string(): tds.NVarCharMaxType,
        pa.binary(): tds.VarBinaryMaxType,
        pa.large_binary(): tds.VarBinaryMaxType,
        pa.date32(): tds.DateType,
        pa.time64("us"): lambda: tds.TimeType(precision=6),
    }
    return known[type_]()
