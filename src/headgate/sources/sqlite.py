"""SQLite as a source: one snapshot a scan, exact types, cursor windows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from headgate.core.contracts import Interval, ReadContext, Scan, Source, SourceSchema, Window
from headgate.core.errors import Code, FatalError
from headgate.core.models import ReadOptions
from headgate.core.values import counted
from headgate.io import comparing, sqlite, sqlite_rows, sqlite_sifting, table_reads
from headgate.io.cursor import Cursor, Found, need_delivered
from headgate.io.cursor_values import coerce
from headgate.io.narrowing import narrowed
from headgate.io.sifting import obstacle
from headgate.io.sqlite import Connection, told
from headgate.io.sqlite_cursor import CursorColumn, TimeText, find_kind, mixed
from headgate.io.sqlite_relation import Binder, Bound, Relation, find_relation
from headgate.io.sqlite_rows import ReadColumn
from headgate.sql.literals import quote_name

__all__ = ["Connection", "Read", "open_source"]


class Read(ReadOptions):
    """A table, a view or a query of a SQLite database."""

    parameters: dict[str, Any] = Field(default_factory=dict, description="Values of :name in the query.")


def open_source(connection: Connection, root: Path) -> Source:
    return SqliteSource(connection.file(root), connection.timeout)


class SqliteSource:
    """One SQLite file, read-only."""

    def __init__(self, path: Path, timeout: timedelta) -> None:
        self._path, self._timeout = path, timeout
        self._open: list[sqlite3.Connection] = []
        self._known: dict[str, tuple[ReadColumn, ...]] = {}

    def test(self) -> str:
        with self._connected("test") as connection:
            (version,) = connection.execute("SELECT sqlite_version()").fetchone()
            return f"SQLite {version}, {counted(len(sqlite.tables(connection)), 'table')} in {self._path.name}"

    def tables(self) -> list[str]:
        with self._connected("tables") as connection:
            return sqlite.tables(connection)

    def identity(self, read: ReadOptions) -> tuple[str, str]:
        return table_reads.identity(read)

    def narrowed(self, read: ReadOptions, column: str, values: Sequence[Any]) -> ReadOptions:
        """Rows whose column has one of the values."""
        return narrowed(read, column, values)

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:
        if read.mode in comparing.COMPARED:
            return comparing.schema(self, read, context)
        with self._connected("schema") as connection:
            relation = find_relation(connection, read, context)
            columns = self._columns(connection, relation, read, None if context.interval else since)
            if read.mode == "incremental" and read.incremental is not None and context.interval is None:
                column, key = relation.column(read.incremental.column), read.incremental.key or ()
                for name in key:
                    relation.column(name)
                need_delivered((column.name, *key), [each.name for each in columns])
            found = [relation.column(column.name) for column in columns]
            ground = sqlite_sifting.ground(found, columns, obstacle(read, context))
            return replace(_schema(relation, columns), ground=ground)

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        if read.mode in comparing.COMPARED:
            return comparing.probe(read, context, since)
        with self._connected("probe") as connection:
            relation = find_relation(connection, read, context)
            if read.mode == "full":
                return Window(table_reads.interval(context), since, note="every row", limit=read.max_records)
            if context.interval is not None:
                return self._interval_window(connection, relation, read, since, context)
            return self._new_window(connection, relation, read, since)

    def scan(self, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
        if read.mode in comparing.COMPARED:
            return comparing.scan(self, read, context, window)
        return self.sifted(read, context, window, ())

    def sifted(self, read: ReadOptions, context: ReadContext, window: Window, keeps: Sequence[str]) -> Scan:
        """All rows of the window, or those that conditions keep."""
        connection = self._connect()
        with told("scan", self._path):
            connection.execute("BEGIN")
            relation = find_relation(connection, read, context)
            columns = self._columns(connection, relation, read, None if context.interval else window.since)
            statement, values, cursor = self._statement(connection, relation, read, columns, window, context.interval)
            left_out: Sequence[int] = ()
            if keeps:
                found = [relation.column(column.name) for column in columns]
                sifting = sqlite_sifting.sifting(keeps, found, columns)
                counting = f"SELECT {', '.join(sifting.counts())} FROM ({statement})"
                left_out = connection.execute(counting, values).fetchone()
                statement = f"SELECT * FROM ({statement}) WHERE {sifting.condition()}"
        batch_size = read.batch_size or context.batch_size
        rows = connection.cursor()
        batches = sqlite_rows.read(rows, statement, values, columns, batch_size, read.table or "query")

        def close() -> None:
            if connection in self._open:
                rows.close()  # else a statement that is not read to its end would keep its lock
            self._close(connection)

        scan = Scan(_schema(relation, columns), batches, close=close, query=statement, left_out=lambda: left_out)
        if cursor is not None:
            delivery = cursor.deliver(batches, window)
            scan.batches, scan.position = delivery.reader, delivery.position
        return scan

    def acknowledge(self, read: ReadOptions, position: Mapping[str, Any]) -> None:
        """Nothing: SQLite keeps no log for its readers."""

    def close(self) -> None:
        for connection in list(self._open):
            self._close(connection)

    # ------------------------------------------------------------------------------------------ connections

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite.connect(self._path, self._timeout)
        self._open.append(connection)
        return connection

    def _close(self, connection: sqlite3.Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            connection.close()

    @contextmanager
    def _connected(self, operation: str) -> Iterator[sqlite3.Connection]:
        """A connection in one read transaction."""
        connection = self._connect()
        try:
            with told(operation, self._path):
                connection.execute("BEGIN")
                yield connection
        finally:
            self._close(connection)

    # ---------------------------------------------------------------------------------------------- reading

    def _columns(
        self, connection: sqlite3.Connection, relation: Relation, read: ReadOptions, since: Mapping[str, Any] | None
    ) -> tuple[ReadColumn, ...]:
        """How to read each column, looked at once for each position: what is found stays so for the scan."""
        known = table_reads.digest([read.model_dump(mode="json"), since])
        if known not in self._known:
            chosen = [relation.column(name) for name in self._names(relation, read)]
            bind = Binder(relation.values)
            start = ""
            if read.mode != "full":
                column, _ = self._cursor(connection, relation, read, since)
                start = f"{column.start(bind)} OR {column.sql} IS NULL"
            looked_at = Bound(connection, bind.values)
            self._known[known] = sqlite_rows.read_columns(
                looked_at, chosen, f"(SELECT * FROM {relation.where(start)})", quote_name
            )
        return self._known[known]

    @staticmethod
    def _names(relation: Relation, read: ReadOptions) -> Sequence[str]:
        return read.columns if read.columns is not None else [column.name for column in relation.columns]

    def _statement(
        self,
        connection: sqlite3.Connection,
        relation: Relation,
        read: ReadOptions,
        columns: Sequence[ReadColumn],
        window: Window,
        interval: Interval | None,
    ) -> tuple[str, Mapping[str, Any], Cursor | None]:
        names = ", ".join(quote_name(column.name) for column in columns)
        bind = Binder(relation.values)
        if read.mode == "full":
            limit = "" if window.limit is None else f" LIMIT {window.limit}"
            return f"SELECT {names} FROM {relation.sql}{limit}", bind.values, None
        if interval is not None:
            column, _ = self._cursor(connection, relation, read, None)
            return f"SELECT {names} FROM {relation.where(column.inside(bind, interval))}", bind.values, None
        column, _ = self._cursor(connection, relation, read, window.since, window)
        statement = f"SELECT {names} FROM {relation.where(column.within(bind, window))}"
        ask = column.cursor.rows_to_ask()
        if ask is not None:
            key = [quote_name(relation.column(name).name) for name in column.cursor.options.key or ()]
            statement += f" ORDER BY {', '.join([column.sql, *key])} LIMIT {ask}"
        return statement, bind.values, column.cursor

    # ---------------------------------------------------------------------------------------------- cursors

    def _cursor(
        self,
        connection: sqlite3.Connection,
        relation: Relation,
        read: ReadOptions,
        since: Mapping[str, Any] | None,
        window: Window | None = None,
    ) -> tuple[CursorColumn, Any]:
        """The cursor column and its highest cell, that of ``window`` where there is one."""
        if read.mode != "incremental" or read.incremental is None:
            raise FatalError(
                Code.UNSUPPORTED,
                f"SQLite has no {read.mode} mode" if read.incremental else "incremental needs a cursor column",
                operation="probe",
                object=read.table or "query",
                hint="use mode: incremental with incremental: {column: …, key: …}, or mode: full",
            )
        found = relation.column(read.incremental.column)
        options = read.incremental.model_copy(update={"column": found.name})
        name = quote_name(found.name)
        kind = find_kind(Bound(connection, relation.values), found, name, relation.sql)
        cursor = Cursor(options, kind, since, read.max_records)
        sql = name if kind in ("int", "float", "decimal") else f"{name} COLLATE BINARY"
        if window is not None:
            highest = window.high.get("cell")
        else:
            (highest,) = connection.execute(f"SELECT max({sql}) FROM {relation.sql}", relation.values).fetchone()
        time = None
        if kind in ("date", "timestamp", "timestamptz") and highest is not None:
            time = TimeText.of(highest, kind) if isinstance(highest, str) else None
            if time is None:
                raise mixed(found.name, highest, 1)
        return CursorColumn(cursor, sql, time), highest

    def _interval_window(
        self,
        connection: sqlite3.Connection,
        relation: Relation,
        read: ReadOptions,
        since: Mapping[str, Any] | None,
        context: ReadContext,
    ) -> Window:
        column, highest = self._cursor(connection, relation, read, None)
        name = column.cursor.options.column
        odd = f"SELECT count(*) FROM {relation.where(column.odd())}"
        (count,) = connection.execute(odd, relation.values).fetchone()
        if count:
            raise mixed(name, highest, count)
        note = f"rows whose {name} lies in the interval; the watermark stays"
        return Window(table_reads.interval(context), since, dict(since or {}), note=note)

    def _new_window(
        self, connection: sqlite3.Connection, relation: Relation, read: ReadOptions, since: Mapping[str, Any] | None
    ) -> Window | None:
        column, highest = self._cursor(connection, relation, read, since)
        cursor, name = column.cursor, column.cursor.options.column
        bind = Binder(relation.values)
        come, ahead = column.come(bind, highest, datetime.now(UTC)), 0
        if come:
            statement = f"SELECT max({column.sql}) FILTER (WHERE {come}), count(*) FILTER (WHERE NOT {come})"
            highest, ahead = connection.execute(f"{statement} FROM {relation.sql}", bind.values).fetchone()
        start = "0" if highest is None else f"{column.start(bind)}{f' AND {come}' if come else ''}"
        statement = (
            f"SELECT count(*) FILTER (WHERE {start}), count(*) FILTER (WHERE {column.sql} IS NULL),"
            f" count(*) FILTER (WHERE {column.odd()}) FROM {relation.sql}"
        )
        count, nulls, odd = connection.execute(statement, bind.values).fetchone()
        if odd:
            raise mixed(name, highest, odd)

        def rows() -> Iterator[tuple[Any, ...]]:
            delivered = [relation.column(part).name for part in self._names(relation, read)]
            wanted = [relation.column(part) for part in cursor.key_of(delivered)]
            looked_at = relation.where(f"{start} OR {column.sql} IS NULL")
            key = sqlite_rows.read_columns(
                Bound(connection, bind.values), wanted, f"(SELECT * FROM {looked_at})", quote_name
            )
            listed = ", ".join(quote_name(part.name) for part in key)
            for at, *cells in connection.execute(f"SELECT {quote_name(name)}, {listed} FROM {looked_at}", bind.values):
                when = None if at is None else coerce(at, cursor.kind, name)
                yield (when, *(part.value(cell) for part, cell in zip(key, cells, strict=True)))

        maximum = None if highest is None else coerce(highest, cursor.kind, name, Code.EXTRACTION_FAILED)
        window = cursor.window(Found(maximum, count, nulls, ahead), rows)
        return window if window is None or window.idle else replace(window, high={**window.high, "cell": highest})


def _schema(relation: Relation, columns: Sequence[ReadColumn]) -> SourceSchema:
    names = {column.name for column in columns}
    keys = [column.name for column in sorted(relation.columns, key=lambda column: column.key) if column.key]
    casts = sqlite_rows.casts(columns)
    return SourceSchema(sqlite_rows.arrow_schema(columns), casts, tuple(keys) if names >= set(keys) else ())
