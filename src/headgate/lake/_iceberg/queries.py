"""DuckDB over the lake's data files: merging, counting duplicates, reading versions of different shape."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from headgate.core.contracts import Repeats, Scan, SourceSchema
from headgate.core.errors import Code, FatalError
from headgate.io import embedded
from headgate.io.ahead import Ahead
from headgate.lake._iceberg import schemas, types
from headgate.sql.literals import quote_name
from headgate.sql.repeats import repeats

MEMORY = "400MB"
BATCH_ROWS = 122_880
NUMBER = "file_row_number"
"""What DuckDB calls a row's number in its Parquet file, from 0 on, where the file has no column of that name."""
Agreement = Literal["exact", "partial", "foreign"]


@contextmanager
def session(spill: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with bounded memory that spills into ``spill`` if given; its errors come out as ours."""
    config: dict[str, Any] = {
        "memory_limit": MEMORY,
        "threads": max(1, min(4, os.cpu_count() or 1)),
        "temp_directory": str(spill or ""),
        "autoinstall_known_extensions": False,
        "TimeZone": "UTC",
    }
    try:
        with duckdb.connect(config=config) as connection:
            yield connection
    except duckdb.OutOfMemoryException as error:
        raise FatalError(
            Code.LOAD_EXECUTION_FAILED,
            f"the merge needs more than {MEMORY} at once: {error}",
            operation="merge",
            hint="load fewer rows at a time",
        ) from error
    except duckdb.Error as error:
        raise FatalError(Code.LOAD_EXECUTION_FAILED, str(error), operation="merge") from error


def relation(paths: Sequence[str | Path], file_column: str = "") -> str:
    """A table function over Parquet files; columns are matched by name. ``file_column`` adds each row's path."""
    return embedded.parquet_rows([str(path) for path in paths], file_column=file_column)


def column_list(columns: Sequence[str], table: str = "") -> str:
    prefix = f"{table}." if table else ""
    return ", ".join(prefix + quote_name(name) for name in columns)


def equal(columns: Sequence[str], left: str, right: str) -> str:
    """The condition of a join on columns of the same names."""
    return " AND ".join(f"{left}.{quote_name(name)} = {right}.{quote_name(name)}" for name in columns)


def agreement(path: str | Path, columns: pa.Schema) -> Agreement:
    """How a data file's columns meet the table's.

    exact: the same; partial: some are absent or of a narrower type, reading by name is right; foreign: another tool
    renamed or retyped columns, only field ids tell which is which.
    """
    wanted = {_id(field): field for field in columns}
    exact, seen = True, set()
    for field in pq.read_schema(path):
        column = wanted.get(_id(field)) if _id(field) else None
        if column is None:
            if not _id(field) or field.name in columns.names:
                return "foreign"
            continue  # dropped from the table: nobody asks for it
        if column.name != field.name:
            return "foreign"
        seen.add(field.name)
        try:
            there, here = types.plain(types.stored(field.type)), types.plain(column.type)
        except types.UnstorableError:
            return "foreign"
        if not there.equals(here):
            if not schemas.fits(there, here):
                return "foreign"
            exact = False
    return "exact" if exact and len(seen) == len(columns) else "partial"


def _id(field: pa.Field[Any]) -> bytes:
    return (field.metadata or {}).get(types.ID, b"")


def present(paths: Sequence[str | Path]) -> set[str]:
    """Columns that at least one of the files has."""
    return {name for path in paths for name in pq.read_schema(path).names}


def projection(columns: pa.Schema, there: set[str], table: str = "") -> str:
    """The table's columns, NULL for those that no file has."""
    prefix = f"{table}." if table else ""
    return ", ".join(
        f"{prefix}{quote_name(name)}" if name in there else f"NULL AS {quote_name(name)}" for name in columns.names
    )


def batches(
    connection: duckdb.DuckDBPyConnection, query: str, columns: pa.Schema, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Stream a query's rows, in the types of ``columns``, computed while the caller writes."""
    reader = connection.sql(query).to_arrow_reader(batch_rows)
    for batch in Ahead(iter(reader), cancel=connection.interrupt):
        arrays = [schemas.cast(array, field) for array, field in zip(batch.columns, columns, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=columns)


def count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that a query gives."""
    ((found,),) = connection.sql(query).fetchall()
    return int(found or 0)


def duplicates(spill: Path, paths: Sequence[str | Path], columns: Sequence[str]) -> Repeats:
    """Rows whose ``columns``, none NULL, occur more than once in the files, and all rows."""
    there = present(paths)
    if not paths:
        return Repeats(0, 0)
    with session(spill) as connection:
        if not set(columns) <= there:
            return Repeats(0, count(connection, f"SELECT count(*) FROM {relation(paths)}"))
        query = repeats(relation(paths), [quote_name(name) for name in columns])
        ((repeated, rows),) = connection.sql(query).fetchall()
        return Repeats(int(repeated), int(rows))


def preview(spill: Path, paths: Sequence[str | Path], columns: Mapping[str, str]) -> Scan:
    """Columns (name asked for, name in the files) of the rows in the files, as a stream."""
    import pyarrow as pa

    if not paths:
        schema = pa.schema([(name, pa.null()) for name in columns])
        return Scan(SourceSchema(schema), batches=pa.RecordBatchReader.from_batches(schema, []))
    there = present(paths)
    names = ", ".join(
        f"{quote_name(found) if found in there else 'NULL'} AS {quote_name(name)}" for name, found in columns.items()
    )
    stack = ExitStack()
    try:
        connection = stack.enter_context(session(spill))
        reader = connection.sql(f"SELECT {names} FROM {relation(paths)}").to_arrow_reader(100_000)
    except BaseException:
        stack.close()
        raise
    return Scan(SourceSchema(reader.schema), batches=reader, close=stack.close)
