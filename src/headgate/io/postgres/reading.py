"""Reading to Arrow: one read-only, repeatable-read snapshot, streamed through ADBC."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Scan, SourceSchema
from headgate.core.errors import Code, FatalError, RetriableError, nearest
from headgate.core.secrets import mask
from headgate.io import infinite_times
from headgate.io.ahead import Ahead
from headgate.io.hearing import heard
from headgate.io.postgres import catalogue
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.connection import Connection, conninfo, missing, place
from headgate.io.postgres.errors import explain, explain_connecting
from headgate.io.postgres.statements import Statements
from headgate.io.postgres.types import ReadColumn, read_column
from headgate.sql.literals import quote_name, quote_text

if TYPE_CHECKING:
    import adbc_driver_manager
    import pyarrow as pa

BATCH_BYTES = "1048576"
"""Larger batches were slower: they leave the processor's cache."""

SNAPSHOT = {
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "0",
}
_log = logging.getLogger("headgate.postgres")
_LOST = ("server closed", "connection", "terminating", "could not receive", "SSL SYSCALL", "timeout")
_PREFIX = re.compile(r"^\[libpq\].*?ERROR:\s*")
_EARLIEST = (-2_440_588, -210_866_803_200_000_000)
"""4713 BC, in days and in microseconds."""


class Snapshot:
    """One session that reads: every statement sees the same state of the database.

    The driver's own layer for Python is passed by: it imports pandas and polars where they are, for a second and more.

    Args:
        connection: where.
        name: of the table or query, for errors.
        exported: the snapshot of another session, to see what that one sees.
    """

    def __init__(self, connection: Connection, name: str, exported: str = "") -> None:
        self._name = name
        self._parts, self._session = self._open(connection)
        self._statements: list[adbc_driver_manager.AdbcStatement] = []
        self._streams: list[Ahead[pa.RecordBatch]] = []
        self._running = 0
        if exported:
            self.rows(f"SET TRANSACTION SNAPSHOT {quote_text(exported)}")

    def _open(self, connection: Connection) -> tuple[ExitStack, adbc_driver_manager.AdbcConnection]:
        """The session, and what closes it and all that comes of it."""
        try:
            import adbc_driver_manager as adbc
            import adbc_driver_postgresql as driver  # type: ignore[import-untyped]
        except ImportError as error:
            raise missing("adbc-driver-postgresql", error) from None
        with ExitStack() as opened:
            try:
                database = opened.enter_context(driver.connect(conninfo(connection, SNAPSHOT)))
                session: adbc.AdbcConnection = opened.enter_context(adbc.AdbcConnection(database))
                session.set_autocommit(False)
            except adbc.Error as error:
                raise explain_connecting(error, place(connection)) from None
            return opened.pop_all(), session

    def _execute(self, select: str, **options: str) -> tuple[pa.RecordBatchReader, Callable[[], None]]:
        """The rows of a statement, and what cancels it."""
        import adbc_driver_manager as adbc
        import pyarrow as pa

        statement = self._parts.enter_context(adbc.AdbcStatement(self._session))
        self._statements.append(statement)
        statement.set_options(**options)
        statement.set_sql_query(select)
        handle, _ = heard(statement.execute_query, statement.cancel)
        return self._parts.enter_context(pa.RecordBatchReader.from_stream(handle)), statement.cancel

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        """The rows of a statement that gives few."""
        with self._explained():
            reader, cancel = self._execute(select)
            table = heard(reader.read_all, cancel)
            return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def stream(self, select: str, schema: pa.Schema, batch_rows: int) -> pa.RecordBatchReader:
        """The rows of a SELECT as they come, read in a thread; at most ``batch_rows`` in a batch.

        The server and the driver go on while what is there is worked on: a socket holds some milliseconds of rows.
        """
        import pyarrow as pa

        rows = Ahead(self.batches(select, schema, batch_rows), cancel=self.cancel)
        self._streams.append(rows)
        return pa.RecordBatchReader.from_batches(schema, iter(rows))

    def batches(self, select: str, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The same, read in the caller's thread. The server begins at once."""
        with self._explained():
            reader, cancel = self._execute(select, **{"adbc.postgresql.batch_size_hint_bytes": BATCH_BYTES})
            self._running += 1
        return self._batches(reader, cancel, schema, batch_rows)

    def _batches(
        self, reader: pa.RecordBatchReader, cancel: Callable[[], None], schema: pa.Schema, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        while True:
            try:
                with self._explained():
                    batch = heard(reader.read_next_batch, cancel)
            except StopIteration:
                self._running -= 1
                return
            typed = pa.RecordBatch.from_arrays(
                [_as(array, field) for array, field in zip(batch.columns, schema, strict=True)], schema=schema
            )
            for start in range(0, typed.num_rows, batch_rows):
                yield typed.slice(start, batch_rows)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import adbc_driver_manager
        import pyarrow as pa

        try:
            yield
        except adbc_driver_manager.Error as error:
            raise explain(error, "scan", self._name, Code.EXTRACTION_FAILED) from None
        except (pa.ArrowException, OSError) as error:
            text = _PREFIX.sub("", mask(str(error).splitlines()[0] if str(error) else type(error).__name__))
            if "statement timeout" in text:
                hint = "raise statement_timeout of the connection if this may take longer"
                raise RetriableError(
                    Code.EXTRACTION_FAILED, text, operation="scan", object=self._name, hint=hint
                ) from None
            if any(word in text for word in _LOST):
                hint = "the connection broke; nothing was published"
                raise RetriableError(
                    Code.CONNECTION_FAILED, text, operation="scan", object=self._name, hint=hint
                ) from None
            hint = "read a query that casts the column to text" if "array of arrays" in text else ""
            raise FatalError(Code.EXTRACTION_FAILED, text, operation="scan", object=self._name, hint=hint) from None

    def cancel(self) -> None:
        """Make what the server still computes for this session end soon; from any thread."""
        import adbc_driver_manager

        if self._running:
            for statement in self._statements:
                try:
                    statement.cancel()
                except adbc_driver_manager.Error as error:
                    _log.debug("the running statement could not be cancelled: %s", error)

    def close(self) -> None:
        """End the snapshot, also in the middle of a stream, when no thread reads from it; may be called twice."""
        self.cancel()
        while self._streams:
            self._streams.pop().close()
        self._statements.clear()
        self._parts.close()


def _as(array: pa.Array[Any], field: pa.Field[Any]) -> pa.Array[Any]:
    """The array in the field's type. Refuses times that the driver's arithmetic has wrapped around."""
    typed = array if array.type == field.type else array.cast(field.type)
    infinite_times.check(typed, field.name, _EARLIEST)
    return typed


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
    return ", ".join(f"{column.expression} AS {quote_name(column.name)}" for column in columns)


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
