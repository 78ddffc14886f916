"""PostgreSQL as a source: tables, views and queries, in one snapshot, streamed to Arrow.

What is new in a table is found by transaction ids, exactly, whatever commits late; in views, foreign tables and
queries, and with ``max_records``, by the values of the cursor column.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import Field

from headgate.core.contracts import ReadContext, Scan, SourceSchema, Window
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.models import Incremental, ReadOptions
from headgate.io.cursor import Cursor, Found
from headgate.io.cursor_values import Kind, Value, coerce
from headgate.io.postgres import Connection, Statements, catalogue, changes, connect
from headgate.io.postgres.connection import place
from headgate.io.postgres.parameters import bind
from headgate.io.postgres.reading import SNAPSHOT, Snapshot, read_columns, select_list, source_schema
from headgate.io.postgres.types import NAMES, ReadColumn
from headgate.sql.literals import literal, quote_name
from headgate.sql.templates import render_sql

if TYPE_CHECKING:
    import psycopg

__all__ = ["Connection", "Read", "open_source"]

_KINDS: dict[str, Kind] = {
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "numeric": "decimal",
    "float4": "float",
    "float8": "float",
    "text": "text",
    "varchar": "text",
    "bpchar": "text",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}


class Read(ReadOptions):
    """What is read: ``table`` (also ``schema.table``) or ``query``."""

    where: str | None = Field(default=None, description="A condition in PostgreSQL's SQL; :name takes a parameter.")
    query: str | None = Field(default=None, description="A SELECT in PostgreSQL's SQL; :name takes a parameter.")


def open_source(connection: Connection, root: Path) -> PostgresSource:  # noqa: ARG001 - paths mean nothing here
    return PostgresSource(connection)


class Subject:
    """What one read is about, as far as the catalogue tells: relation, columns, condition, cursor."""

    def __init__(self, statements: Statements, read: ReadOptions, context: ReadContext) -> None:
        _check(read)
        self.read, self.context, self.statements = read, context, statements
        self.relation = catalogue.need(statements, read.table, "probe") if read.table else None
        self.source = self.relation.quoted if self.relation else f"({self._sql(read.query or '')}\n) AS q"
        self.name = read.table or "query"
        parts = [f"({self._sql(read.where)}\n)"] if read.where else []
        self.conditions = parts

    def _sql(self, text: str) -> str:
        return bind(render_sql(text.strip().rstrip(";"), self.context.variables), self.read.parameters)

    def columns(self) -> list[ReadColumn]:
        return read_columns(self.statements, self.source, self.read.columns)

    def keys(self) -> tuple[str, ...]:
        return catalogue.primary_key(self.statements, self.relation) if self.relation else ()

    @property
    def incremental(self) -> Incremental:
        assert self.read.incremental is not None, "checked in _check"
        return self.read.incremental

    def cursor_kind(self) -> Kind | None:
        """What the cursor column holds; None for types that have an order but no place in a position."""
        found = {column.name: column for column in catalogue.columns(self.statements, f"SELECT * FROM {self.source}")}
        name = self.incremental.column
        if name not in found:
            raise FatalError(
                Code.SCHEMA_MISMATCH,
                f'there is no column "{name}"; {nearest(name, found)}',
                operation="probe",
                object=self.name,
                hint="existing columns: " + ", ".join(found),
            )
        return _KINDS.get(NAMES.get(found[name].oid, ""))

    def known_kind(self) -> Kind:
        kind = self.cursor_kind()
        if kind is None:
            raise FatalError(
                Code.UNSUPPORTED,
                "a cursor must be a number, a text or a time",
                operation="probe",
                object=self.incremental.column,
                hint="name another column, or cast it in a query; known: " + ", ".join(get_args(Kind)),
            )
        return kind

    def cursor_sql(self, kind: Kind) -> str:
        """The cursor column, in the order that everybody agrees on."""
        name = quote_name(self.incremental.column)
        return f'{name} COLLATE "C"' if kind == "text" else name

    def by_xid(self, since: Mapping[str, Any] | None) -> bool:
        """Whether the window is one of transaction ids. One that began by values goes on so."""
        if self.relation is None or self.read.max_records is not None or "from" in (since or {}):
            return False
        return changes.applies(self.statements, self.relation)

    def where(self, *more: str) -> str:
        parts = [*self.conditions, *(part for part in more if part)]
        return " WHERE " + " AND ".join(parts) if parts else ""


class PostgresSource:
    """One database to read from. Every session is read-only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: psycopg.Connection[Any] | None = None

    def test(self) -> str:
        version = self._statements("test").value("SELECT current_setting('server_version')")
        return f"PostgreSQL {version} at {place(self._connection)}"

    def tables(self) -> list[str]:
        return catalogue.tables(self._statements("tables"))

    def identity(self, read: ReadOptions) -> tuple[str, str]:
        """The table's name (or the query's hash), and a fingerprint of what chooses its rows."""
        name = read.table or f"query {_digest(read.query)}"
        options = read.incremental
        chosen = {
            "where": read.where,
            "query": read.query,
            "parameters": read.parameters,
            "column": options.column if options else None,
            "key": options.key if options else None,
            "nulls": options.nulls if options else None,
        }
        return name, _digest(chosen)

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:  # noqa: ARG002
        subject = Subject(self._statements("schema"), read, context)
        return source_schema(subject.columns(), subject.keys())

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        with self._snapshot("probe") as statements:
            subject = Subject(statements, read, context)
            if read.mode == "full":
                return Window(identity=_interval(context), note="everything, in one snapshot", limit=read.max_records)
            if context.interval is not None:
                return _interval_window(subject, since)
            if subject.by_xid(since):
                return _xid_window(subject, since)
            return _value_window(subject, since)

    def scan(self, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
        subject = Subject(self._statements("scan"), read, context)
        columns = subject.columns()
        schema = source_schema(columns, subject.keys())
        snapshot = Snapshot(self._connection, subject.name)
        try:
            stream = partial(_stream, snapshot, subject, columns, schema, read.batch_size or context.batch_size)
            if read.mode == "full":
                order = f" LIMIT {window.limit}" if window.limit is not None else ""
                return Scan(schema, stream("", order), close=snapshot.close)
            if context.interval is not None:
                return Scan(schema, stream(_interval_condition(subject), ""), close=snapshot.close)
            if "xid" in window.high:
                return _scan_xid(snapshot, subject, schema, stream, window)
            return _scan_values(snapshot, subject, schema, stream, window)
        except BaseException:
            snapshot.close()
            raise

    def acknowledge(self, read: ReadOptions, position: Mapping[str, Any]) -> None:
        """Nothing to do: the server keeps no position for us."""

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _statements(self, operation: str) -> Statements:
        if self._session is None or self._session.closed:
            self._session = connect(self._connection, settings=SNAPSHOT)
        return Statements(self._session, operation, place(self._connection), Code.EXTRACTION_FAILED)

    @contextmanager
    def _snapshot(self, operation: str) -> Iterator[Statements]:
        """Several statements that see one state."""
        statements = self._statements(operation)
        with statements.connection.transaction():
            yield statements


def _check(read: ReadOptions) -> None:
    if (read.table is None) == (read.query is None):
        raise FatalError(Code.CONFIG_INVALID, "a PostgreSQL source has a table or a query", operation="source")
    if read.mode not in {"full", "incremental"}:
        raise FatalError(
            Code.UNSUPPORTED,
            f"PostgreSQL sources do not have mode: {read.mode}",
            operation="source",
            object=read.table or "query",
            hint="use mode: full or mode: incremental",
        )
    if read.mode == "incremental" and read.incremental is None:
        raise FatalError(
            Code.CONFIG_INVALID,
            "mode: incremental needs to know the column",
            operation="source",
            object=read.table or "query",
            hint="add incremental: {column: updated_at, key: id}",
        )


def _stream(
    snapshot: Snapshot,
    subject: Subject,
    columns: list[ReadColumn],
    schema: SourceSchema,
    batch_rows: int,
    condition: str,
    order: str,
) -> Any:
    select = f"SELECT {select_list(columns)} FROM {subject.source}{subject.where(condition)}{order}"
    return snapshot.stream(select, schema.raw, batch_rows)


# --------------------------------------------------------------------------------------- transaction ids


def _xid_window(subject: Subject, since: Mapping[str, Any] | None) -> Window | None:
    subject.cursor_kind()  # an unknown column is told before anything is compared
    moment = changes.now(subject.statements)
    low = (since or {}).get("xid")
    if since is not None and low is not None:
        changes.check(since, moment, subject.name)
        if low == moment.xid:
            return None
    condition = " AND ".join(part for part in (changes.condition(low, moment.xid), _start(subject, since)) if part)
    ignoring = _not_null(subject)
    exists = f"SELECT EXISTS (SELECT FROM {subject.source}{subject.where(condition, ignoring)})"
    if not subject.statements.value(exists):
        return None
    return Window(
        identity={"xid": [low, moment.xid]},
        since=since,
        high=moment.position((since or {}).get("value")),
        note=f"exact: rows changed by transactions {low or 'of any time'} up to {moment.xid}, whenever they committed",
    )


def _scan_xid(snapshot: Snapshot, subject: Subject, schema: SourceSchema, stream: Any, window: Window) -> Scan:
    kind = subject.cursor_kind()
    column = quote_name(subject.incremental.column)
    maximum = f"max({subject.cursor_sql(kind)})::text" if kind else "NULL"
    low, high = (window.since or {}).get("xid"), window.high["xid"]
    parts = [changes.condition(low, high), _start(subject, window.since)]
    count, nulls, highest = snapshot.rows(
        f"SELECT count(*), count(*) FILTER (WHERE {column} IS NULL), {maximum} FROM {subject.source}"
        + subject.where(*parts)
    )[0]
    if nulls and subject.incremental.nulls == "fail":
        raise Cursor(subject.incremental, kind or "text").null_cursor(nulls)
    batches = stream(" AND ".join(part for part in (*parts, _not_null(subject)) if part), "")
    value = _higher(kind, highest, (window.since or {}).get("value"), subject.incremental.column)
    position = {**window.high, "value": value}
    return Scan(schema, batches, position=lambda: position, close=snapshot.close, estimated_rows=count)


def _start(subject: Subject, since: Mapping[str, Any] | None) -> str:
    """The lower bound by value: on the first run, and after a position that was set by hand."""
    if since is not None and "xid" in since:
        return ""
    bound = (since or {}).get("value", subject.incremental.start)
    if bound is None:
        return ""
    kind = subject.known_kind()
    value = coerce(bound, kind, subject.incremental.column, Code.STATE_INVALID if since else Code.CONFIG_INVALID)
    column = subject.cursor_sql(kind)
    condition = f"{column} {'>' if since else '>='} {_render(value)}"
    return condition if subject.incremental.nulls == "ignore" else f"({condition} OR {column} IS NULL)"


def _not_null(subject: Subject) -> str:
    return f"{quote_name(subject.incremental.column)} IS NOT NULL" if subject.incremental.nulls == "ignore" else ""


def _higher(kind: Kind | None, new: str | None, old: str | None, column: str) -> str | None:
    """The cursor's highest value so far, for people."""
    if kind is None or new is None or old is None:
        return new if new is not None else old
    return max(new, old, key=lambda text: coerce(text, kind, column))


# ------------------------------------------------------------------------------------------------- values


def _cursor(subject: Subject, since: Mapping[str, Any] | None) -> Cursor:
    return Cursor(subject.incremental, subject.known_kind(), since, subject.read.max_records)


def _value_window(subject: Subject, since: Mapping[str, Any] | None) -> Window | None:
    cursor = _cursor(subject, since)
    column = subject.cursor_sql(cursor.kind)
    start = cursor.start_condition(column, _render)
    maximum, count, nulls = subject.statements.query(
        f"SELECT (SELECT max({column})::text FROM {subject.source}{subject.where()}),"
        f" (SELECT count(*) FROM {subject.source}{subject.where(start)}),"
        f" (SELECT count(*) FROM {subject.source}{subject.where(f'{column} IS NULL')})"
    )[0]
    found = Found(None if maximum is None else coerce(maximum, cursor.kind, subject.incremental.column), count, nulls)
    rows = partial(_edge_rows, subject, start) if subject.incremental.key else None
    return cursor.window(found, rows)


def _edge_rows(subject: Subject, start: str) -> list[tuple[Any, ...]]:
    """Cursor and key of the rows that the probe counted, as a scan delivers them."""
    column = subject.incremental.column
    names = [column, *(subject.incremental.key or ())]
    chosen = read_columns(subject.statements, subject.source, names)
    either = f"({start} OR {quote_name(column)} IS NULL)"
    return subject.statements.query(
        "SELECT " + ", ".join(item.expression for item in chosen) + f" FROM {subject.source}{subject.where(either)}"
    )


def _scan_values(snapshot: Snapshot, subject: Subject, schema: SourceSchema, stream: Any, window: Window) -> Scan:
    cursor = _cursor(subject, window.since)
    column = subject.cursor_sql(cursor.kind)
    order = ""
    if window.limit is not None:
        keys = [quote_name(key) for key in subject.incremental.key or ()]
        order = f" ORDER BY {', '.join([column, *keys])} LIMIT {cursor.rows_to_ask()}"
    delivery = cursor.deliver(stream(cursor.condition(column, _render, window), order), window)
    return Scan(schema, delivery.reader, position=delivery.position, close=snapshot.close)


def _render(value: Value) -> str:
    return literal(value)


# ---------------------------------------------------------------------------------------------- intervals


def _interval(context: ReadContext) -> dict[str, Any] | None:
    return {"interval": [context.interval.start, context.interval.end]} if context.interval else None


def _interval_window(subject: Subject, since: Mapping[str, Any] | None) -> Window:
    subject.known_kind()
    return Window(
        identity=_interval(subject.context),
        since=since,
        high=dict(since or {}),
        note=f"rows whose {subject.incremental.column} lies in the interval; the watermark stays",
    )


def _interval_condition(subject: Subject) -> str:
    interval, kind = subject.context.interval, subject.known_kind()
    assert interval is not None, "asked for intervals only"
    column = subject.cursor_sql(kind)
    start, end = (
        _render(coerce(text, kind, subject.incremental.column, Code.USAGE)) for text in (interval.start, interval.end)
    )
    return f"({column} >= {start} AND {column} < {end})"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
