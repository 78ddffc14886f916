"""SQLite as a source: one snapshot a scan, exact types, cursor windows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from headgate.core.contracts import Interval, ReadContext, Scan, Source, SourceSchema, Window
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.models import ReadOptions
from headgate.core.values import counted
from headgate.io import comparing, sqlite, sqlite_rows, sqlite_sifting
from headgate.io.cursor import Cursor, Found
from headgate.io.cursor_values import Value, coerce
from headgate.io.narrowing import narrowed
from headgate.io.sifting import obstacle
from headgate.io.sqlite import Connection, TableColumn, told
from headgate.io.sqlite_cursor import TimeText, bindable, comparable, find_kind, mixed
from headgate.io.sqlite_rows import ReadColumn
from headgate.sql.literals import quote_name
from headgate.sql.templates import render_sql

__all__ = ["Connection", "Read", "open_source"]


class Read(ReadOptions):
    """A table, a view or a query of a SQLite database."""

    parameters: dict[str, Any] = Field(default_factory=dict, description="Values of :name in the query.")


def open_source(connection: Connection, root: Path) -> Source:
    return SqliteSource(connection.file(root), connection.timeout)


@dataclass(frozen=True)
class Relation:
    """What is read: SQL that stands after FROM, with the values that it binds."""

    sql: str
    columns: tuple[TableColumn, ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    def where(self, *conditions: str) -> str:
        kept = " AND ".join(f"({condition})" for condition in conditions if condition)
        return f"{self.sql} WHERE {kept}" if kept else self.sql

    def column(self, name: str) -> TableColumn:
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        names = [column.name for column in self.columns]
        raise FatalError(
            Code.PLAN_INVALID,
            f'column "{name}" not found',
            operation="schema",
            object=name,
            hint=nearest(name, names) + "; existing columns: " + ", ".join(names),
        )


class Binder:
    """Collects values for a statement and gives each a name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def __call__(self, value: Any) -> str:
        name = f"headgate_{len(self.values)}"
        self.values[name] = value
        return f":{name}"


@dataclass(frozen=True)
class CursorColumn:
    """The cursor of one read, and how SQLite compares it."""

    cursor: Cursor
    sql: str
    time: TimeText | None

    def start(self, bind: Binder) -> str:
        return self.cursor.start_condition(self.sql, lambda value: bind(self.first(value)))

    def within(self, bind: Binder, window: Window) -> str:
        def last(value: Value) -> str:
            return bind(self.time.last(value) if self.time else bindable(value))

        return self.cursor.condition(self.sql, lambda value: bind(self.first(value)), window, last)

    def inside(self, bind: Binder, interval: Interval) -> str:
        """The cursor lies in the interval, whose end is exclusive."""
        name = self.cursor.options.column
        start, end = (coerce(at, self.cursor.kind, name, Code.USAGE) for at in (interval.start, interval.end))
        return f"{self.sql} >= {bind(self.first(start))} AND {self.sql} < {bind(self.first(end))}"

    def odd(self) -> str:
        """Cells that do not compare with the others."""
        name = quote_name(self.cursor.options.column)
        return f"{name} IS NOT NULL AND NOT {comparable(self.cursor.kind, name, self.time)}"

    def first(self, value: Value) -> Any:
        return self.time.first(value) if self.time else bindable(value)


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
        incremental = read.incremental
        filter_ = [read.where, read.query, read.parameters, incremental and [incremental.column, incremental.nulls]]
        name = read.table or "query:" + _digest(read.query)
        if read.mode in comparing.COMPARED:
            filter_ += [read.mode, list(read.key or ())]
        return name, _digest(filter_)

    def narrowed(self, read: ReadOptions, column: str, values: Sequence[Any]) -> ReadOptions:
        """Rows whose column has one of the values."""
        return narrowed(read, column, values)

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:
        if read.mode in comparing.COMPARED:
            return comparing.schema(self, read, context)
        with self._connected("schema") as connection:
            relation = self._relation(connection, read, context)
            columns = self._columns(connection, relation, read, None if context.interval else since)
            found = [relation.column(column.name) for column in columns]
            ground = sqlite_sifting.ground(found, columns, obstacle(read, context))
            return replace(_schema(relation, columns), ground=ground)

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        if read.mode in comparing.COMPARED:
            return comparing.probe(read, context, since)
        with self._connected("probe") as connection:
            relation = self._relation(connection, read, context)
            if read.mode == "full":
                return Window(_interval(context), since, note="every row", limit=read.max_records)
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
            relation = self._relation(connection, read, context)
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

    def _relation(self, connection: sqlite3.Connection, read: ReadOptions, context: ReadContext) -> Relation:
        variables = {name: _as_text(value) for name, value in context.variables.items()}
        where = render_sql(read.where, variables) if read.where else ""
        if read.query is not None:
            query = render_sql(read.query, variables).strip().rstrip(";")
            columns = _query_columns(connection, query, read.parameters)
            relation = Relation(f"({query}\n)", columns, read.parameters)
        elif read.table is not None:
            columns = sqlite.known_columns(connection, read.table, "schema")
            relation = Relation(quote_name(read.table), columns, read.parameters)
        else:
            raise FatalError(
                Code.CONFIG_INVALID,
                "a SQLite source needs a table or a query",
                operation="configuration",
                hint="write table: NAME, or query: SELECT …",
            )
        return replace(relation, sql=f"(SELECT * FROM {relation.sql} WHERE {where}\n)") if where else relation

    def _columns(
        self, connection: sqlite3.Connection, relation: Relation, read: ReadOptions, since: Mapping[str, Any] | None
    ) -> tuple[ReadColumn, ...]:
        """How to read each column, looked at once for each position: what is found stays so for the scan."""
        known = _digest([read.model_dump(mode="json"), since])
        if known not in self._known:
            chosen = [relation.column(name) for name in self._names(relation, read)]
            bind = Binder(relation.values)
            start = ""
            if read.mode != "full":
                column, _ = self._cursor(connection, relation, read, since)
                start = f"{column.start(bind)} OR {column.sql} IS NULL"
            looked_at = _Bound(connection, bind.values)
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
        kind = find_kind(_Bound(connection, relation.values), found, name, relation.sql)
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
        return Window(_interval(context), since, dict(since or {}), note=note)

    def _new_window(
        self, connection: sqlite3.Connection, relation: Relation, read: ReadOptions, since: Mapping[str, Any] | None
    ) -> Window | None:
        column, highest = self._cursor(connection, relation, read, since)
        cursor, name = column.cursor, column.cursor.options.column
        bind = Binder(relation.values)
        start = "0" if highest is None else column.start(bind)
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
                _Bound(connection, bind.values), wanted, f"(SELECT * FROM {looked_at})", quote_name
            )
            listed = ", ".join(quote_name(part.name) for part in key)
            for at, *cells in connection.execute(f"SELECT {quote_name(name)}, {listed} FROM {looked_at}", bind.values):
                when = None if at is None else coerce(at, cursor.kind, name)
                yield (when, *(part.value(cell) for part, cell in zip(key, cells, strict=True)))

        maximum = None if highest is None else coerce(highest, cursor.kind, name, Code.EXTRACTION_FAILED)
        window = cursor.window(Found(maximum, count, nulls), rows)
        return None if window is None else replace(window, high={**window.high, "cell": highest})


class _Bound:
    """A connection on which every statement gets the same values, for queries with parameters."""

    def __init__(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
        self._connection, self._values = connection, values

    def execute(self, statement: str) -> sqlite3.Cursor:
        return self._connection.execute(statement, self._values)


def _schema(relation: Relation, columns: Sequence[ReadColumn]) -> SourceSchema:
    names = {column.name for column in columns}
    keys = [column.name for column in sorted(relation.columns, key=lambda column: column.key) if column.key]
    casts = sqlite_rows.casts(columns)
    return SourceSchema(sqlite_rows.arrow_schema(columns), casts, tuple(keys) if names >= set(keys) else ())


def _query_columns(
    connection: sqlite3.Connection, query: str, parameters: Mapping[str, Any]
) -> tuple[TableColumn, ...]:
    """Columns of a query, with declared types where they come straight from a table."""
    try:
        connection.execute(f"CREATE TEMP VIEW headgate_query AS SELECT * FROM ({query}\n)")
    except sqlite3.Error:  # a view takes no parameters: the cells must tell then
        found = connection.execute(f"SELECT * FROM ({query}\n) LIMIT 0", parameters)
        return tuple(TableColumn(name, "") for name, *_ in found.description)
    columns = sqlite.columns(connection, "headgate_query", "temp")
    connection.execute("DROP VIEW temp.headgate_query")
    return columns


def _interval(context: ReadContext) -> Mapping[str, Any] | None:
    return {"interval": [context.interval.start, context.interval.end]} if context.interval else None


def _as_text(value: Any) -> Any:
    """Variables as SQLite compares them: it has no type for time, only ISO text."""
    match value:
        case datetime():
            return value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case _:
            return value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
