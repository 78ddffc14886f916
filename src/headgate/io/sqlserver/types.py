"""SQL Server's types as Arrow's and back. Exact, or text with a cast, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.io.relational.columns import ReadColumn, TableColumn, refused
from headgate.sql.dialects import BINARY_COLLATION
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

INDEX_BYTES, WANTED_BYTES = 900, 3072
"""What an index of SQL Server takes, and what others take; keys are measured by the latter."""
FINEST = 6
"""Digits of a second that Arrow and everybody else keep; SQL Server has seven."""


@dataclass(frozen=True)
class Described:
    """A column of a table or a result. ``length``: characters or bytes, -1 for max."""

    name: str
    type: str
    digits: int = 0
    places: int = 0
    length: int = 0
    collation: str = ""


_WHOLE = {"tinyint": "uint8", "smallint": "int16", "int": "int32", "bigint": "int64"}
_TEXT = {"char", "varchar", "nchar", "nvarchar", "text", "ntext", "sysname"}
_WIDE = {"nchar", "nvarchar", "sysname"}
_BYTES = {"binary", "varbinary"}
_OBJECTS = {"geography", "geometry", "hierarchyid"}
ROW_VERSIONS = ("timestamp", "rowversion")
_MONEY = {"money": 19, "smallmoney": 10}


def read_column(column: Described) -> ReadColumn:
    """How a column is read. Raises FatalError UNSUPPORTED for what has no type of its own."""
    import pyarrow as pa

    name, type_ = quote_name(column.name), column.type
    if type_ == "bit":
        return ReadColumn(column.name, name, pa.bool_())
    if type_ in _WHOLE:
        return ReadColumn(column.name, name, _whole(type_), kind="int")
    if type_ in ("decimal", "numeric"):
        return ReadColumn(column.name, name, pa.decimal128(column.digits, column.places), kind="decimal")
    if type_ in _MONEY:
        digits = _MONEY[type_]
        return ReadColumn(
            column.name, f"CAST({name} AS DECIMAL({digits}, 4))", pa.decimal128(digits, 4), None, "decimal"
        )
    if type_ in ("float", "real"):
        single = type_ == "real" or 0 < column.digits <= 24
        return ReadColumn(column.name, name, pa.float32() if single else pa.float64(), kind="float")
    if type_ in _TEXT:
        return ReadColumn(column.name, name if type_ in _WIDE else _text(name), pa.string(), kind="text")
    if type_ in _BYTES:
        return ReadColumn(column.name, name, pa.binary())
    return _moment(column, name) or _other(column, name)


def _moment(column: Described, name: str) -> ReadColumn | None:
    import pyarrow as pa

    match column.type:
        case "date":
            return ReadColumn(column.name, name, pa.date32(), kind="date")
        case "datetime" | "smalldatetime":  # thirds of hundredths of a second: as a number they are no decimals
            return ReadColumn(column.name, milliseconds(name), pa.timestamp("us"), kind="timestamp")
        case "datetime2" if column.places > FINEST:
            return ReadColumn(column.name, _finest(name, name, 19), pa.string(), "TIMESTAMP", "timestamp")
        case "datetime2":
            return ReadColumn(column.name, name, pa.timestamp("us"), kind="timestamp")
        case "datetimeoffset" if column.places > FINEST:
            moved = f"SWITCHOFFSET({name}, '+00:00')"
            return ReadColumn(
                column.name, _finest(name, moved, 19, "+00:00"), pa.string(), "TIMESTAMPTZ", "timestamptz"
            )
        case "datetimeoffset":
            moved = f"SWITCHOFFSET({name}, '+00:00')"
            return ReadColumn(column.name, moved, pa.timestamp("us", "UTC"), kind="timestamptz")
        case "time" if column.places > FINEST:
            return ReadColumn(column.name, _finest(name, name, 8), pa.string(), "TIME")
        case "time":
            return ReadColumn(column.name, name, pa.time64("us"))
        case _:
            return None


def _finest(name: str, moved: str, seconds: int, zone: str = "") -> str:
    """A time of seven digits as text: with six if the last is 0, else as text that is no time, and so a row error."""
    text = f"CONVERT(NVARCHAR(40), {moved}, 121)"
    short = f"LEFT({text}, {seconds + 1 + FINEST}) + N'{zone}'" if zone else f"LEFT({text}, {seconds + 1 + FINEST})"
    return (
        f"CASE WHEN DATEPART(NANOSECOND, {name}) % 1000 = 0 THEN {short}"
        f" WHEN {name} IS NOT NULL THEN {text} + N' (finer than microseconds)' END"
    )


def _other(column: Described, name: str) -> ReadColumn:
    import pyarrow as pa

    match column.type:
        case "uniqueidentifier":
            return ReadColumn(column.name, f"LOWER(CONVERT(NCHAR(36), {name}))", pa.string())
        case "image":
            return ReadColumn(column.name, f"CAST({name} AS VARBINARY(MAX))", pa.binary())
        case type_ if type_ in ROW_VERSIONS:
            return ReadColumn(column.name, as_number(name), pa.int64(), kind="int")
        case type_ if type_ in _OBJECTS:
            return ReadColumn(column.name, f"{name}.ToString()", pa.string())
        case "sql_variant":
            raise FatalError(
                Code.UNSUPPORTED,
                f'the column "{column.name}" is sql_variant: each of its values has a type of its own',
                operation="schema",
                object=column.name,
                hint="cast it in a query, or leave it out with columns",
            )
        case _:  # xml, json, vector …
            return ReadColumn(column.name, _text(name), pa.string())


def _text(name: str) -> str:
    return f"CAST({name} AS NVARCHAR(MAX))"


def as_number(name: str) -> str:
    """A ROWVERSION, eight bytes that the server counts up at each change, as the number that it is."""
    return f"CAST({name} AS BIGINT)"


def milliseconds(name: str) -> str:
    """A DATETIME, whose steps are thirds of hundredths, as it is shown: in whole milliseconds."""
    return f"CAST({name} AS DATETIME2(3))"


def _whole(type_: str) -> pa.DataType:
    import pyarrow as pa

    return {"uint8": pa.uint8(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64()}[_WHOLE[type_]]


# ----------------------------------------------------------------------------------------------------- tables


def table_column(column: Described) -> TableColumn:
    """A table's column for those who load into it."""
    import pyarrow as pa

    arrow: Any = _held(column)
    known = arrow is not None
    return TableColumn(column.name, _sql(column), arrow if known else pa.string(), text_like=not known)


def _held(column: Described) -> Any:
    """The Arrow type of what a column holds; None: text, or what the server makes of text."""
    import pyarrow as pa

    type_ = column.type
    if type_ in _WHOLE:
        return _whole(type_)
    if type_ in _MONEY:
        return pa.decimal128(_MONEY[type_], 4)
    if type_ in (*_BYTES, "image"):
        return pa.binary()
    unit: Any = "us" if column.places >= FINEST else "ms" if column.places >= 3 else "s"
    known: dict[str, Any] = {
        "bit": pa.bool_,
        "decimal": lambda: pa.decimal128(column.digits, column.places),
        "numeric": lambda: pa.decimal128(column.digits, column.places),
        "float": lambda: pa.float32() if 0 < column.digits <= 24 else pa.float64(),
        "real": pa.float32,
        "date": pa.date32,
        "time": lambda: pa.time64("us") if unit == "us" else pa.time32(unit),
        "smalldatetime": lambda: pa.date32(),  # it keeps minutes, so nothing finer than days is sure to fit
        "datetime": lambda: pa.timestamp("s"),  # it rounds milliseconds
        "datetime2": lambda: pa.timestamp(unit),
        "datetimeoffset": lambda: pa.timestamp(unit, "UTC"),
    }
    return known[type_]() if type_ in known else None


def _sql(column: Described) -> str:
    """The type as one would write it."""
    type_ = column.type.upper()
    if column.type in ("decimal", "numeric"):
        return f"{type_}({column.digits},{column.places})"
    if column.type in ("datetime2", "datetimeoffset", "time"):
        return f"{type_}({column.places})"
    if column.length:
        return f"{type_}({'MAX' if column.length < 0 else column.length})"
    return type_


def declare(field: pa.Field[Any], key_bytes: int = 0, collation: str = BINARY_COLLATION) -> str:
    """The type of a new column; ``key_bytes``: it is a key that may take so many. Raises FatalError UNSUPPORTED."""
    import pyarrow as pa
    import pyarrow.types as t

    type_, room = field.type, key_bytes * INDEX_BYTES // WANTED_BYTES
    names: dict[pa.DataType, str] = {
        pa.bool_(): "BIT",
        pa.int8(): "SMALLINT",  # TINYINT has no sign
        pa.int16(): "SMALLINT",
        pa.int32(): "INT",
        pa.int64(): "BIGINT",
        pa.uint8(): "TINYINT",
        pa.uint16(): "INT",
        pa.uint32(): "BIGINT",
        pa.uint64(): "DECIMAL(20,0)",
        pa.float32(): "REAL",
        pa.float64(): "FLOAT(53)",
        pa.string(): f"NVARCHAR({room // 2 if key_bytes else 'MAX'}) COLLATE {collation}",
        pa.binary(): f"VARBINARY({room if key_bytes else 'MAX'})",
        pa.date32(): "DATE",
        pa.time64("us"): "TIME(6)",
    }
    names[pa.large_string()], names[pa.large_binary()] = names[pa.string()], names[pa.binary()]
    if t.is_timestamp(type_) and type_.unit != "ns":
        return "DATETIMEOFFSET(6) NULL" if type_.tz is not None else "DATETIME2(6) NULL"
    if t.is_decimal128(type_) and 0 <= type_.scale <= type_.precision:
        return f"DECIMAL({type_.precision},{type_.scale}) NULL"
    if type_ not in names:
        raise refused("SQL Server", field)
    return names[type_] + " NULL"
