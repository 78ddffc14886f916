"""Arrow types in SQLite's columns and back, exactly or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.io import iso_times
from headgate.io.sqlite import ColumnType, TableColumn

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER_DIGITS = 15
"""Decimal digits that SQLite's own numbers keep exactly."""


def declare(field: pa.Field[Any]) -> str:
    """The declared type of a new column. Raises UNSUPPORTED where SQLite cannot hold the type exactly."""
    import pyarrow as pa

    type_ = field.type
    names: list[tuple[bool, str]] = [
        (pa.types.is_boolean(type_), "BOOLEAN"),
        (pa.types.is_uint64(type_), "DECIMAL_TEXT(20,0)"),
        (pa.types.is_integer(type_), "INTEGER"),
        (pa.types.is_float32(type_) or pa.types.is_float64(type_), "REAL"),
        (pa.types.is_string(type_) or pa.types.is_large_string(type_), "TEXT"),
        (pa.types.is_binary(type_) or pa.types.is_large_binary(type_), "BLOB"),
        (pa.types.is_date32(type_), "DATE"),
        (pa.types.is_time(type_) and str(type_) != "time64[ns]", "TIME"),
        (pa.types.is_timestamp(type_) and type_.unit != "ns" and type_.tz is None, "TIMESTAMP"),
        (pa.types.is_timestamp(type_) and type_.unit != "ns" and type_.tz is not None, "TIMESTAMPTZ"),
    ]
    for holds, name in names:
        if holds:
            return name
    if pa.types.is_decimal128(type_) and 0 <= type_.scale <= type_.precision:
        kind = "DECIMAL" if type_.precision <= NUMBER_DIGITS else "DECIMAL_TEXT"
        return f"{kind}({type_.precision},{type_.scale})"
    raise FatalError(
        Code.UNSUPPORTED,
        f'SQLite cannot hold the column "{field.name}" ({type_}) exactly',
        operation="stage",
        object=field.name,
        hint=f"cast it before, for example to VARCHAR: {{type: cast, columns: {{{field.name}: VARCHAR}}}}",
    )


def arrow_type(type_: ColumnType) -> Any:
    """The Arrow type of a declared column; text for what has none."""
    import pyarrow as pa

    match type_.holds:
        case "int":
            return pa.int64()
        case "float":
            return pa.float64()
        case "bool":
            return pa.bool_()
        case "blob":
            return pa.binary()
        case "date":
            return pa.date32()
        case "time":
            return pa.time64("us")
        case "timestamp":
            return pa.timestamp("us")
        case "timestamptz":
            return pa.timestamp("us", "UTC")
        case "decimal":
            return pa.decimal128(type_.precision, type_.scale)
        case _:
            return pa.string()


def accepts(column: TableColumn, type_: Any) -> bool:
    """Whether every value of an Arrow type goes into an existing column and comes back."""
    import pyarrow as pa

    wanted = column.type
    match wanted.holds:
        case "int":
            return bool(pa.types.is_integer(type_) and not pa.types.is_uint64(type_))
        case "float":
            small = pa.types.is_integer(type_) and type_.bit_width <= 32
            return bool(pa.types.is_float32(type_) or pa.types.is_float64(type_) or small)
        case "decimal":
            return _fits_decimal(wanted, type_)
        case "text":
            return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))
        case "blob":
            return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))
        case "timestamp":
            return bool(pa.types.is_timestamp(type_) and type_.unit != "ns" and type_.tz is None)
        case "timestamptz":
            return bool(pa.types.is_timestamp(type_) and type_.unit != "ns" and type_.tz is not None)
        case "any":
            plain = pa.types.is_string(type_) or pa.types.is_binary(type_) or pa.types.is_floating(type_)
            return bool(plain or (pa.types.is_integer(type_) and not pa.types.is_uint64(type_)))
        case _:
            return bool(type_ == arrow_type(wanted))


def _fits_decimal(wanted: ColumnType, type_: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_integer(type_):
        digits = {8: 3, 16: 5, 32: 10, 64: 20 if pa.types.is_uint64(type_) else 19}[type_.bit_width]
        scale = 0
    elif pa.types.is_decimal128(type_) and type_.scale >= 0:
        digits, scale = type_.precision - type_.scale, type_.scale
    else:
        return False
    held = wanted.exact or digits + wanted.scale <= NUMBER_DIGITS
    return held and digits <= wanted.precision - wanted.scale and scale <= wanted.scale


def cells(array: Any, column: TableColumn) -> list[Any]:
    """A column of a batch as sqlite3 binds it. Raises UNSUPPORTED for NaN, which SQLite turns into NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    type_ = column.type
    iso_times.check(array, column.name, "SQLite")
    if type_.holds == "decimal":
        wanted = arrow_type(type_)
        return [None if value is None else format(value, "f") for value in array.cast(wanted).to_pylist()]
    if type_.holds in ("date", "time"):
        found: list[Any] = array.cast(arrow_type(type_)).cast(pa.string()).to_pylist()
        return found
    if type_.holds in ("timestamp", "timestamptz"):
        return _moments(array, type_.holds == "timestamptz")
    if pa.types.is_floating(array.type) and pc.any(pc.is_nan(array)).as_py():
        raise FatalError(
            Code.UNSUPPORTED,
            f'the column "{column.name}" holds NaN, which SQLite would turn into NULL',
            operation="stage",
            object=column.name,
            hint="replace NaN before, with a calculate step",
        )
    plain: list[Any] = array.to_pylist()
    return plain


def _moments(array: Any, zoned: bool) -> list[Any]:
    """ISO texts of one length, so that they sort; moments with a zone are written in UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not zoned:
        texts: list[Any] = array.cast(pa.timestamp("us")).cast(pa.string()).to_pylist()
        return texts
    utc = array.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")).cast(pa.string())
    zoned_texts: list[Any] = pc.binary_join_element_wise(utc, "+00:00", "").to_pylist()
    return zoned_texts
