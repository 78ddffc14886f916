"""Rows of any type that Arrow has, decoded by ADBC's driver, in a session of its own that shares a snapshot."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.secrets import mask
from headgate.io import infinite_times
from headgate.io.hearing import heard
from headgate.io.postgres.connection import Connection, conninfo, missing, place
from headgate.io.postgres.errors import explain, explain_connecting
from headgate.sql.literals import quote_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import adbc_driver_manager
    import pyarrow as pa

BATCH_BYTES = "1048576"
"""Larger batches were slower: they leave the processor's cache."""
_log = logging.getLogger("headgate.postgres")
_LOST = ("server closed", "connection", "terminating", "could not receive", "SSL SYSCALL", "timeout")
_PREFIX = re.compile(r"^\[libpq\].*?ERROR:\s*")
_EARLIEST = (-2_440_588, -210_866_803_200_000_000)
"""4713 BC, in days and in microseconds."""


class DriverRows:
    """A session of the driver.

    The driver's own layer for Python is passed by: it imports pandas and polars where they are, for a second and more.

    Args:
        connection: where.
        name: of the table or query, for errors.
        settings: the server's, for the session.
        exported: the snapshot of another session, to see what that one sees.
    """

    def __init__(self, connection: Connection, name: str, settings: Mapping[str, str], exported: str) -> None:
        self._name = name
        self._parts, self._session = self._open(connection, settings)
        self._statements: list[adbc_driver_manager.AdbcStatement] = []
        with self._explained():
            reader, cancel = self._execute(f"SET TRANSACTION SNAPSHOT {quote_text(exported)}")
            heard(reader.read_all, cancel)

    def _open(
        self, connection: Connection, settings: Mapping[str, str]
    ) -> tuple[ExitStack, adbc_driver_manager.AdbcConnection]:
        """The session, and what closes it and all that comes of it."""
        try:
            import adbc_driver_manager as adbc
            import adbc_driver_postgresql as driver  # type: ignore[import-untyped]
        except ImportError as error:
            raise missing("adbc-driver-postgresql", error) from None
        with ExitStack() as opened:
            try:
                database = opened.enter_context(driver.connect(conninfo(connection, settings)))
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

    def batches(self, select: str, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT, at most so many in a batch. The server begins at once."""
        import pyarrow as pa

        # numbers that travel as texts are cast by the server: the driver takes its time
        columns = ", ".join(
            f"{quote_name(field.name)}{'::text' if pa.types.is_string(field.type) else ''}" for field in schema
        )
        with self._explained():
            statement = f"SELECT {columns} FROM ({select}) AS selected"
            reader, cancel = self._execute(statement, **{"adbc.postgresql.batch_size_hint_bytes": BATCH_BYTES})
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

        for statement in self._statements:
            try:
                statement.cancel()
            except adbc_driver_manager.Error as error:
                _log.debug("the running statement could not be cancelled: %s", error)

    def close(self) -> None:
        """End the session, when no thread reads from it; may be called twice."""
        self._statements.clear()
        self._parts.close()


def _as(array: pa.Array[Any], field: pa.Field[Any]) -> pa.Array[Any]:
    """The array in the field's type. Refuses times that the driver's arithmetic has wrapped around."""
    typed = array if array.type == field.type else array.cast(field.type)
    infinite_times.check(typed, field.name, _EARLIEST)
    return typed
