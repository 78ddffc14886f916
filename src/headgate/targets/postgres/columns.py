"""Arrow columns as PostgreSQL's: declared faithfully in new tables, fitted exactly into existing ones, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.io.postgres.catalogue import ServerColumn, check_name
from headgate.io.postgres.types import ELEMENTS, NAMES, numeric

if TYPE_CHECKING:
    import pyarrow as pa

_WHOLE = {"int8": (7, True), "int16": (15, True), "int32": (31, True), "int64": (63, True)}
_WHOLE |= {"uint8": (8, False), "uint16": (16, False), "uint32": (32, False), "uint64": (64, False)}
"""Bits of each whole number, and whether it has a sign."""

_DIGITS = {"int8": 3, "uint8": 3, "int16": 5, "uint16": 5, "int32": 10, "uint32": 10, "int64": 19, "uint64": 20}
_ENCODED_AS = {"timestamptz": "timestamp[]", "varchar": "text[]", "bpchar": "text[]"}
"""Element types of arrays that the encoder announces as another, which the server takes amiss."""

_BITS = {"int2": 15, "int4": 31, "int8": 63}


@dataclass(frozen=True)
class Fit:
    """How one column travels.

    Args:
        name: the column.
        arrow: the type that is encoded.
        staged: the SQL type that understands the encoding.
        final: the SQL type that the staged value is cast to; None if it is the column's own already.
    """

    name: str
    arrow: pa.DataType
    staged: str
    final: str | None = None


def sent_as(column: Fit) -> str:
    """The type whose binary form a column takes: without length or digits, which the server checks as it takes it."""
    if column.staged.startswith("character"):
        return "text"
    return re.sub(r"\(\d+(,-?\d+)?\)", "", column.staged)


def declare(field: pa.Field[Any], table: str) -> tuple[str, Fit]:
    """The SQL type of a new column, and how it travels. Raises FatalError UNSUPPORTED naming column and type."""
    import pyarrow as pa

    check_name(field.name, "column")
    type_ = field.type
    if pa.types.is_interval(type_):
        return "interval", Fit(field.name, pa.string(), "text", "interval")
    element = type_.value_type if pa.types.is_list(type_) or pa.types.is_large_list(type_) else None
    name = _scalar(type_ if element is None else element)
    if name is None:
        raise FatalError(
            Code.UNSUPPORTED,
            f'PostgreSQL cannot hold column "{field.name}" of type {type_} exactly',
            operation="stage",
            object=table,
            hint=f'cast "{field.name}" to text, for example with to_json(...), or to numbers, times and lists of them',
        )
    if element is None:
        return name, Fit(field.name, type_, name)
    if name == "timestamptz":  # the encoder announces elements without a zone; sessions are in UTC
        return "timestamptz[]", Fit(field.name, type_, "timestamp[]", "timestamptz[]")
    return f"{name}[]", Fit(field.name, type_, f"{name}[]")


def _scalar(type_: pa.DataType) -> str | None:
    """The SQL type that holds every value of an Arrow type, and whose binary form the encoder writes."""
    import pyarrow as pa

    if pa.types.is_decimal128(type_):
        return f"numeric({type_.precision},{type_.scale})" if type_.scale >= 0 else None
    if pa.types.is_timestamp(type_):
        return None if type_.unit == "ns" else "timestamptz" if type_.tz else "timestamp"
    names: dict[pa.DataType, str] = {
        pa.bool_(): "boolean",
        pa.int8(): "smallint",
        pa.int16(): "smallint",
        pa.int32(): "integer",
        pa.int64(): "bigint",
        pa.uint8(): "smallint",
        pa.uint16(): "integer",
        pa.uint32(): "bigint",
        pa.uint64(): "numeric(20,0)",
        pa.float32(): "real",
        pa.float64(): "double precision",
        pa.string(): "text",
        pa.large_string(): "text",
        pa.binary(): "bytea",
        pa.large_binary(): "bytea",
        pa.date32(): "date",
        pa.time64("us"): "time",
    }
    return names.get(type_)


def fit(field: pa.Field[Any], column: ServerColumn, formatted: str, table: str) -> Fit:
    """How a column travels into an existing one.

    Args:
        field: what arrives.
        column: what is there.
        formatted: the type of what is there, as the server writes it.
        table: for errors.

    Raises:
        FatalError: SCHEMA_MISMATCH when a value could be lost; UNSUPPORTED when no column could hold it.
    """
    import pyarrow as pa

    _, plain = declare(field, table)
    arrow = _fitting(field.type, column)
    element = NAMES.get(ELEMENTS.get(column.oid, 0))
    if arrow is not None and plain.final == "interval":
        return Fit(field.name, pa.string(), "text", "interval")
    if arrow is not None and element in _ENCODED_AS:
        # without a length: then the assignment refuses what is too long, where a cast would cut it
        return Fit(field.name, arrow, _ENCODED_AS[element], f"{element}[]")
    if arrow is not None:
        return Fit(field.name, arrow, formatted)
    if plain.staged in {"text", "text[]"} and plain.final is None and not {column.oid} & {*NAMES, *ELEMENTS}:
        return Fit(field.name, plain.arrow, plain.staged, formatted)  # uuid, json, enumerations …: written as text
    raise FatalError(
        Code.SCHEMA_MISMATCH,
        f'column "{field.name}" is {formatted} in the table, and {field.type} in the rows to load',
        operation="stage",
        object=table,
        hint=f"add a cast step, or change the table: a {field.type} does not always fit into a {formatted}",
    )


def _fitting(type_: pa.DataType, column: ServerColumn) -> pa.DataType | None:
    """The Arrow type to encode so that every value of ``type_`` arrives unchanged; None if some would not."""
    import pyarrow as pa

    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        element = ELEMENTS.get(column.oid)
        if element is None:
            return None
        inner = _fitting(type_.value_type, ServerColumn(column.name, element, column.typmod))
        return None if inner is None else pa.list_(inner)
    name = NAMES.get(column.oid, "")
    if str(type_) in _WHOLE:
        return _fitting_whole(str(type_), name, column.typmod)
    if pa.types.is_decimal128(type_):
        return type_ if name == "numeric" and _holds(column.typmod, type_.precision, type_.scale) else None
    if pa.types.is_timestamp(type_):
        return type_ if name == ("timestamptz" if type_.tz else "timestamp") else None
    takes: dict[str, dict[pa.DataType, pa.DataType]] = {
        "bool": {pa.bool_(): pa.bool_()},
        "float4": {pa.float32(): pa.float32()},
        "float8": {pa.float32(): pa.float64(), pa.float64(): pa.float64()},
        "bytea": {pa.binary(): pa.binary(), pa.large_binary(): pa.large_binary()},
        "date": {pa.date32(): pa.date32()},
        "time": {pa.time64("us"): pa.time64("us")},
        "interval": {pa.month_day_nano_interval(): pa.string()},
    }
    if name in {"text", "varchar", "bpchar"}:
        return type_ if type_ in (pa.string(), pa.large_string()) else None
    return takes.get(name, {}).get(type_)


def _fitting_whole(type_: str, name: str, typmod: int) -> pa.DataType | None:
    import pyarrow as pa

    bits, _ = _WHOLE[type_]
    if name in _BITS and bits <= _BITS[name]:
        return {"int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64()}[name]
    if name == "numeric" and _holds(typmod, _DIGITS[type_], 0):
        return pa.decimal128(_DIGITS[type_], 0)
    if (name == "float8" and bits <= 32) or (name == "float4" and bits <= 16):
        return pa.float64() if name == "float8" else pa.float32()
    return None


def _holds(typmod: int, precision: int, scale: int) -> bool:
    """Whether a numeric with this modifier holds every decimal of that precision and scale."""
    declared = numeric(typmod)
    if declared is None:
        return True
    return declared[1] >= scale and declared[0] - declared[1] >= precision - scale


def converter(schema: pa.Schema, fits: Sequence[Fit]) -> tuple[pa.Schema, Callable[[pa.RecordBatch], pa.RecordBatch]]:
    """The schema that is encoded, and a function that brings batches of ``schema`` into it."""
    import pyarrow as pa

    encoded = pa.schema([pa.field(each.name, each.arrow) for each in fits])
    if encoded.equals(schema):
        return encoded, lambda batch: batch
    positions: Mapping[str, int] = {name: number for number, name in enumerate(schema.names)}

    def convert(batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = [_cast(batch.column(positions[each.name]), each) for each in fits]
        return pa.RecordBatch.from_arrays(arrays, schema=encoded)

    return encoded, convert


def _cast(array: pa.Array[Any], target: Fit) -> pa.Array[Any]:
    import pyarrow as pa

    if array.type == target.arrow:
        return array
    if pa.types.is_interval(array.type):
        return pa.array([_interval(value, target.name) for value in array.to_pylist()], pa.string())
    return array.cast(target.arrow)


def _interval(value: Any, column: str) -> str | None:
    """An interval as the server reads it; it keeps microseconds."""
    if value is None:
        return None
    microseconds, rest = divmod(abs(value.nanoseconds), 1000)
    if rest:
        raise FatalError(
            Code.UNSUPPORTED,
            f'column "{column}" holds an interval with nanoseconds, and PostgreSQL keeps microseconds',
            operation="stage",
            object=column,
            hint="round it first",
        )
    sign = "-" if value.nanoseconds < 0 else ""
    return f"{value.months} mons {value.days} days {sign}{microseconds // 10**6}.{microseconds % 10**6:06d} secs"
