"""Binary COPY from Arrow: one stream at a time on a connection, tables take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.io.postgres.connection import missing
from headgate.io.postgres.errors import explained
from headgate.io.postgres.wire import copy_in

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa


@dataclass
class Destination:
    """Where rows of one table are copied to.

    Args:
        table: the table's configured name, for errors.
        statement: the COPY.
        schema: of what is encoded.
        convert: brings a batch into that schema.
        types: what the server understands, by column, in the statement's order.
        copied: rows that the server took.
    """

    table: str
    statement: str
    schema: pa.Schema
    convert: Callable[[pa.RecordBatch], pa.RecordBatch]
    types: Mapping[str, str]
    copied: int = 0


class Copying:
    """The COPY that a connection is in, if any."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._destination: Destination | None = None
        self._cursor: psycopg.Cursor[Any] | None = None
        self._context: AbstractContextManager[psycopg.Copy] | None = None
        self._copy: psycopg.Copy | None = None
        self._encoder: Any = None

    def write(self, destination: Destination, batch: pa.RecordBatch) -> None:
        """Send a batch; ends the COPY of another table first."""
        if batch.num_rows == 0:
            return
        if self._destination is not destination:
            self.finish()
            self._start(destination)
        converted = destination.convert(batch)
        try:
            data = self._encoder.write_batch(converted)
        except ValueError as error:
            raise FatalError(
                Code.UNSUPPORTED,
                f"a value is beyond what PostgreSQL holds: {error}",
                operation="stage",
                object=destination.table,
                hint="PostgreSQL's times lie between 4713 BC and 294276 AD",
            ) from None
        self._send(data)

    def take(self, destination: Destination, pieces: Iterator[memoryview]) -> int:
        """Send what is a whole COPY by itself; how many rows the server took."""
        self.finish()
        rows = copy_in(self._connection, destination.statement, pieces, destination.table)
        destination.copied += rows
        return rows

    def finish(self) -> None:
        """End the COPY and learn what the server thinks of its rows."""
        if self._destination is None or self._context is None or self._cursor is None:
            return
        destination, context, cursor = self._destination, self._context, self._cursor
        self._send(self._encoder.finish())
        self._forget()
        with explained("stage", destination.table):
            context.__exit__(None, None, None)
            destination.copied += cursor.rowcount
            cursor.close()

    def _start(self, destination: Destination) -> None:
        try:
            import pgpq
        except ImportError as error:
            raise missing("pgpq", error) from None
        self._encoder = pgpq.ArrowToPostgresBinaryEncoder(destination.schema)
        with explained("stage", destination.table):
            self._cursor = self._connection.cursor()
            self._context = self._cursor.copy(destination.statement)
            self._copy = self._context.__enter__()
            self._destination = destination
        self._send(self._encoder.write_header())

    def _send(self, data: bytes) -> None:
        if self._copy is None or self._destination is None:
            return
        with explained("stage", self._destination.table):
            try:
                self._copy.write(data)
            except BaseException as error:
                # the server's reason for hanging up comes out when the COPY is ended
                context = self._context
                self._forget()
                if context is not None:
                    context.__exit__(type(error), error, None)
                raise

    def _forget(self) -> None:
        self._destination = self._context = self._copy = None
