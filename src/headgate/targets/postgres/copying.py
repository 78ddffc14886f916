"""Binary COPY from Arrow: one stream at a time on a connection, tables take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
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
        keys: columns by which a row is named in errors; default the first.
        copied: rows that the server took.
    """

    table: str
    statement: str
    schema: pa.Schema
    convert: Callable[[pa.RecordBatch], pa.RecordBatch]
    types: Mapping[str, str]
    keys: Sequence[str] = ()
    copied: int = 0


REMEMBERED = 4 * 1024 * 1024
"""Bytes of rows that the server may still have to complain about: more than its buffers and ours hold."""

PIECE = 512 * 1024
"""Bytes of a batch that are encoded and sent together: what the connection takes while the next piece is encoded. The
server would wait for a larger one."""


class Sent:
    """The last rows of a COPY, to name one by its number."""

    def __init__(self) -> None:
        self._rows = 0
        self._batches: deque[tuple[int, pa.RecordBatch]] = deque()

    def add(self, batch: pa.RecordBatch) -> None:
        self._batches.append((self._rows, batch))
        self._rows += batch.num_rows
        while sum(kept.nbytes for _, kept in list(self._batches)[1:]) > REMEMBERED:
            self._batches.popleft()

    def named(self, line: int, keys: Sequence[str]) -> str:
        for before, batch in self._batches:
            if before < line <= before + batch.num_rows:
                return named(batch, line - before - 1, keys)
        return ""


def named(batch: pa.RecordBatch, number: int, keys: Sequence[str]) -> str:
    """A row by its keys, or by its first column."""
    names = [name for name in keys if name in batch.schema.names] or batch.schema.names[:1]
    return ", ".join(f"{name} = {_shown(batch.column(name).slice(number, 1))}" for name in names)


def _shown(one: pa.Array[Any]) -> str:
    import pyarrow as pa

    try:
        text = str(one.cast(pa.string())[0].as_py())  # also of times that Python does not have
    except pa.ArrowException:
        text = str(one[0].as_py())
    return repr(text[:80]) if pa.types.is_string(one.type) else text[:80]


def _at_fault(batch: pa.RecordBatch) -> tuple[str, int]:
    """The first column and row that cannot be encoded."""
    import pgpq

    for name in batch.schema.names:
        alone = batch.select([name])
        for number in range(batch.num_rows):
            encoder = pgpq.ArrowToPostgresBinaryEncoder(alone.schema)
            encoder.write_header()
            try:
                encoder.write_batch(alone.slice(number, 1))
            except ValueError:
                return name, number
    raise AssertionError("a batch that cannot be encoded has such a value")


class Copying:
    """The COPY that a connection is in, if any."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._destination: Destination | None = None
        self._cursor: psycopg.Cursor[Any] | None = None
        self._context: AbstractContextManager[psycopg.Copy] | None = None
        self._copy: psycopg.Copy | None = None
        self._encoder: Any = None
        self._sent = Sent()

    def write(self, destination: Destination, batch: pa.RecordBatch) -> None:
        """Send a batch; ends the COPY of another table first."""
        if batch.num_rows == 0:
            return
        if self._destination is not destination:
            self.finish()
            self._start(destination)
        self._sent.add(batch)
        converted = destination.convert(batch)
        rows = max(1, PIECE * batch.num_rows // max(1, converted.nbytes))
        for start in range(0, batch.num_rows, rows):
            piece = converted.slice(start, rows)
            try:
                data = self._encoder.write_batch(piece)
            except ValueError as error:
                column, number = _at_fault(piece)
                raise FatalError(
                    Code.LOAD_EXECUTION_FAILED,
                    f'column "{column}" of the row with {named(batch, start + number, destination.keys)}:'
                    f" a value is beyond what PostgreSQL holds: {error}",
                    operation="stage",
                    object=destination.table,
                    hint="PostgreSQL's times lie between 4713 BC and 294276 AD: clean the column, or hold such rows"
                    " back with a rule",
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
        with explained("stage", destination.table, row=self._row(destination)):
            context.__exit__(None, None, None)
            destination.copied += cursor.rowcount
            cursor.close()

    def _start(self, destination: Destination) -> None:
        try:
            import pgpq
        except ImportError as error:
            raise missing("pgpq", error) from None
        from headgate.targets.postgres.ending import Ending

        self._encoder = pgpq.ArrowToPostgresBinaryEncoder(destination.schema)
        with explained("stage", destination.table):
            self._cursor = self._connection.cursor()
            self._context = self._cursor.copy(destination.statement, writer=Ending(self._cursor))
            self._copy = self._context.__enter__()
            self._destination = destination
        self._sent = Sent()
        self._send(self._encoder.write_header())

    def _send(self, data: bytes) -> None:
        if self._copy is None or self._destination is None:
            return
        with explained("stage", self._destination.table, row=self._row(self._destination)):
            try:
                self._copy.write(data)
            except BaseException as error:
                # the server's reason for hanging up comes out when the COPY is ended
                context = self._context
                self._forget()
                if context is not None:
                    context.__exit__(type(error), error, None)
                raise

    def _row(self, destination: Destination) -> Callable[[int], str]:
        return partial(self._sent.named, keys=destination.keys)

    def _forget(self) -> None:
        self._destination = self._context = self._copy = None
