"""Reading to Arrow: one statement is one state of the database, streamed in a session that commits nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from headgate.io.cursor_values import Kind
from headgate.io.relational.columns import ReadColumn, arrow_schema
from headgate.io.relational.reader import Rows, once
from headgate.io.sqlserver.connection import Connection, place
from headgate.io.sqlserver.sessions import Session, quoted
from headgate.io.sqlserver.types import ROW_VERSIONS, Described, as_number, milliseconds, read_column
from headgate.sql.dialects import BINARY_COLLATION
from headgate.sql.literals import literal as standard_literal
from headgate.sql.literals import quote_name, quote_text

if TYPE_CHECKING:
    import pyarrow as pa

_CONTINUED = re.compile(r"(?<=\\)(?=[\r\n])")


def literal(value: Any) -> str:
    """A typed literal as SQL Server has them."""
    match value:
        case bool():
            return "1" if value else "0"
        case float():
            return f"CAST({value!r} AS FLOAT)" if "e" in repr(value) else f"CAST({value!r}e0 AS FLOAT)"
        case datetime() if value.tzinfo:
            moment = value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
            return f"CAST('{moment}+00:00' AS DATETIMEOFFSET(6))"
        case datetime():
            return f"CAST('{value.isoformat(timespec='microseconds')}' AS DATETIME2(6))"
        case date():
            return f"CAST('{value.isoformat()}' AS DATE)"
        case str():
            return _text(value)
        case _:
            return standard_literal(value)


def _text(value: str) -> str:
    """A text in any alphabet. A backslash at the end of a line would swallow both: the text is cut between them."""
    pieces = [f"N{quote_text(piece)}" for piece in _CONTINUED.split(value)]
    return pieces[0] if len(pieces) == 1 else f"({' + '.join(pieces)})"


class SqlServerReader:
    """One database, read through a session that is kept, and replaced when it has gone."""

    product = "SQL Server"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: Session | None = None
        self._types: dict[str, Described] = {}

    def session(self, operation: str) -> Session:
        if self._session is None or not self._session.alive:
            self._session = None
            session = Session(self._connection, operation, read_only=True)
            try:
                session.one_state()
            except BaseException:
                session.close()
                raise
            self._session = session
        self._session.operation = operation
        return self._session

    def test(self) -> str:
        version = str(self.session("test").value("SELECT @@VERSION")).splitlines()[0]
        return f"{version} at {place(self._connection)}"

    def tables(self) -> list[str]:
        return self.session("tables").tables()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        session = self.session("probe")
        session.begin()
        try:
            return session.query(statement)
        finally:
            session.rollback()

    def relation(self, table: str, operation: str) -> str:
        return quoted(self.session(operation).need(table, operation))

    def keys(self, table: str) -> tuple[str, ...]:
        session = self.session("schema")
        return session.keys(session.need(table, "schema"))

    def columns(self, source: str, table: str | None) -> list[ReadColumn]:
        session = self.session("schema")
        if table is not None:
            found = session.columns(session.need(table, "schema"))
        else:
            found = session.result_columns(f"SELECT * FROM {source}")
        self._types = {column.name: column for column in found}
        return [read_column(column) for column in found]

    literal = staticmethod(literal)

    def order(self, name: str, kind: Kind) -> str:
        """The cursor column in the order that everybody agrees on."""
        quoted_ = quote_name(name)
        if kind == "text":
            return f"CAST({quoted_} AS NVARCHAR(MAX)) COLLATE {BINARY_COLLATION}"
        if self._types[name].type in ROW_VERSIONS:
            return as_number(quoted_)
        return milliseconds(quoted_) if self._types[name].type in ("datetime", "smalldatetime") else quoted_

    def limited(self, listed: str, rest: str, order: Sequence[str], rows: int) -> str:
        ordered = f" ORDER BY {', '.join(order)}" if order else ""
        return f"SELECT TOP ({rows}) {listed} {rest}{ordered}"

    def now(self) -> datetime:
        return datetime.now(UTC)

    def before_open(self, name: str, kind: Kind, rows: Rows) -> tuple[int | None, str]:  # noqa: ARG002 - stamps may be of any clock
        """The server counts its changes in a ROWVERSION, and tells the lowest that is not committed yet."""
        if self._types[name].type not in ROW_VERSIONS:
            return None, "rows that commit late below the cursor are found only within lag"
        lowest = self.session("probe").value("SELECT CAST(MIN_ACTIVE_ROWVERSION() AS BIGINT) AS lowest")
        return int(lowest), "rows stop before the oldest change in flight, so that late commits come with the next run"

    def stream(
        self, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> tuple[pa.RecordBatchReader, Callable[[], None]]:
        import pyarrow as pa

        schema = arrow_schema(columns)
        session = Session(self._connection, "scan", read_only=True)

        def batches() -> Iterator[pa.RecordBatch]:
            session.one_state()
            session.begin()  # never committed, whatever the query does
            yield from session.stream(select, schema, batch_rows, name)

        return pa.RecordBatchReader.from_batches(schema, batches()), once(session.close)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
