"""DuckDB's types as the wire has them, and back. Exact, or text with a cast, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headgate.io.cursor_values import Kind
from headgate.io.embedded_types import delivered
from headgate.io.relational.columns import ReadColumn, TableColumn, refused
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_KINDS: dict[str, Kind] = {
    "double": "float",
    "float": "float",
    "decimal": "decimal",
    "varchar": "text",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_s": "timestamp",
    "timestamp_ms": "timestamp",
    "timestamp with time zone": "timestamptz",
}
_WHOLE = ("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint")
_BY_TEXT = {"uuid": "UUID", "hugeint": "DECIMAL(38,0)", "uhugeint": "DECIMAL(38,0)"}
_TEXT_LIKE = {"uuid", "enum", "bit", "json"}


def read_columns(connection: duckdb.DuckDBPyConnection, source: str) -> list[ReadColumn]:
    """How the columns of ``source``, as it stands after FROM, are read."""
    relation = connection.sql(f"SELECT * FROM {source} LIMIT 0")
    expressions = [_expression(name, type_) for name, type_ in zip(relation.columns, relation.types, strict=True)]
    chosen = ", ".join(
        f"{text} AS {quote_name(name)}" for (text, _), name in zip(expressions, relation.columns, strict=True)
    )
    arrow = connection.sql(f"SELECT {chosen} FROM {source} LIMIT 0").to_arrow_table().schema
    return [
        ReadColumn(name, text, _plain(field.type), cast, _kind(str(type_.id)))
        for name, type_, (text, cast), field in zip(relation.columns, relation.types, expressions, arrow, strict=True)
    ]


def _kind(id_: str) -> Kind | None:
    return "int" if id_ in _WHOLE else _KINDS.get(id_)


def _expression(name: str, type_: Any) -> tuple[str, str | None]:
    """What is selected for a column, and what the plan casts that to."""
    quoted, id_ = quote_name(name), str(type_.id)
    if id_ in _BY_TEXT:
        return f"CAST({quoted} AS VARCHAR)", _BY_TEXT[id_]
    if id_ in ("timestamp_ns", "time_ns"):
        target = "TIMESTAMP" if id_ == "timestamp_ns" else "TIME"
        # the suffix makes the cast fail, so that the row is held back with its value instead of being cut
        more = f"CAST({quoted} AS VARCHAR) || ' has nanoseconds'"
        return f"CASE WHEN nanosecond({quoted}) % 1000 <> 0 THEN {more} ELSE CAST({quoted} AS VARCHAR) END", target
    try:
        target = delivered(type_)
    except LookupError:
        return f"CAST({quoted} AS VARCHAR)", None
    return (quoted if target == str(type_) else f"CAST({quoted} AS {target})"), None


def _plain(type_: Any) -> Any:
    """The Arrow type without the engine's names for zones."""
    import pyarrow as pa

    if pa.types.is_timestamp(type_) and type_.tz is not None:
        return pa.timestamp(type_.unit, "UTC")
    return type_


def table_column(name: str, type_: Any, arrow: Any) -> TableColumn:
    """A table's column for those who load into it."""
    import pyarrow as pa

    id_ = str(type_.id)
    if id_ in _TEXT_LIKE or str(type_) == "JSON":
        return TableColumn(name, str(type_), pa.string(), text_like=True)
    if id_ == "hugeint":
        return TableColumn(name, str(type_), pa.decimal128(38, 0))
    return TableColumn(name, str(type_), _plain(arrow))


def declare(connection: duckdb.DuckDBPyConnection, field: pa.Field[Any]) -> str:
    """The type of a new column. Raises FatalError UNSUPPORTED for what DuckDB cannot hold exactly."""
    import duckdb
    import pyarrow as pa

    if pa.types.is_dictionary(field.type):
        raise refused("DuckDB", field)
    try:
        type_ = connection.from_arrow(_empty(field)).types[0]
        target = delivered(type_)
    except (duckdb.Error, LookupError):
        raise refused("DuckDB", field) from None
    if str(type_.id) == "null" or connection.sql(f"SELECT CAST(NULL AS {target})").types[0] != type_:
        raise refused("DuckDB", field)
    return f"{type_} NULL"


def _empty(field: pa.Field[Any]) -> Any:
    import pyarrow as pa

    return pa.schema([pa.field("value", field.type)]).empty_table()
