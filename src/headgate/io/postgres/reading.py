"""Reading to Arrow: one read-only, repeatable-read snapshot, streamed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Scan, SourceSchema
from headgate.core.errors import Code, FatalError, nearest
from headgate.io.ahead import Ahead
from headgate.io.postgres import catalogue, csv_rows
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.connection import Connection, connect
from headgate.io.postgres.driver_rows import DriverRows
from headgate.io.postgres.link import hang_up
from headgate.io.postgres.statements import Statements
from headgate.io.postgres.types import ReadColumn, read_column
from headgate.sql.literals import quote_name, quote_text

if TYPE_CHECKING:
    import pyarrow as pa

SNAPSHOT = {
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "0",
}


class Snapshot:
    """One session that reads: every statement sees the same state of the database.

    Args:
        connection: where.
        name: of the table or query, for errors.
        exported: the snapshot of another session, to see what that one sees.
    """

    def __init__(self, connection: Connection, name: str, exported: str = "") -> None:
        self._connection, self._name = connection, name
        self._session = connect(connection, autocommit=False, settings=SNAPSHOT)
        self._statements = Statements(self._session, "scan", name, Code.EXTRACTION_FAILED)
        self._driver: DriverRows | None = None
        self._streams: list[Ahead[pa.RecordBatch]] = []
        self._running = 0
        if exported:
            try:
                self._statements.execute(f"SET TRANSACTION SNAPSHOT {quote_text(exported)}")
            except BaseException:
                self._session.close()
                raise

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        """The rows of a statement that gives few."""
        return self._statements.query(select)

    def stream(self, select: str, schema: pa.Schema, batch_rows: int) -> pa.RecordBatchReader:
        """The rows of a SELECT as they come, read in a thread; at most ``batch_rows`` in a batch.

        The server begins at once, and goes on while what is there is worked on: a socket holds some milliseconds of
        rows.
        """
        import pyarrow as pa

        rows = Ahead(self.batches(select, schema, batch_rows), cancel=self.cancel)
        self._streams.append(rows)
        rows.start()
        return pa.RecordBatchReader.from_batches(schema, iter(rows))

    def batches(self, select: str, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The same, read in the caller's thread."""
        if csv_rows.readable(schema):
            rows = csv_rows.batches(self._session, select, schema, self._name, batch_rows)
        else:
            rows = self._driven().batches(select, schema, batch_rows)
        self._running += 1
        return self._counted(rows)

    def _counted(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from rows
        self._running -= 1

    def _driven(self) -> DriverRows:
        if self._driver is None:
            exported = str(self._statements.value("SELECT pg_export_snapshot()"))
            self._driver = DriverRows(self._connection, self._name, SNAPSHOT, exported)
        return self._driver

    def cancel(self) -> None:
        """Make what the server still computes for this session end soon; from any thread. Nothing is read after it."""
        if self._running:
            if self._driver is not None:
                self._driver.cancel()
            hang_up(self._session)

    def close(self) -> None:
        """End the snapshot, also in the middle of a stream, when no thread reads from it; may be called twice."""
        self.cancel()
        while self._streams:
            self._streams.pop().close()
        if self._driver is not None:
            self._driver.close()
        self._session.close()


def server_columns(
    statements: Statements,
    relation: str,
    names: Sequence[str] | None,
    name: str = "",
    known: Sequence[str] | None = None,
) -> list[ServerColumn]:
    """The columns of ``relation`` (quoted, or a subselect): all, or those named, in that order.

    Where ``known`` says which there are, no other than those named is looked at: the role may be allowed no more.
    """
    if names and known is not None:
        _check_named(names, known, name or relation)
        listed = ", ".join(quote_name(wanted) for wanted in names)
        return catalogue.columns(statements, f"SELECT {listed} FROM {relation}", name)
    found = {column.name: column for column in catalogue.columns(statements, f"SELECT * FROM {relation}", name)}
    _check_named(names or (), found, name or relation)
    return [found[wanted] for wanted in (names or found)]


def _check_named(names: Sequence[str], found: Collection[str], told: str) -> None:
    for wanted in names:
        if wanted not in found:
            raise FatalError(
                Code.SCHEMA_MISMATCH,
                f'there is no column "{wanted}"; {nearest(wanted, found)}',
                operation="schema",
                object=told,
                hint="existing columns: " + ", ".join(found),
            )


def read_columns(
    statements: Statements,
    relation: str,
    names: Sequence[str] | None,
    name: str = "",
    known: Sequence[str] | None = None,
) -> list[ReadColumn]:
    """How the columns of ``relation`` are read."""
    return [read_column(column) for column in server_columns(statements, relation, names, name, known)]


def source_schema(columns: Sequence[ReadColumn], keys: tuple[str, ...] = ()) -> SourceSchema:
    """The schema of a scan of such columns."""
    import pyarrow as pa

    return SourceSchema(
        pa.schema([pa.field(column.name, column.arrow) for column in columns]),
        {column.name: column.cast for column in columns if column.cast},
        keys,
        certain=frozenset(column.name for column in columns if column.certain),
    )


def select_list(columns: Sequence[ReadColumn]) -> str:
    return ", ".join(f"{column.own or column.expression} AS {quote_name(column.name)}" for column in columns)


def scan_table(connection: Connection, statements: Statements, table: str, batch_rows: int = 100_000) -> Scan:
    """Read a whole table, for lookups and for reading a target back."""
    relation = catalogue.need(statements, table, "read")
    columns = read_columns(statements, relation.quoted, None)
    schema = source_schema(columns, catalogue.primary_key(statements, relation))
    snapshot = Snapshot(connection, table)
    try:
        batches = snapshot.stream(f"SELECT {select_list(columns)} FROM {relation.quoted}", schema.raw, batch_rows)
    except BaseException:
        snapshot.close()
        raise
    return Scan(schema, batches, close=snapshot.close, cancel=snapshot.cancel)
