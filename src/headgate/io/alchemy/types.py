"""SQLAlchemy's types as Arrow's and back, dialect by dialect where they differ. Exact, or by text, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from headgate.io.cursor_values import Kind
from headgate.io.postgres.types import one_dimension
from headgate.io.relational.columns import ReadColumn, TableColumn, refused
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

MYSQL = ("mysql", "mariadb")
SQLITE_DIGITS = 15
"""Decimal digits that SQLite's own numbers keep exactly."""


def read_column(name: str, type_: Any, dialect: str = "") -> ReadColumn:
    """How a column of a table is read: numbers as they are, what has a form of its own as text with a cast."""
    import pyarrow as pa
    from sqlalchemy import types as t

    quoted = quote_name(name)
    formed = (t.Numeric, t.DateTime, t.Date, t.Time, t.Uuid, t.String, t.ARRAY)
    if isinstance(type_, t.Boolean):
        return ReadColumn(name, quoted, pa.bool_())
    if isinstance(type_, t.Integer):
        whole = pa.uint64() if getattr(type_, "unsigned", False) else pa.int64()
        return ReadColumn(name, quoted, whole, kind="int")
    if isinstance(type_, t.Float):
        return ReadColumn(name, quoted, pa.float64(), kind="float")
    if isinstance(type_, t._Binary):
        return ReadColumn(name, quoted, pa.binary())
    if isinstance(type_, t.ARRAY) and dialect == "postgresql":
        return _array(name, type_)
    if dialect == "postgresql" and not isinstance(type_, formed):
        # a driver's objects would lose what they cannot say: months of intervals, digits of JSON, bounds of ranges
        return ReadColumn(name, f"CAST({quoted} AS TEXT)", pa.string())
    return ReadColumn(name, quoted, pa.string(), *_by_text(type_))


def _array(name: str, type_: Any) -> ReadColumn:
    """An array of PostgreSQL's: what has a form of its own as texts, which the plan casts."""
    import pyarrow as pa
    from sqlalchemy import types as t
    from sqlalchemy.dialects import postgresql

    item = type_.item_type
    element = read_column("element", item, "postgresql")
    known = (t.Boolean, t.Integer, t.Float, t.Numeric, t._Binary, t.DateTime, t.Date, t.Time)
    dialect: Any = postgresql.dialect  # without annotations
    sql = item.compile(dialect()) if isinstance(item, known) else "text"
    cast = f"{element.cast}[]" if element.cast else None
    return ReadColumn(name, one_dimension(quote_name(name), f"{sql}[]"), pa.list_(element.arrow), cast)


def _by_text(type_: Any) -> tuple[str | None, Kind | None]:
    """What the text of a column is cast to, and what it is as a cursor."""
    from sqlalchemy import types as t

    match type_:
        case t.Numeric() if type_.precision is not None and type_.precision <= 38 and (type_.scale or 0) >= 0:
            return f"DECIMAL({type_.precision}, {type_.scale or 0})", "decimal"
        case t.DateTime():
            zoned = bool(type_.timezone) or (type(type_).__module__.endswith("mysql.types") and _is_timestamp(type_))
            return ("TIMESTAMPTZ", "timestamptz") if zoned else ("TIMESTAMP", "timestamp")
        case t.Date():
            return "DATE", "date"
        case t.Time():
            return "TIME", None
        case t.Uuid():
            return "UUID", None
        case t.String():
            return None, "text"
        case _:
            return None, None


def _is_timestamp(type_: Any) -> bool:
    """MySQL's TIMESTAMP is a moment, which sessions in UTC give as such."""
    return type(type_).__name__ == "TIMESTAMP"


def cell(value: Any) -> Any:
    """A driver's value as a text that the plan casts back, without losing a digit."""
    match value:
        case None | str():
            return value
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case timedelta():
            seconds, micros = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
            sign = "-" if value < timedelta(0) else ""
            return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}"
        case dict() | list():
            return json.dumps(value, default=cell)
        case float() if "e" in repr(value):
            return format(Decimal(repr(value)), "f")
        case bytes() | memoryview():
            return bytes(value).decode("utf-8", "backslashreplace")
        case _:
            return str(value)


def array(cells: Any, type_: Any, column: str) -> Any:
    """A column of rows in its Arrow type."""
    import pyarrow as pa

    from headgate.core.errors import Code, FatalError

    if pa.types.is_string(type_):
        return pa.array([cell(value) for value in cells], type_)
    if pa.types.is_list(type_):
        return _lists(cells, type_, column)
    try:
        if pa.types.is_boolean(type_):
            return pa.array([None if value is None else bool(value) for value in cells], type_)
        if pa.types.is_binary(type_):
            return pa.array([None if value is None else bytes(value) for value in cells], type_)
        return pa.array(cells, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, OverflowError) as error:
        raise FatalError(
            Code.EXTRACTION_FAILED,
            f'the column "{column}" holds a value that is no {type_}: {error}',
            operation="scan",
            object=column,
            hint="read a query that casts the column to text",
        ) from None


def batches_of(result: Any, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of a result in their Arrow types."""
    import pyarrow as pa

    while rows := result.fetchmany(batch_rows):
        cells = zip(zip(*rows, strict=True), schema, strict=True)
        yield pa.RecordBatch.from_arrays(
            [array(values, field.type, field.name) for values, field in cells], schema=schema
        )


def _lists(cells: Any, type_: Any, column: str) -> Any:
    import pyarrow as pa

    ends: list[int] = [0]
    flat: list[Any] = []
    for value in cells:
        flat += value or ()
        ends.append(len(flat))
    missing: Any = pa.array([value is None for value in cells], pa.bool_())
    offsets: Any = pa.array(ends, pa.int32())
    elements: Any = array(flat, type_.value_type, column)
    return pa.ListArray.from_arrays(offsets, elements, type=type_, mask=missing)


def table_column(name: str, type_: Any, dialect: str) -> TableColumn:
    """A table's column for those who load into it."""
    import pyarrow as pa
    from sqlalchemy import types as t

    sql = str(type_)
    read = read_column(name, type_, dialect)
    found: Any = read.arrow
    whole = {"TINYINT": pa.int8(), "SMALLINT": pa.int16(), "BIGINT": pa.int64()}
    fine: Any = "us" if dialect not in MYSQL or getattr(type_, "fsp", None) == 6 else "s"
    match type_:
        case t.Integer() if dialect in MYSQL and getattr(type_, "display_width", None) == 1:
            found = pa.bool_()
        case t.Integer() if dialect != "sqlite" and found == pa.int64():
            found = whole.get(type(type_).__name__, pa.int32())
        case t.Float() if type(type_).__name__ == "REAL" and dialect == "postgresql":
            found = pa.float32()
        case t.Numeric() if read.cast is not None:
            found = pa.decimal128(type_.precision, type_.scale or 0)
        case t.DateTime():
            found = pa.timestamp(fine, "UTC" if type_.timezone else None)
        case t.Date():
            found = pa.date32()
        case t.Time():
            found = pa.time64("us") if fine == "us" else pa.time32("s")
        case t.ARRAY() if dialect == "postgresql":
            found = pa.list_(table_column(name, type_.item_type, dialect).arrow)
    return TableColumn(name, sql, found, text_like=bool(found == pa.string()))


def declare(field: pa.Field[Any], dialect: Any, key_bytes: int) -> str:
    """The type of a new column. Raises FatalError UNSUPPORTED for what the database cannot hold exactly."""
    name = dialect.name
    type_ = _declared(field, name, key_bytes)
    if type_ is None:
        raise refused(name, field)
    return f"{type_ if isinstance(type_, str) else type_.compile(dialect=dialect)} NULL"


def _declared(field: pa.Field[Any], dialect: str, key_bytes: int) -> Any:
    import pyarrow as pa
    import pyarrow.types as a
    from sqlalchemy import types as t

    type_ = field.type
    if dialect in MYSQL and not (a.is_boolean(type_)):
        from headgate.io.mysql.types import declare as declare_mysql

        if a.is_timestamp(type_) and type_.tz is not None:
            return None
        if a.is_float32(type_):  # the text in which the protocol sends a FLOAT is not exact
            return t.Double()
        return declare_mysql(field, "utf8mb4_bin", key_bytes).removesuffix(" NULL")
    if a.is_decimal128(type_) and type_.scale >= 0:
        return (
            None if dialect == "sqlite" and type_.precision > SQLITE_DIGITS else t.Numeric(type_.precision, type_.scale)
        )
    if a.is_timestamp(type_) and type_.unit != "ns":
        return t.DateTime(timezone=type_.tz is not None) if type_.tz is None or dialect == "postgresql" else None
    known: dict[pa.DataType, Any] = {
        pa.bool_(): t.Boolean(),
        pa.int8(): t.SmallInteger(),
        pa.int16(): t.SmallInteger(),
        pa.int32(): t.Integer(),
        pa.int64(): t.BigInteger(),
        pa.uint8(): t.SmallInteger(),
        pa.uint16(): t.Integer(),
        pa.uint32(): t.BigInteger(),
        pa.uint64(): None if dialect == "sqlite" else t.Numeric(20, 0),
        pa.float32(): t.Double(),
        pa.float64(): t.Double(),
        pa.string(): t.Text(),
        pa.large_string(): t.Text(),
        pa.binary(): t.LargeBinary(),
        pa.large_binary(): t.LargeBinary(),
        pa.date32(): t.Date(),
        pa.time64("us"): t.Time(),
    }
    return known.get(type_)


def bound(column: Any, name: str, dialect: str) -> list[Any]:
    """A column of a batch as drivers bind it. Raises FatalError UNSUPPORTED for values that the database changes."""
    import pyarrow.types as a

    _check_values(column, name, dialect)
    values: list[Any] = column.to_pylist()
    if dialect == "sqlite" and (a.is_decimal(column.type) or a.is_temporal(column.type)):
        return [cell(value) for value in values]
    return values


def _check_values(column: Any, name: str, dialect: str) -> None:
    import pyarrow.compute as pc
    import pyarrow.types as a

    from headgate.core.errors import Code, FatalError

    wrong = ""
    if a.is_floating(column.type):
        if dialect in MYSQL and pc.all(pc.is_finite(column)).as_py() is False:
            wrong = "NaN or infinity"
        elif dialect == "sqlite" and pc.any(pc.is_nan(column)).as_py():
            wrong = "NaN"
    elif a.is_string(column.type) and dialect == "postgresql" and pc.any(pc.match_substring(column, "\x00")).as_py():
        wrong = "NUL"
    if wrong:
        raise FatalError(
            Code.UNSUPPORTED,
            f'the column "{name}" holds {wrong}, which {dialect} cannot hold',
            operation="stage",
            object=name,
            hint="replace it before, with a calculate step",
        )
