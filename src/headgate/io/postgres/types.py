"""PostgreSQL's types as Arrow's: what is selected, how it arrives, and what the plan casts it to. Exact, or text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.io.postgres.catalogue import ServerColumn
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

NAMES = {
    16: "bool",
    17: "bytea",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    700: "float4",
    701: "float8",
    1042: "bpchar",
    1043: "varchar",
    1082: "date",
    1083: "time",
    1114: "timestamp",
    1184: "timestamptz",
    1186: "interval",
    1700: "numeric",
}
"""Types that Arrow has too, by object id; these ids are the same in every server. All others travel as text."""

ELEMENTS = {
    1000: 16,
    1001: 17,
    1005: 21,
    1007: 23,
    1009: 25,
    1014: 1042,
    1015: 1043,
    1016: 20,
    1021: 700,
    1022: 701,
    1115: 1114,
    1182: 1082,
    1183: 1083,
    1185: 1184,
    1187: 1186,
    1231: 1700,
}
"""The element type of each array type."""

DIGITS = 38
FREE_SCALE = 10
"""Decimal places of a numeric that declares none. A value with more is a row error, never rounded."""


@dataclass(frozen=True)
class ReadColumn:
    """One column of a scan.

    Args:
        name: the column.
        expression: what is selected for it.
        arrow: the type in which it arrives.
        cast: its true type in SQL, if that is another.
        certain: the server keeps that type, so that what converts to it is the value.
        own: what is selected where the server writes texts anyway, if it writes that one; empty: the expression.
    """

    name: str
    expression: str
    arrow: pa.DataType
    cast: str | None = None
    certain: bool = False
    own: str = ""


def numeric(typmod: int) -> tuple[int, int] | None:
    """(precision, scale) of a numeric's modifier; None when it declares none."""
    if typmod < 4:
        return None
    scale = (typmod - 4) & 0x7FF
    return (typmod - 4) >> 16 & 0xFFFF, scale - 0x800 if scale >= 0x400 else scale


def decimal(typmod: int) -> tuple[int, int] | None:
    """(precision, scale) of the decimal that holds every value of a numeric exactly; None when none does."""
    found = numeric(typmod)
    if found is None:
        return DIGITS, FREE_SCALE
    precision, scale = found
    precision, scale = (precision - scale, 0) if scale < 0 else (max(precision, scale), scale)
    return (precision, scale) if precision <= DIGITS else None


def is_decimal(column: ServerColumn) -> str:
    """A condition that a numeric fulfils, or NULL, which is one of the decimals that it is read as."""
    name = quote_name(column.name)
    if numeric(column.typmod) is not None:
        return f"{name} <> 'NaN'"
    # infinity is beyond every number, and NaN beyond infinity
    return f"abs({name}) < 1e{DIGITS - FREE_SCALE} AND min_scale({name}) <= {FREE_SCALE}"


def read_column(column: ServerColumn) -> ReadColumn:
    """How a column is read."""
    name = quote_name(column.name)
    if column.oid in ELEMENTS:
        return _array(column, name)
    if NAMES.get(column.oid) == "numeric":
        return _numeric(column, name)
    arrow = _plain(column.oid)
    if arrow is None:
        import pyarrow as pa

        return ReadColumn(column.name, f"{name}::text", pa.string())
    expression = f"{name}::text" if NAMES[column.oid] == "bpchar" else name
    return ReadColumn(column.name, expression, arrow)


def _numeric(column: ServerColumn, name: str) -> ReadColumn:
    import pyarrow as pa

    found = decimal(column.typmod)
    if found is None:
        return ReadColumn(column.name, f"{name}::text", pa.string())
    precision, scale = found
    text, own = f"{name}::text", name
    if numeric(column.typmod) is None:
        # the suffix makes the cast fail, so that the row is held back with its value instead of being rounded
        more = f"{name}::text || ' has more than {scale} decimal places'"
        text, own = f"CASE WHEN min_scale({name}) > {scale} THEN {more} ELSE trim_scale({name})::text END", ""
    return ReadColumn(column.name, text, pa.string(), f"DECIMAL({precision}, {scale})", certain=True, own=own)


def _array(column: ServerColumn, name: str) -> ReadColumn:
    import pyarrow as pa

    element = ELEMENTS[column.oid]
    if NAMES[element] == "numeric":
        found = decimal(column.typmod)
        if found is None:
            return ReadColumn(column.name, f"{name}::text", pa.string())
        precision, scale = found
        given = name if numeric(column.typmod) is not None else _free_elements(name, scale)
        cast = f"DECIMAL({precision}, {scale})[]"
        return ReadColumn(column.name, one_dimension(name, "text[]", given), pa.list_(pa.string()), cast)
    type_ = "text[]" if NAMES[element] == "bpchar" else f"{NAMES[element]}[]"
    return ReadColumn(column.name, one_dimension(name, type_), pa.list_(_plain(element) or pa.string()))


def one_dimension(name: str, type_: str, given: str = "") -> str:
    """The array (``given`` if that is another expression of it), or the server's error for what is no plain list.

    Drivers would flatten an array of arrays, or count another from 1, without a word.
    """
    wrong = f"(array_dims({name}) || ' is an array of arrays, or does not start at 1')::{type_}"
    ends = f"array_ndims({name}) > 1 OR array_lower({name}, 1) <> 1"
    return f"CASE WHEN {ends} THEN {wrong} ELSE CAST({given or name} AS {type_}) END"


def _free_elements(name: str, scale: int) -> str:
    """The texts of decimals that declare no places; one with more than fit is marked, so that its row is held back."""
    more = f"v::text || ' has more than {scale} decimal places'"
    text = f"CASE WHEN min_scale(v) > {scale} THEN {more} ELSE trim_scale(v)::text END"
    texts = f"ARRAY(SELECT {text} FROM unnest({name}) WITH ORDINALITY AS each(v, n) ORDER BY n)"
    return f"CASE WHEN {name} IS NULL THEN NULL ELSE {texts} END"


def _plain(oid: int) -> pa.DataType | None:
    import pyarrow as pa

    types: dict[str, pa.DataType] = {
        "bool": pa.bool_(),
        "bytea": pa.binary(),
        "int8": pa.int64(),
        "int2": pa.int16(),
        "int4": pa.int32(),
        "text": pa.string(),
        "float4": pa.float32(),
        "float8": pa.float64(),
        "bpchar": pa.string(),
        "varchar": pa.string(),
        "date": pa.date32(),
        "time": pa.time64("us"),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", "UTC"),
        "interval": pa.month_day_nano_interval(),
    }
    return types.get(NAMES.get(oid, ""))


def described(column: ServerColumn) -> pa.DataType:
    """The type of a table's column for those who load into it."""
    import pyarrow as pa

    element = ELEMENTS.get(column.oid)
    if element is not None:
        return pa.list_(described(ServerColumn(column.name, element, column.typmod)))
    if NAMES.get(column.oid) == "numeric":
        found = decimal(column.typmod)
        return pa.decimal128(*found) if found else pa.string()
    return _plain(column.oid) or pa.string()
