"""Rows as tests compare them: typed as the reader says they are, and without an order."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from headgate.core.contracts import Scan


def arrow_schema(columns: Iterable[tuple[str, pa.DataType]]) -> pa.Schema:
    return pa.schema([pa.field(name, type_) for name, type_ in columns])


def arrow_table(schema: pa.Schema, columns: Sequence[Sequence[Any]]) -> pa.Table:
    """A table of Python values, a list a column."""
    arrays: list[Any] = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def values(table: pa.Table, name: str) -> list[Any]:
    """A column's values, sorted."""
    found: list[Any] = table[name].to_pylist()
    return sorted(found)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def read_all(scan: Scan) -> pa.Table:
    """Every row of a scan, cast as its schema says; closes the scan."""
    try:
        if scan.batches is not None:
            table = pa.Table.from_batches(list(scan.batches), scan.batches.schema)
        else:
            assert scan.files is not None, "a scan has batches or files"
            assert scan.files.format == "parquet", "the contract suites read Parquet files only"
            raw = scan.schema.raw
            parts = [pq.read_table(path, partitioning=None) for path in scan.files.paths]
            table = pa.concat_tables([part.select(raw.names).cast(raw) for part in parts] or [raw.empty_table()])
        return cast_columns(table, scan.schema.casts)
    finally:
        scan.close()


def cast_columns(table: pa.Table, casts: Mapping[str, str]) -> pa.Table:
    """The table with some columns cast to SQL types, as the first step of every plan does."""
    if not casts:
        return table
    columns = ", ".join(
        f"CAST({quoted(name)} AS {casts[name]}) AS {quoted(name)}" if name in casts else quoted(name)
        for name in table.column_names
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("delivered", table)
        typed: pa.Table = connection.sql(f"SELECT {columns} FROM delivered").to_arrow_table()
        return typed


def canonical(value: Any) -> Any:
    """A value that is equal and hashable exactly where the original is the same, NaN and -0.0 included."""
    match value:
        case float():
            return ("nan",) if value != value else struct.pack(">d", value)
        case Mapping():
            return tuple((key, canonical(item)) for key, item in value.items())
        case list() | tuple():
            return tuple(canonical(item) for item in value)
        case bytes() | bool() | str() | None:
            return (type(value).__name__, value)
        case _:
            return (type(value).__name__, str(value), value)


def multiset(table: pa.Table) -> Counter[Any]:
    """The rows of a table with their counts; the order of columns matters, that of rows does not."""
    columns = [column.to_pylist() for column in table.columns]
    return Counter(tuple(canonical(value) for value in row) for row in zip(*columns, strict=True))
