"""Rows of SQLite as Arrow, exactly: every cell has a type of its own there, and a column only a wish.

A column is read natively where all its cells are as declared; else as text with a cast, so that a cell that does not
fit becomes a row error with its raw text, and is never nulled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, assert_never

from headgate.core.errors import Code, FatalError, RetriableError
from headgate.io.sqlite import ColumnType, Executes, TableColumn, told

if TYPE_CHECKING:
    import pyarrow as pa

Raw = Literal["int", "float", "bool", "text", "blob"]
_FITS = {
    "int": "typeof({c}) IN ('integer', 'null')",
    "float": "typeof({c}) IN ('real', 'null')",
    "bool": "({c} IS NULL OR (typeof({c}) = 'integer' AND {c} IN (0, 1)))",
    "text": "typeof({c}) IN ('text', 'null')",
    "blob": "typeof({c}) IN ('blob', 'null')",
}


@dataclass(frozen=True)
class ReadColumn:
    """How one column is delivered: ``raw``, and the SQL type to cast it to, empty if raw is its type."""

    name: str
    raw: Raw
    cast: str = ""

    def value(self, value: Any) -> Any:
        """One cell as a scan delivers it."""
        if value is None or self.raw in ("int", "float", "blob"):
            return value
        return bool(value) if self.raw == "bool" else _text(value)


def read_columns(
    connection: Executes, columns: Sequence[TableColumn], relation: str, quote: Callable[[str], str]
) -> tuple[ReadColumn, ...]:
    """How to read each column of ``relation``, SQL that stands after FROM. One pass over it, in SQLite's own loop."""
    wished = {column.name: _wish(column.type) for column in columns}
    checks = {name: _FITS[raw].format(c=quote(name)) for name, (raw, _) in wished.items() if raw is not None}
    strict = [name for name in checks if not wished[name][1]]
    misfits: set[str] = set()
    if strict:
        bad = " OR ".join(f"NOT {checks[name]}" for name in strict)
        if connection.execute(f"SELECT 1 FROM {relation} WHERE {bad} LIMIT 1").fetchone():
            found = ", ".join(f"max(NOT {checks[name]})" for name in strict)
            row = connection.execute(f"SELECT {found} FROM {relation}").fetchone()
            misfits = {name for name, wrong in zip(strict, row, strict=True) if wrong}
    return tuple(_column(connection, column, wished[column.name], misfits, relation, quote) for column in columns)


def _column(
    connection: Executes,
    column: TableColumn,
    wish: tuple[Raw | None, str],
    misfits: set[str],
    relation: str,
    quote: Callable[[str], str],
) -> ReadColumn:
    raw, cast = wish
    if raw is None:
        return _inferred(connection, column.name, relation, quote(column.name))
    if column.name not in misfits:
        return ReadColumn(column.name, raw, cast)
    _refuse_bytes(connection, column.name, relation, quote(column.name), raw)
    return ReadColumn(column.name, "text", "" if raw == "text" else column.type.sql)


def _wish(type_: ColumnType) -> tuple[Raw | None, str]:
    """(raw, cast) of a declared type whose cells all fit; (None, "") if the cells must tell."""
    match type_.holds:
        case "int" | "float" | "bool" | "text" | "blob":
            return type_.holds, ""
        case "date" | "timestamp" | "timestamptz" | "time" | "decimal":
            return "text", type_.sql
        case "any":
            return None, ""
        case _:
            assert_never(type_.holds)


def _inferred(connection: Executes, name: str, relation: str, quoted: str) -> ReadColumn:
    """A column without a declared type: what its cells are, or text if they are of several kinds."""
    found = connection.execute(
        f"SELECT typeof({quoted}), max(abs(CAST({quoted} AS REAL))) FROM {relation}"
        f" WHERE {quoted} IS NOT NULL GROUP BY 1"
    ).fetchall()
    sizes = dict(found)
    match sorted(sizes):
        case ["integer"]:
            return ReadColumn(name, "int")
        case ["real"]:
            return ReadColumn(name, "float")
        case ["integer", "real"] if sizes["integer"] <= 2**53:
            return ReadColumn(name, "float")
        case ["blob"]:
            return ReadColumn(name, "blob")
    _refuse_bytes(connection, name, relation, quoted, "text")
    return ReadColumn(name, "text")


def _refuse_bytes(connection: Executes, name: str, relation: str, quoted: str, raw: Raw) -> None:
    """Bytes among text have no common type that would lose nothing."""
    wrong = "text" if raw == "blob" else "blob"
    condition = f"typeof({quoted}) <> 'blob'" if raw == "blob" else f"typeof({quoted}) = 'blob'"
    (count,) = connection.execute(
        f"SELECT count(*) FROM {relation} WHERE {quoted} IS NOT NULL AND {condition}"
    ).fetchone()
    if count:
        raise FatalError(
            Code.EXTRACTION_FAILED,
            f'the column "{name}" holds bytes and text at once: {count} cell{"" if count == 1 else "s"} of {wrong}',
            operation="schema",
            object=name,
            hint="read it with query: SELECT CAST(… AS TEXT), or hex(…), as you mean it",
        )


# ------------------------------------------------------------------------------------------------------ Arrow


def arrow_schema(columns: Sequence[ReadColumn]) -> pa.Schema:
    import pyarrow as pa

    types: dict[Raw, pa.DataType] = {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "text": pa.string(),
        "blob": pa.binary(),
    }
    return pa.schema([pa.field(column.name, types[column.raw]) for column in columns])


def casts(columns: Sequence[ReadColumn]) -> dict[str, str]:
    return {column.name: column.cast for column in columns if column.cast}


def read(
    cursor: sqlite3.Cursor,
    statement: str,
    parameters: Mapping[str, Any],
    columns: Sequence[ReadColumn],
    batch_size: int,
    object_: str,
) -> pa.RecordBatchReader:
    """The rows of a SELECT of exactly ``columns``, streamed."""
    import pyarrow as pa

    schema = arrow_schema(columns)

    def batches() -> Iterator[pa.RecordBatch]:
        with told("scan", object_):
            cursor.execute(statement, parameters)
            cursor.arraysize = batch_size
            while rows := cursor.fetchmany():
                arrays = [
                    _array(column, cells, schema.field(place).type)
                    for place, (column, cells) in enumerate(zip(columns, zip(*rows, strict=True), strict=True))
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _array(column: ReadColumn, cells: Sequence[Any], type_: Any) -> Any:
    import pyarrow as pa

    try:
        match column.raw:
            case "bool":
                if not set(cells) <= {0, 1, None}:
                    raise TypeError("neither 0 nor 1")
                return pa.array(cells, pa.int8()).cast(pa.bool_())
            case "text":
                return _text_array(cells, type_)
            case _:
                return pa.array(cells, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise RetriableError(
            Code.EXTRACTION_FAILED,
            f'the column "{column.name}" got a cell of another kind since it was looked at: {error}',
            operation="scan",
            object=column.name,
            hint="run again: its column is then read as text, and the cell becomes a row error",
        ) from error


def _text_array(cells: Sequence[Any], type_: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.array(cells, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        return pa.array([None if cell is None else _text(cell) for cell in cells], type_)


def _text(value: Any) -> str:
    """Text of a cell; numbers with all the digits that make them."""
    match value:
        case str():
            return value
        case float() if "e" in repr(value):
            return format(Decimal(repr(value)), "f")  # casts to DECIMAL take no exponent
        case int() | float():
            return repr(value)
        case _:
            raise TypeError(f"{type(value).__name__} is not text")
