"""One database to read from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import ReadContext, Scan, SourceSchema, Window
from headgate.core.errors import Code
from headgate.core.models import ReadOptions
from headgate.core.sites import Outlet, Site
from headgate.io import comparing, table_reads
from headgate.io.narrowing import narrowed
from headgate.io.postgres import Connection, Statements, catalogue, connect, sifting
from headgate.io.postgres.connection import place
from headgate.io.postgres.outlet import PostgresOutlet, proved, site_of
from headgate.io.postgres.ranges import Ranges
from headgate.io.postgres.reading import SNAPSHOT, Snapshot, select_list, source_schema
from headgate.io.postgres.types import ReadColumn
from headgate.io.sifting import obstacle, unseen
from headgate.sources.postgres import cdc, windows
from headgate.sources.postgres.subject import Subject
from headgate.sources.postgres.waiting import Waiting

if TYPE_CHECKING:
    import psycopg


class PostgresSource:
    """One database to read from. Every session is read-only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: psycopg.Connection[Any] | None = None
        self._waiting: Waiting | None = None
        self._made: set[tuple[str, ...]] = set()

    def test(self) -> str:
        version = self._statements("test").value("SELECT current_setting('server_version')")
        return f"PostgreSQL {version} at {place(self._connection)}"

    def tables(self) -> list[str]:
        return catalogue.tables(self._statements("tables"))

    def identity(self, read: ReadOptions) -> tuple[str, str]:
        return table_reads.identity(read)

    def narrowed(self, read: ReadOptions, column: str, values: Sequence[Any]) -> ReadOptions:
        """Rows whose column has one of the values."""
        return narrowed(read, column, values)

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:
        if read.mode in comparing.COMPARED:
            return comparing.schema(self, read, context)
        subject = Subject(self._statements("schema"), read, context, self._connection)
        if read.mode == "cdc":
            return cdc.schema(subject)
        columns = subject.columns()
        if read.mode == "incremental":
            subject.need_cursor(since)
        found = source_schema(columns, subject.keys())
        hindered = obstacle(read, context) or ("several sessions read it" if subject.ranged else "")
        return replace(
            found, ground=sifting.ground(subject.server_columns(), hindered, ordered=not subject.statements.unordered())
        )

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        if read.mode in comparing.COMPARED:
            return comparing.probe(read, context, since)
        with self._snapshot("probe") as statements:
            subject = Subject(statements, read, context, self._connection)
            if read.mode == "full":
                note = f"everything, in one snapshot{_sessions(subject)}"
                return Window(identity=windows.interval_of(context), note=note, limit=read.max_records)
            if read.mode == "cdc":
                self._forget()
                window, self._waiting = cdc.probe(subject, since, self._made)
                return window
            if context.interval is not None:
                found: Window | None = windows.interval_window(subject, since)
            elif subject.by_xid(since):
                found = windows.xid_window(subject, since)
            else:
                found = windows.value_window(subject, since)
            return None if found is None else replace(found, note=found.note + _sessions(subject))

    def scan(self, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
        if read.mode in comparing.COMPARED:
            return comparing.scan(self, read, context, window)
        return self.sifted(read, context, window, ())

    def sifted(self, read: ReadOptions, context: ReadContext, window: Window, keeps: Sequence[str]) -> Scan:
        """All rows of the window, or those that conditions keep."""
        subject = Subject(self._statements("scan"), read, context, self._connection)
        if read.mode == "cdc":
            waiting, self._waiting = self._waiting, None  # the scan ends it
            return cdc.scan(subject, window, read.batch_size or context.batch_size, waiting, self._made)
        columns = subject.columns()
        schema = source_schema(columns, subject.keys())
        size = read.batch_size or context.batch_size
        if subject.ranged and window.limit is None:
            return _ranges(subject, columns, schema, size)
        snapshot, asked = Snapshot(self._connection, subject.name), list[str]()
        try:
            left_out: Sequence[int] = ()
            if keeps:
                wanted = sifting.sifting(keeps, subject.server_columns())
                within = windows.interval_condition(subject) if read.mode != "full" else ""
                counting = f"SELECT {', '.join(wanted.counts())} FROM {subject.source}{subject.where(within)}"
                left_out = [int(count) for count in snapshot.rows(counting)[0]]
                subject.conditions.append(wanted.condition())
            found = self._opened(
                snapshot, subject, window, schema, partial(_stream, snapshot, subject, columns, schema, size, asked)
            )
            found.left_out = lambda: left_out
        except BaseException:
            snapshot.close()
            raise
        found.query = asked[0]
        return found

    def _opened(self, snapshot: Snapshot, subject: Subject, window: Window, schema: SourceSchema, stream: Any) -> Scan:
        if subject.read.mode == "full":
            order = f" LIMIT {window.limit}" if window.limit is not None else ""
            return Scan(schema, stream("", order), close=snapshot.close, cancel=snapshot.cancel)
        if subject.context.interval is not None:
            return Scan(
                schema, stream(windows.interval_condition(subject), ""), close=snapshot.close, cancel=snapshot.cancel
            )
        if "xid" in window.high:
            return windows.scan_xid(snapshot, subject, schema, stream, window)
        return windows.scan_values(snapshot, subject, schema, stream, window)

    def site(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Site:
        plain = comparing.full(read) if read.mode in comparing.COMPARED else read
        subject = Subject(self._statements("plan"), plain, context, self._connection)
        hindered = unseen(read, context)
        if read.mode == "incremental" and read.max_records is None and hindered and subject.by_xid(since):
            hindered = ""
        return site_of(self._connection, subject.server_columns(), hindered, subject.statements.unordered())

    def outlet(
        self,
        read: ReadOptions,
        context: ReadContext,
        window: Window,
        columns: Sequence[str],
        looked_at: Collection[str] | None = None,
    ) -> Outlet:
        subject = Subject(self._statements("scan"), read, context, self._connection)
        condition = ""
        if read.mode != "full" and context.interval is not None:
            condition = windows.interval_condition(subject)
        elif read.mode != "full":
            condition = windows.xid_condition(subject, window)

        def position(statements: Statements) -> Mapping[str, Any]:
            if "xid" in window.high and context.interval is None:
                return windows.read_xid(statements.query, subject, window)[1]
            return window.high

        found = [column for column in subject.server_columns() if not columns or column.name in columns]
        if looked_at is not None and read.incremental is not None:
            looked_at = {*looked_at, subject.incremental.column}
        relation = proved(subject.source, subject.where(condition), found, looked_at)
        return PostgresOutlet(self._connection, subject.name, relation, found, position)

    def acknowledge(self, read: ReadOptions, position: Mapping[str, Any]) -> None:
        """The server keeps a position for those who follow its changes only."""
        if read.mode == "cdc":
            cdc.acknowledge(self._connection, position)

    def close(self) -> None:
        self._forget()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _forget(self) -> None:
        """Leave what a probe found waiting unread."""
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def _statements(self, operation: str) -> Statements:
        if self._session is None or self._session.closed:
            self._session = connect(self._connection, settings=SNAPSHOT)
        return Statements(self._session, operation, place(self._connection), Code.EXTRACTION_FAILED)

    @contextmanager
    def _snapshot(self, operation: str) -> Iterator[Statements]:
        """Several statements that see one state."""
        statements = self._statements(operation)
        with statements.transaction():
            yield statements


def _sessions(subject: Subject) -> str:
    """What becomes of the wish for several sessions, for the plan."""
    read = subject.read
    if read.parallel == 1:
        return ""
    if subject.ranged and read.max_records is None:
        return f"; by up to {read.parallel} sessions, where rows go through the engine"
    return "; by one session: parallel is for tables that are read in full"


def _ranges(subject: Subject, columns: list[ReadColumn], schema: SourceSchema, batch_rows: int) -> Scan:
    """All rows, by several sessions that see one state."""
    assert subject.relation is not None
    ranges = Ranges(subject.connection, subject.relation, subject.read.parallel)

    def select(condition: str) -> str:
        return f"SELECT {select_list(columns)} FROM {subject.source}{subject.where(condition)}"

    try:
        return Scan(
            schema,
            ranges.stream(select, schema.raw, batch_rows),
            close=ranges.close,
            query=select(""),
            cancel=ranges.cancel,
        )
    except BaseException:
        ranges.close()
        raise


def _stream(
    snapshot: Snapshot,
    subject: Subject,
    columns: list[ReadColumn],
    schema: SourceSchema,
    batch_rows: int,
    asked: list[str],
    condition: str,
    order: str,
) -> Any:
    select = f"SELECT {select_list(columns)} FROM {subject.source}{subject.where(condition)}{order}"
    asked.append(select)
    return snapshot.stream(select, schema.raw, batch_rows)
