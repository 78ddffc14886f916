"""MySQL's types as Arrow's and back. Exact, or text with a cast, or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headgate.io.cursor_values import Kind
from headgate.io.relational.columns import ReadColumn, TableColumn, refused
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

UTC = "UTC"
"""The comment of a DATETIME column that holds moments: TIMESTAMP, MySQL's own type for them, ends in 2038."""

BINARY_COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb4_bin")
"""Text is compared as it is, by code point: the first that the server has. The last ignores trailing spaces."""

MOST_DIGITS, MOST_PLACES = 38, 30
KEY_BYTES = 3072


@dataclass(frozen=True)
class Described:
    """A column of a result as the server describes it, or of a table as its catalogue does."""

    name: str
    type: str
    unsigned: bool = False
    digits: int = 0
    places: int = 0
    length: int = 0
    comment: str = ""


_WHOLE = {"tinyint": 8, "smallint": 16, "mediumint": 32, "int": 32, "bigint": 64}
_TEXT = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
_SHAPES = {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
_SHAPES |= {"geometrycollection", "geomcollection"}
_BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}


_AS_TEXT: dict[str, tuple[str, Kind | None]] = {
    "date": ("DATE", "date"),
    "time": ("TIME", None),
    "timestamp": ("TIMESTAMPTZ", "timestamptz"),
    "datetime": ("TIMESTAMP", "timestamp"),
}
"""Times travel as text and are cast by the plan: 0000-00-00 and 838:59:59 are then row errors with their text."""


def read_column(column: Described) -> ReadColumn:
    """How a column is read."""
    import pyarrow as pa

    name, type_ = quote_name(column.name), column.type
    text = f"CAST({name} AS CHAR)"
    if type_ == "datetime" and column.comment == UTC:
        type_ = "timestamp"
    if type_ in _AS_TEXT:
        return ReadColumn(column.name, text, pa.string(), *_AS_TEXT[type_])
    if type_ in _WHOLE or type_ in ("year", "bit", "float", "double", "decimal"):
        return _number(column, name)
    if type_ in _BYTES:
        return ReadColumn(column.name, name, pa.binary())
    if type_ in _SHAPES:
        return ReadColumn(column.name, f"ST_AsText({name})", pa.string())
    # JSON, ENUM, SET, UUID, INET …: as text
    return ReadColumn(column.name, name if type_ in _TEXT else text, pa.string(), kind="text")


def _number(column: Described, name: str) -> ReadColumn:
    import pyarrow as pa

    text = f"CAST({name} AS CHAR)"
    match column.type:
        case "tinyint" if is_bool(column):
            return ReadColumn(column.name, text, pa.string(), "BOOLEAN")
        case "year":
            return ReadColumn(column.name, f"CAST({name} AS SIGNED)", pa.int64(), kind="int")
        case "bit":
            return ReadColumn(column.name, f"CAST({name} AS UNSIGNED)", pa.uint64(), kind="int")
        case "float" | "double" as type_:
            # a FLOAT as a double is exact, and the text in which one protocol sends it is not
            cast = "FLOAT" if type_ == "float" else None
            return ReadColumn(column.name, f"CAST({name} AS DOUBLE)", pa.float64(), cast, "float")
        case "decimal" if column.digits > MOST_DIGITS:
            return ReadColumn(column.name, text, pa.string())
        case "decimal":
            cast = f"DECIMAL({column.digits}, {column.places})"
            return ReadColumn(column.name, text, pa.string(), cast, "decimal", certain=True)
        case _:
            return ReadColumn(column.name, name, whole(column), kind="int")


def computed(column: ReadColumn) -> ReadColumn:
    """A column of a query: cast, so that its type does not hang on the session's mode."""
    import pyarrow as pa

    name = quote_name(column.name)
    if column.expression != name:
        return column
    if pa.types.is_integer(column.arrow):
        unsigned = pa.types.is_unsigned_integer(column.arrow)
        return replace(column, expression=f"CAST({name} AS {'UNSIGNED' if unsigned else 'SIGNED'})")
    return replace(column, expression=f"CAST({name} AS {'BINARY' if pa.types.is_binary(column.arrow) else 'CHAR'})")


def is_bool(column: Described) -> bool:
    """BOOLEAN is TINYINT(1) here; other numbers in such a column are row errors: read them with a query that casts."""
    return column.type == "tinyint" and column.length == 1 and not column.unsigned


def whole(column: Described) -> pa.DataType:
    import pyarrow as pa

    bits = _WHOLE[column.type]
    signed = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
    unsigned = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
    return (unsigned if column.unsigned else signed)[bits]


def table_column(column: Described, sql: str) -> TableColumn:
    """A table's column for those who load into it."""
    import pyarrow as pa

    arrow: Any = _held(column)
    known = arrow is not None
    return TableColumn(column.name, sql, arrow if known else pa.string(), text_like=not known)


def _held(column: Described) -> Any:
    """The Arrow type of what a column holds; None: text, or what the server makes of text."""
    import pyarrow as pa

    type_ = column.type
    unit: Any = {0: "s", 3: "ms", 6: "us"}.get(column.places, "s")
    if is_bool(column):
        return pa.bool_()
    if type_ == "mediumint":  # its 24 bits take what 16 bits hold
        return pa.uint16() if column.unsigned else pa.int16()
    if type_ in _WHOLE:
        return whole(column)
    if type_ in _BYTES:
        return pa.binary()
    zoned = type_ == "timestamp" or column.comment == UTC
    known = {
        "decimal": lambda: (pa.decimal128 if column.digits <= MOST_DIGITS else pa.decimal256)(
            column.digits, column.places
        ),
        "timestamp": lambda: pa.timestamp(unit, "UTC"),
        "datetime": lambda: pa.timestamp(unit, "UTC") if zoned else pa.timestamp(unit),
        "time": lambda: pa.time64("us") if column.places == 6 else pa.time32("s"),
        "float": pa.float32,
        "double": pa.float64,
        "date": pa.date32,
        "year": pa.uint8,
        "bit": pa.uint64,
    }
    return known[type_]() if type_ in known else None


def declare(field: pa.Field[Any], collation: str, key_bytes: int = 0) -> str:
    """The type of a new column; ``key_bytes``: it is a key that may take so many. Raises FatalError UNSUPPORTED."""
    import pyarrow as pa
    import pyarrow.types as t

    type_ = field.type
    text = f"CHARACTER SET utf8mb4 COLLATE {collation}"
    names: dict[pa.DataType, str] = {
        pa.bool_(): "TINYINT(1)",
        pa.int8(): "TINYINT",
        pa.int16(): "SMALLINT",
        pa.int32(): "INT",
        pa.int64(): "BIGINT",
        pa.uint8(): "TINYINT UNSIGNED",
        pa.uint16(): "SMALLINT UNSIGNED",
        pa.uint32(): "INT UNSIGNED",
        pa.uint64(): "BIGINT UNSIGNED",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.string(): f"VARCHAR({key_bytes // 4}) {text}" if key_bytes else f"LONGTEXT {text}",
        pa.binary(): f"VARBINARY({key_bytes})" if key_bytes else "LONGBLOB",
        pa.date32(): "DATE",
        pa.time64("us"): "TIME(6)",
        pa.timestamp("us"): "DATETIME(6)",
    }
    names[pa.large_string()], names[pa.large_binary()] = names[pa.string()], names[pa.binary()]
    for unit in ("s", "ms"):
        names[pa.timestamp(unit)] = "DATETIME(6)"
    if t.is_timestamp(type_) and type_.tz is not None and type_.unit != "ns":
        return f"DATETIME(6) NULL COMMENT '{UTC}'"
    if t.is_decimal128(type_) and 0 <= type_.scale <= MOST_PLACES:
        return f"DECIMAL({type_.precision},{type_.scale}) NULL"
    if type_ not in names:
        raise refused("MySQL", field)
    return names[type_] + " NULL"
