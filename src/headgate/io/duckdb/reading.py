"""Reading a DuckDB file: opened for each question and each scan, so that it is free in between."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Scan
from headgate.core.values import counted
from headgate.io import infinite_times
from headgate.io.cursor_values import Kind
from headgate.io.duckdb.files import connect, told
from headgate.io.duckdb.sessions import Session, quoted
from headgate.io.duckdb.types import read_columns
from headgate.io.relational.columns import ReadColumn, arrow_schema, source_schema
from headgate.io.relational.reader import Rows, once, select_list, standard_limit
from headgate.sql.literals import literal, quote_name

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


class DuckdbReader:
    """One file, read-only."""

    product = "DuckDB"
    dialect = "duckdb"

    def __init__(self, path: Path, timeout: timedelta) -> None:
        self._path, self._timeout = path, timeout
        self._streams: list[Callable[[], None]] = []

    @contextmanager
    def _session(self, operation: str) -> Iterator[Session]:
        session = Session(connect(self._path, self._timeout), operation, self._path.name)
        try:
            yield session
        finally:
            session.close()

    def test(self) -> str:
        with self._session("test") as session:
            tables = counted(len(session.tables()), "table")
            return f"DuckDB {session.value('SELECT version()')}, {tables} in {self._path.name}"

    def tables(self) -> list[str]:
        with self._session("tables") as session:
            return session.tables()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._session("probe") as session, told("probe", self._path.name):
            # as a scan delivers them; and DuckDB's own values of times with a zone need a package more
            found = session.connection.sql(statement).to_arrow_table()
            return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def relation(self, table: str, operation: str) -> str:
        with self._session(operation) as session:
            return quoted(session.need(table, operation))

    def keys(self, table: str) -> tuple[str, ...]:
        with self._session("schema") as session:
            return session.keys(session.need(table, "schema"))

    def columns(self, source: str, table: str | None) -> list[ReadColumn]:  # noqa: ARG002 - tables tell no more
        with self._session("schema") as session, told("schema", source):
            return read_columns(session.connection, source)

    literal = staticmethod(literal)

    def order(self, name: str, kind: Kind) -> str:  # noqa: ARG002 - texts are compared byte by byte
        return quote_name(name)

    limited = staticmethod(standard_limit)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def before_open(self, name: str, kind: Kind, rows: Rows) -> tuple[datetime | None, str]:  # noqa: ARG002
        return None, ""  # while we read, nobody writes

    def value(self, column: ReadColumn) -> str | None:
        """The same engine compares it, where it is handed over as it is."""
        name = quote_name(column.name)
        return name if column.cast is None and column.expression == name else None

    def sound(self, column: ReadColumn) -> str | None:
        name = quote_name(column.name)
        if column.cast is not None:
            return f"{name} IS NULL OR TRY_CAST({column.expression} AS {column.cast}) IS NOT NULL"
        return None if column.expression == name else f"{name} IS NULL OR TRY({column.expression}) IS NOT NULL"

    def stream(
        self, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> tuple[pa.RecordBatchReader, Callable[[], None]]:
        batches, close, _ = self.stream_counted(select, (), "", columns, batch_rows, name)
        return batches, close

    def stream_counted(
        self, select: str, counting: Sequence[str], rest: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> tuple[pa.RecordBatchReader, Callable[[], None], Callable[[], Sequence[int]]]:
        import pyarrow as pa

        counts: list[int] = []
        schema = arrow_schema(columns)
        connection = connect(self._path, self._timeout)
        open_: list[pa.RecordBatchReader] = []

        def close() -> None:
            while open_:
                open_.pop().close()
            connection.close()

        closing = once(close)
        self._streams.append(closing)
        try:
            with told("scan", name):
                if counting:  # while we read, nobody writes: both statements see one state
                    counts.extend(connection.sql(f"SELECT {', '.join(counting)} {rest}").fetchall()[0])
                open_.append(connection.sql(select).to_arrow_reader(batch_rows))
        except BaseException:
            closing()
            raise

        batches = _finite(_typed(open_[0], schema, batch_rows, name))
        return pa.RecordBatchReader.from_batches(schema, batches), closing, lambda: counts

    def close(self) -> None:
        while self._streams:
            self._streams.pop()()


def stream(
    connection: duckdb.DuckDBPyConnection, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
) -> Generator[pa.RecordBatch, None, None]:
    """The rows of a SELECT as an open connection sees them, in its transaction."""
    with told("scan", name):
        reader = connection.sql(select).to_arrow_reader(batch_rows)
    with closing(reader):
        yield from _typed(reader, arrow_schema(columns), batch_rows, name)


def _typed(reader: pa.RecordBatchReader, schema: pa.Schema, batch_rows: int, name: str) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with told("scan", name):
        for batch in reader:
            for start in range(0, batch.num_rows, batch_rows):
                part = batch.slice(start, batch_rows)
                arrays = [
                    array if array.type == field.type else array.cast(field.type)
                    for array, field in zip(part.columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _finite(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            infinite_times.check(column, name)
        yield batch


def scan_table(path: Path, timeout: timedelta, table: str) -> Scan:
    """Read a whole table, for lookups and for reading a target back."""
    reader = DuckdbReader(path, timeout)
    source = reader.relation(table, "read")
    columns = reader.columns(source, table)
    batches, close = reader.stream(f"SELECT {select_list(columns)} FROM {source}", columns, 100_000, table)
    return Scan(source_schema(columns, reader.keys(table)), batches, close=close)
