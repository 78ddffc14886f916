"""Types between DuckDB and the wire: what may leave an engine, and the binder that finds types on empty tables.

Some DuckDB types have no exact Arrow form that every target knows. They leave as the nearest type that keeps every
value (UUID as text), or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headgate.core.engines import BindingError, Column
from headgate.core.errors import Code, FatalError
from headgate.engines import duckdb_errors
from headgate.io import embedded
from headgate.io.embedded_types import delivered
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def projection(columns: Sequence[str], types: Sequence[Any]) -> str | None:
    """The last projection of a stream, so that only deliverable types leave; None when nothing need change.

    Raises:
        FatalError: UNSUPPORTED, naming column, type and the cast that helps.
    """
    parts, changed = [], False
    for name, type_ in zip(columns, types, strict=True):
        quoted = quote_name(name)
        part = quoted
        if type_.id in ("timestamp_ns", "time_ns"):
            part = _microseconds(name, type_.id)
        else:
            try:
                target = delivered(type_)
            except LookupError as error:
                raise _undeliverable(name, type_, str(error)) from None
            if target != str(type_):
                part = f"CAST({quoted} AS {target})"
        changed = changed or part != quoted
        parts.append(f"{part} AS {quoted}" if part != quoted else part)
    return ", ".join(parts) if changed else None


def _microseconds(name: str, kind: str) -> str:
    """Nanoseconds as microseconds where that is exact; else the run fails, because the rest would be lost."""
    quoted = quote_name(name)
    target = "TIMESTAMP" if kind == "timestamp_ns" else "TIME"
    message = f'column "{name}" holds nanoseconds, and only microseconds can be kept: cast it to {target}'.replace(
        "'", "''"
    )
    return f"CASE WHEN nanosecond({quoted}) % 1000 <> 0 THEN error('{message}') ELSE CAST({quoted} AS {target}) END"


def _undeliverable(name: str, type_: Any, cast: str) -> FatalError:
    return FatalError(
        Code.UNSUPPORTED,
        f'column "{name}" has the type {type_}, which cannot be handed on exactly',
        operation="plan",
        object=name,
        hint=f"convert it in a step: {cast.format(name)}",
    )


class DuckdbBinder:
    """Binds statements over empty tables in a database of its own, which can reach nothing."""

    def __init__(self) -> None:
        self._connection = embedded.bare()

    def columns(self, schema: pa.Schema) -> tuple[Column, ...]:
        """The SQL types of an Arrow schema. Raises FatalError UNSUPPORTED for what DuckDB cannot read."""
        return arrow_columns(self._connection, schema)

    def bind(self, sql: str, relations: Mapping[str, Sequence[Column]]) -> tuple[Column, ...]:
        import duckdb

        cursor = self._connection.cursor()
        try:
            for name, columns in relations.items():
                body = ", ".join(f"{quote_name(column.name)} {column.type}" for column in columns)
                cursor.execute(f"CREATE TEMP TABLE {quote_name(name)} ({body})")
            relation = cursor.sql(sql)
            if relation is None:
                raise BindingError("the statement gives no rows; write one SELECT")
            return tuple(
                Column(name, "INTEGER" if type_.id == "null" else str(type_))
                for name, type_ in zip(relation.columns, relation.types, strict=True)
            )
        except duckdb.Error as error:
            raise duckdb_errors.binding(error) from None
        finally:
            cursor.close()

    def arrow(self, columns: Sequence[Column]) -> pa.Schema:
        body = ", ".join(f"CAST(NULL AS {column.type}) AS {quote_name(column.name)}" for column in columns)
        return delivered_schema(self._connection, f"SELECT {body}")

    def close(self) -> None:
        self._connection.close()


def arrow_columns(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> tuple[Column, ...]:
    """Name and SQL type of each field; fields that DuckDB cannot read are refused by name."""
    import duckdb
    import pyarrow as pa

    def types(fields: Sequence[pa.Field[Any]]) -> list[Any]:
        bare = [field.remove_metadata().with_name(f"c{place}") for place, field in enumerate(fields)]
        return list(connection.from_arrow(pa.schema(bare).empty_table()).types)

    fields = list(schema)
    try:
        found = types(fields) if fields else []
    except duckdb.Error:
        found = [_type_of(field, types) for field in fields]
    named = zip(fields, found, strict=True)
    return tuple(Column(field.name, "INTEGER" if type_.id == "null" else str(type_)) for field, type_ in named)


def _type_of(field: pa.Field[Any], types: Callable[[Sequence[pa.Field[Any]]], list[Any]]) -> Any:
    import duckdb

    try:
        return types([field])[0]
    except duckdb.Error:
        raise FatalError(
            Code.UNSUPPORTED,
            f'column "{field.name}" has the type {field.type}, which the engine cannot read',
            operation="plan",
            object=field.name,
            hint="cast it where it is read: to a decimal of at most 38 digits, a double or text",
        ) from None


def deliverable(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """The rows of ``sql``, with a last projection where a column's type cannot leave as it is."""
    relation = _relation(connection, sql)
    wrapped = projection(relation.columns, relation.types)
    return _relation(connection, f"SELECT {wrapped} FROM ({sql}) AS delivered") if wrapped else relation


def _relation(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    relation = connection.sql(sql)
    if relation is None:
        raise BindingError("the statement gives no rows; write one SELECT")
    return relation


def delivered_schema(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Schema:
    """The Arrow schema of a statement's batches, from no rows at all."""
    schema: pa.Schema = deliverable(connection, f"SELECT * FROM ({sql}) LIMIT 0").to_arrow_table().schema
    return schema.remove_metadata()
