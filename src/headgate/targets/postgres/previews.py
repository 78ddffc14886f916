"""A table as it will be, read by a cursor of the transaction that will publish it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headgate.core.contracts import Scan, SourceSchema
from headgate.io.postgres import Statements, catalogue
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.types import ELEMENTS, NAMES, one_dimension
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 50_000


def preview(statements: Statements, quoted: str, columns: Sequence[str], rows: int = ROWS) -> Scan:
    """Columns as texts, lists of them, or bytes; those that the table lacks are NULL."""
    import pyarrow as pa

    there = {column.name: column for column in catalogue.columns(statements, f"SELECT * FROM {quoted}")}
    read = [_read(there[name]) if name in there else ("NULL::text", pa.string()) for name in columns]
    schema = pa.schema([pa.field(name, type_) for name, (_, type_) in zip(columns, read, strict=True)])
    listed = ", ".join(f"{value} AS {quote_name(name)}" for name, (value, _) in zip(columns, read, strict=True))
    cursor = quote_name(f"headgate_preview_{next(_numbers)}")
    statements.execute(f"DECLARE {cursor} NO SCROLL CURSOR FOR SELECT {listed} FROM {quoted}")

    def batches() -> Iterator[pa.RecordBatch]:
        while found := statements.query(f"FETCH {rows} FROM {cursor}"):
            arrays = [
                pa.array(cells, field.type) for cells, field in zip(zip(*found, strict=True), schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        statements.execute(f"CLOSE {cursor}")

    return Scan(SourceSchema(schema), batches=pa.RecordBatchReader.from_batches(schema, batches()))


_numbers = itertools.count(1)


def _read(column: ServerColumn) -> tuple[str, pa.DataType]:
    """What is selected for a column, so that the engine casts it to what it is; and as what it comes."""
    import pyarrow as pa

    name, kind = quote_name(column.name), NAMES.get(column.oid)
    if kind == "bytea":
        return name, pa.binary()
    if kind == "interval":
        return _span(name), pa.string()
    if column.oid not in ELEMENTS:
        return f"{name}::text", pa.string()
    match NAMES[ELEMENTS[column.oid]]:
        case "bytea":
            return one_dimension(name, "bytea[]"), pa.list_(pa.binary())
        case "interval":
            spans = f"ARRAY(SELECT {_span('v')} FROM unnest({name}) WITH ORDINALITY AS each(v, n) ORDER BY n)"
            given = f"CASE WHEN {name} IS NOT NULL THEN {spans} END"
            return one_dimension(name, "text[]", given), pa.list_(pa.string())
        case _:
            return one_dimension(name, "text[]"), pa.list_(pa.string())


def _span(value: str) -> str:
    """An interval as text that the engine reads: it takes no ISO durations."""
    months = f"(extract(year FROM {value}) * 12 + extract(month FROM {value}))::bigint || ' months '"
    days = f"extract(day FROM {value})::bigint || ' days '"
    minutes = f"extract(hour FROM {value}) * 60 + extract(minute FROM {value})"
    micros = f"(({minutes}) * 60000000 + extract(microseconds FROM {value}))::bigint || ' microseconds'"
    return f"{months} || {days} || {micros}"
