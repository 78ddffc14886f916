"""Reading through SQLAlchemy: rows as the driver gives them, in batches, in one read-only transaction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Scan
from headgate.io.alchemy.engines import explained
from headgate.io.alchemy.sessions import Session, quoted
from headgate.io.alchemy.types import MYSQL, batches_of, read_column
from headgate.io.cursor_values import Kind
from headgate.io.mysql.reading import literal as mysql_literal
from headgate.io.relational.columns import ReadColumn, arrow_schema, source_schema
from headgate.io.relational.reader import Rows, once, select_list
from headgate.sql.literals import literal, quote_name, quote_text

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy

SAMPLE = 1000
"""Rows of a query that are looked at to find its types: no two drivers tell them alike."""


def literal_of(value: Any, dialect: str) -> str:
    """A value as a literal that a dialect compares with its own columns."""
    if dialect in MYSQL:
        return mysql_literal(value)
    if dialect == "sqlite" and isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return quote_text(moment.isoformat(sep=" "))
    if dialect == "sqlite" and isinstance(value, date):
        return quote_text(value.isoformat())
    return repr(value) if dialect == "sqlite" and isinstance(value, float) else literal(value)


class AlchemyReader:
    """One database, read through a pool of read-only connections."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self.product = f"SQLAlchemy ({engine.dialect.name})"

    @contextmanager
    def _session(self, operation: str) -> Iterator[Session]:
        session = Session(self._engine, operation)
        try:
            yield session
        finally:
            session.close()

    def test(self) -> str:
        with self._session("test") as session:
            session.query("SELECT 1")
            return f"{self.product} at {self._engine.url.render_as_string(hide_password=True)}"

    def tables(self) -> list[str]:
        with self._session("tables") as session:
            return session.tables()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._session("probe") as session:
            return session.query(statement)

    def relation(self, table: str, operation: str) -> str:
        with self._session(operation) as session:
            return quoted(session.need(table, operation))

    def keys(self, table: str) -> tuple[str, ...]:
        with self._session("schema") as session:
            return session.keys(session.need(table, "schema"))

    def columns(self, source: str, table: str | None) -> list[ReadColumn]:
        with self._session("schema") as session:
            if table is not None:
                found = session.types(session.need(table, "schema"))
                return [read_column(name, type_, self._engine.dialect.name) for name, type_ in found]
            with explained("schema", "query"):
                result = session._run(f"SELECT * FROM {source}", ())
                rows = [tuple(row) for row in result.fetchmany(SAMPLE)]
                names = list(result.keys())
                result.close()
        cells: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [() for _ in names]
        return [_guessed(name, values) for name, values in zip(names, cells, strict=True)]

    def literal(self, value: Any) -> str:
        return literal_of(value, self._engine.dialect.name)

    def order(self, name: str, kind: Kind) -> str:
        """The cursor column as it is compared and sorted: texts by code point where the dialect is known."""
        quoted_, dialect = quote_name(name), self._engine.dialect.name
        if kind != "text":
            return quoted_
        if dialect in MYSQL:
            return f"CONVERT({quoted_} USING utf8mb4) COLLATE utf8mb4_bin"
        return {"postgresql": f'{quoted_} COLLATE "C"', "sqlite": f"{quoted_} COLLATE BINARY"}.get(dialect, quoted_)

    def limited(self, listed: str, rest: str, order: Sequence[str], rows: int) -> str:
        """With LIMIT, TOP or FETCH FIRST, as the dialect says it."""
        import sqlalchemy

        # what stands between is ours, and the words are put back as they are: nothing in them is a parameter
        words = {"hg_listed": listed, "hg_rest": rest, "hg_order": ", ".join(order)}
        select: Any = sqlalchemy.select(sqlalchemy.literal_column("hg_listed")).select_from(sqlalchemy.table("hg_rest"))
        if order:
            select = select.order_by(sqlalchemy.literal_column("hg_order"))
        made = select.limit(rows).compile(self._engine, compile_kwargs={"literal_binds": True})
        text = " ".join(str(made).split()).replace("FROM hg_rest", "hg_rest")
        return re.sub("|".join(words), lambda found: words[found[0]], text)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def before_open(self, name: str, kind: Kind, rows: Rows) -> tuple[datetime | None, str]:  # noqa: ARG002 - no two databases tell it alike
        return None, "rows that commit late below the cursor are found only within lag"

    def stream(
        self, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> tuple[pa.RecordBatchReader, Callable[[], None]]:
        import pyarrow as pa

        schema = arrow_schema(columns)
        with explained("scan", name):
            connection = self._engine.connect()
        results: list[Any] = []

        def batches() -> Iterator[pa.RecordBatch]:
            with explained("scan", name):
                options = connection.execution_options(
                    stream_results=True, no_parameters=True, max_row_buffer=batch_rows
                )
                results.append(options.exec_driver_sql(select))
                yield from batches_of(results[0], schema, batch_rows)

        def close() -> None:
            for result in results:
                result.close()
            connection.invalidate()  # rows that are left unread are not worth waiting for
            connection.close()

        return pa.RecordBatchReader.from_batches(schema, batches()), once(close)

    def close(self) -> None:
        self._engine.dispose()


def _guessed(name: str, values: Sequence[Any]) -> ReadColumn:
    """A column of a query by its first values; text if they are of several kinds, or none."""
    import pyarrow as pa

    quoted_, kinds = quote_name(name), {type(value) for value in values if value is not None}
    known: dict[type, tuple[Any, str | None, Kind | None]] = {
        bool: (pa.bool_(), None, None),
        int: (pa.int64(), None, "int"),
        float: (pa.float64(), None, "float"),
        bytes: (pa.binary(), None, None),
        memoryview: (pa.binary(), None, None),
        date: (pa.string(), "DATE", "date"),
    }
    if kinds == {datetime}:
        zoned = any(value.tzinfo for value in values if value is not None)
        return ReadColumn(
            name, quoted_, pa.string(), "TIMESTAMPTZ" if zoned else "TIMESTAMP", "timestamptz" if zoned else "timestamp"
        )
    if len(kinds) == 1 and (kind := next(iter(kinds))) in known:
        return ReadColumn(name, quoted_, *known[kind])
    return ReadColumn(name, quoted_, pa.string(), None, "text" if kinds <= {str} else None)


def scan_table(engine: sqlalchemy.Engine, table: str) -> Scan:
    """Read a whole table, for lookups and for reading a target back."""
    reader = AlchemyReader(engine)
    source = reader.relation(table, "read")
    columns = reader.columns(source, table)
    batches, close = reader.stream(f"SELECT {select_list(columns)} FROM {source}", columns, 100_000, table)
    return Scan(source_schema(columns, reader.keys(table)), batches, close=close)
