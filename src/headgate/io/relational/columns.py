"""Columns of databases on their way from and to Arrow: exact, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import SourceSchema
from headgate.core.errors import Code, FatalError, nearest
from headgate.io.cursor_values import Kind

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ReadColumn:
    """One column of a scan.

    Args:
        name: the column.
        expression: what is selected for it, in the database's SQL.
        arrow: the type in which it arrives.
        cast: its true type in SQL, if that is another: the plan's first step casts, and what does not fit is a row
            error with its text.
        kind: what it is as a cursor; None: it cannot be one.
        certain: the database keeps the type of ``cast``, so that what converts to it is the value.
    """

    name: str
    expression: str
    arrow: pa.DataType
    cast: str | None = None
    kind: Kind | None = None
    certain: bool = False


@dataclass(frozen=True)
class TableColumn:
    """A column that is there. ``text_like``: the server makes its values from text (uuid, json, enumerations)."""

    name: str
    sql: str
    arrow: pa.DataType
    text_like: bool = False


def chosen(found: Sequence[ReadColumn], names: Sequence[str] | None, object_: str) -> list[ReadColumn]:
    """All columns, or those named, in that order. Raises FatalError SCHEMA_MISMATCH."""
    known = {column.name: column for column in found}
    for name in names or ():
        if name not in known:
            raise no_column(name, known, "schema", object_)
    return [known[name] for name in (names or known)]


def no_column(name: str, known: Any, operation: str, object_: str) -> FatalError:
    return FatalError(
        Code.SCHEMA_MISMATCH,
        f'there is no column "{name}"; {nearest(name, known)}',
        operation=operation,
        object=object_,
        hint="existing columns: " + ", ".join(known),
    )


def arrow_schema(columns: Sequence[ReadColumn]) -> pa.Schema:
    """What rows of such columns come as."""
    import pyarrow as pa

    return pa.schema([pa.field(column.name, column.arrow) for column in columns])


def source_schema(columns: Sequence[ReadColumn], keys: tuple[str, ...] = ()) -> SourceSchema:
    """The schema of a scan of such columns."""
    return SourceSchema(
        arrow_schema(columns),
        {column.name: column.cast for column in columns if column.cast},
        keys,
        certain=frozenset(column.name for column in columns if column.certain),
    )


_DIGITS = {"int8": 3, "uint8": 3, "int16": 5, "uint16": 5, "int32": 10, "uint32": 10, "int64": 19, "uint64": 20}
_RANGES = {f"{sign}int{bits}": (bits if sign else bits - 1, not sign) for bits in (8, 16, 32, 64) for sign in ("", "u")}
"""Bits of magnitude of each whole number, and whether it has a sign."""
_UNITS = ("s", "ms", "us", "ns")


def holds(held: pa.DataType, given: pa.DataType) -> bool:
    """Whether a column that holds one type takes every value of another and gives it back."""
    import pyarrow.types as t

    if held == given or (_text(held) and _text(given)) or (_bytes(held) and _bytes(given)):
        return True
    if t.is_integer(given):
        bits, signed = _RANGES[str(given)]
        if t.is_integer(held):
            room, has_sign = _RANGES[str(held)]
            return bits <= room and (has_sign or not signed)
        if t.is_decimal(held):
            return bool(_DIGITS[str(given)] <= held.precision - held.scale)
        return bits <= (53 if t.is_float64(held) else 24 if t.is_float32(held) else 0)
    if t.is_decimal(given) and t.is_decimal(held):
        return bool(held.scale >= given.scale and held.precision - held.scale >= given.precision - given.scale)
    if t.is_timestamp(given) and t.is_timestamp(held):
        return (held.tz is None) == (given.tz is None) and _UNITS.index(held.unit) >= _UNITS.index(given.unit)
    if t.is_time(given) and t.is_time(held):
        return _UNITS.index(held.unit) >= _UNITS.index(given.unit)
    return bool(t.is_float32(given) and t.is_float64(held))


def _text(type_: pa.DataType) -> bool:
    import pyarrow.types as t

    return bool(t.is_string(type_) or t.is_large_string(type_))


def _bytes(type_: pa.DataType) -> bool:
    import pyarrow.types as t

    return bool(t.is_binary(type_) or t.is_large_binary(type_))


def accepts(column: TableColumn, given: pa.DataType) -> bool:
    """Whether a column of a table takes every value of a type."""
    return (column.text_like and _text(given)) or holds(column.arrow, given)


def check_finite(product: str, array: Any, name: str) -> None:
    """Raise UNSUPPORTED for NaN and infinity, where a product has neither."""
    import pyarrow.compute as pc

    if pc.all(pc.is_finite(array)).as_py() is False:
        raise FatalError(
            Code.UNSUPPORTED,
            f'the column "{name}" holds NaN or infinity, which {product} cannot hold',
            operation="stage",
            object=name,
            hint="replace them before, with a calculate step",
        )


def refused(product: str, field: pa.Field[Any], why: str = "") -> FatalError:
    """The error for a column that a product cannot hold."""
    reason = f": {why}" if why else ""
    return FatalError(
        Code.UNSUPPORTED,
        f'{product} cannot hold the column "{field.name}" ({field.type}) exactly{reason}',
        operation="stage",
        object=field.name,
        hint=f"cast it before, for example to VARCHAR: {{type: cast, columns: {{{field.name}: VARCHAR}}}}",
    )
