"""A database as a source: tables, views and queries, in full, by cursor or by interval. Connectors give the reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from headgate.core.contracts import ReadContext, Scan, SourceSchema, Window
from headgate.core.errors import Code, FatalError
from headgate.core.grounds import Ground
from headgate.core.models import Incremental, ReadOptions
from headgate.io import comparing, table_reads
from headgate.io.cursor import Cursor, Found, need_delivered
from headgate.io.cursor_values import Kind, coerce, last_come
from headgate.io.narrowing import narrowed
from headgate.io.relational.columns import ReadColumn, chosen, no_column, source_schema
from headgate.io.relational.reader import Reader, Rows, SiftingReader, once, select_list
from headgate.io.relational.statements import user_sql
from headgate.io.sifting import Sifting, obstacle
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa


class RelationalSource:
    """One database to read from."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def test(self) -> str:
        return self._reader.test()

    def tables(self) -> list[str]:
        return self._reader.tables()

    def identity(self, read: ReadOptions) -> tuple[str, str]:
        return table_reads.identity(read)

    def narrowed(self, read: ReadOptions, column: str, values: Sequence[Any]) -> ReadOptions:
        """Rows whose column has one of the values."""
        return narrowed(read, column, values)

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:  # noqa: ARG002
        if read.mode in comparing.COMPARED:
            return comparing.schema(self, read, context)
        subject = Subject(self._reader, read, context)
        columns = subject.columns()
        if read.mode == "incremental" and context.interval is None:
            subject.need_cursor(columns)
        return replace(source_schema(columns, subject.keys()), ground=self._ground(read, context, columns))

    def _ground(self, read: ReadOptions, context: ReadContext, columns: Sequence[ReadColumn]) -> Ground:
        reader = self._reader
        if not isinstance(reader, SiftingReader):
            return Ground()
        values = ((column.name, reader.value(column)) for column in columns)
        known = {name: value for name, value in values if value is not None}
        return Ground(reader.dialect, known, obstacle(read, context))

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        if read.mode in comparing.COMPARED:
            return comparing.probe(read, context, since)
        subject = Subject(self._reader, read, context)
        if read.mode == "full":
            return Window(
                identity=table_reads.interval(context), note="everything, in one snapshot", limit=read.max_records
            )
        if context.interval is not None:
            kind = subject.cursor_column().kind
            assert kind is not None, "checked by cursor_column"
            note = f"rows whose {subject.incremental.column} lies in the interval; the watermark stays"
            return Window(identity=table_reads.interval(context), since=since, high=dict(since or {}), note=note)
        return subject.window(since)

    def scan(self, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
        if read.mode in comparing.COMPARED:
            return comparing.scan(self, read, context, window)
        return self.sifted(read, context, window, ())

    def sifted(self, read: ReadOptions, context: ReadContext, window: Window, keeps: Sequence[str]) -> Scan:
        """All rows of the window, or those that conditions keep."""
        subject = Subject(self._reader, read, context)
        columns = subject.columns()
        schema = source_schema(columns, subject.keys())
        batch_rows = read.batch_size or context.batch_size

        asked: list[str] = []
        if keeps:
            return self._sifted(subject, columns, batch_rows, keeps)

        def stream(
            condition: str = "", order: Sequence[str] = (), limit: int | None = None
        ) -> tuple[pa.RecordBatchReader, Callable[[], None]]:
            listed, rest = select_list(columns), f"FROM {subject.source}{subject.where(condition)}"
            select = f"SELECT {listed} {rest}" if limit is None else self._reader.limited(listed, rest, order, limit)
            asked.append(select)
            return self._reader.stream(select, columns, batch_rows, subject.name)

        if read.mode == "full":
            batches, close = stream(limit=window.limit)
        elif context.interval is not None:
            batches, close = stream(subject.inside(context))
        else:
            cursor = subject.cursor(window.since)
            condition = cursor.condition(subject.ordered(), self._reader.literal, window)
            if window.limit is None:
                batches, close = stream(condition)
            else:
                order = [subject.ordered(), *map(quote_name, subject.incremental.key or ())]
                batches, close = stream(condition, order, cursor.rows_to_ask())
            delivery = cursor.deliver(batches, window)
            return Scan(schema, delivery.reader, position=delivery.position, close=once(close), query=asked[0])
        return Scan(schema, batches, close=once(close), query=asked[0])

    def _sifted(self, subject: Subject, columns: Sequence[ReadColumn], batch_rows: int, keeps: Sequence[str]) -> Scan:
        reader = self._reader
        assert isinstance(reader, SiftingReader), "only its ground has conditions asked"
        sound = (reader.sound(column) for column in columns)
        sifting = Sifting(tuple(keeps), tuple(condition for condition in sound if condition is not None))
        within = subject.inside(subject.context) if subject.read.mode != "full" else ""
        rest = f"FROM {subject.source}"
        select = f"SELECT {select_list(columns)} {rest}{subject.where(within, sifting.condition())}"
        batches, close, left_out = reader.stream_counted(
            select, sifting.counts(), f"{rest}{subject.where(within)}", columns, batch_rows, subject.name
        )
        schema = source_schema(columns, subject.keys())
        return Scan(schema, batches, close=once(close), query=select, left_out=left_out)

    def acknowledge(self, read: ReadOptions, position: Mapping[str, Any]) -> None:
        """Nothing to do: the database keeps no position for us."""

    def close(self) -> None:
        self._reader.close()


class Subject:
    """What one read is about: relation, columns, condition, cursor."""

    def __init__(self, reader: Reader, read: ReadOptions, context: ReadContext) -> None:
        table_reads.check(reader.product, read)
        self._reader, self.read, self.context = reader, read, context
        self.name = read.table or "query"
        if read.table is not None:
            self.source = reader.relation(read.table, "probe")
        else:
            self.source = f"({self._sql(read.query or '')}\n) AS q"
        self._condition = f"({self._sql(read.where)}\n)" if read.where else ""
        self._columns: list[ReadColumn] | None = None

    def _sql(self, text: str) -> str:
        return user_sql(text, self.context.variables, self.read.parameters, self._reader.literal)

    def _all(self) -> list[ReadColumn]:
        if self._columns is None:
            self._columns = self._reader.columns(self.source, self.read.table)
        return self._columns

    def columns(self) -> list[ReadColumn]:
        return chosen(self._all(), self.read.columns, self.name)

    def keys(self) -> tuple[str, ...]:
        return self._reader.keys(self.read.table) if self.read.table else ()

    def where(self, *more: str) -> str:
        parts = [part for part in (self._condition, *more) if part]
        return " WHERE " + " AND ".join(parts) if parts else ""

    # ------------------------------------------------------------------------------------------- the cursor

    @property
    def incremental(self) -> Incremental:
        assert self.read.incremental is not None, "checked in _check"
        return self.read.incremental

    def cursor_column(self) -> ReadColumn:
        """The cursor column. Raises FatalError SCHEMA_MISMATCH, or UNSUPPORTED when it cannot be one."""
        name = self.incremental.column
        known = {column.name: column for column in self._all()}
        if name not in known:
            raise no_column(name, known, "probe", self.name)
        if known[name].kind is None:
            raise FatalError(
                Code.UNSUPPORTED,
                "a cursor must be a number, a text or a time",
                operation="probe",
                object=name,
                hint="name another column, or cast it in a query; known: " + ", ".join(get_args(Kind)),
            )
        return known[name]

    def need_cursor(self, delivered: Sequence[ReadColumn]) -> None:
        """Raise FatalError for a column that says what is new, or tells rows apart, and is not there or not read."""
        wanted = (self.cursor_column().name, *(self.incremental.key or ()))
        chosen(self._all(), wanted, self.name)
        need_delivered(wanted, [column.name for column in delivered])

    def cursor(self, since: Mapping[str, Any] | None) -> Cursor:
        kind = self.cursor_column().kind
        assert kind is not None, "checked by cursor_column"
        return Cursor(self.incremental, kind, since, self.read.max_records)

    def ordered(self) -> str:
        column = self.cursor_column()
        assert column.kind is not None, "checked by cursor_column"
        return self._reader.order(column.name, column.kind)

    def window(self, since: Mapping[str, Any] | None) -> Window | None:
        """Highest cursor first, open transactions then: what commits in between is still seen by the scan."""
        cursor, column = self.cursor(since), self.incremental.column
        found, closed = self._come(cursor, self._found(cursor, ""))
        looked_at = self.where(cursor.start_condition(self.ordered(), self._reader.literal))
        oldest, note = self._reader.before_open(column, cursor.kind, Rows(self.source, looked_at, self.read.table))
        if oldest is not None and found.maximum is not None:
            edge = coerce(oldest, cursor.kind, column)
            if edge <= found.maximum:  # type: ignore[operator]  # one kind
                closed = f"{self.ordered()} < {self._reader.literal(edge)}"
                found = replace(self._found(cursor, closed), ahead=found.ahead)
        rows = partial(self._edge, cursor, closed) if self.incremental.key else None
        window = cursor.window(found, rows)
        return None if window is None else replace(window, note=f"{window.note}; {note}" if note else window.note)

    def _come(self, cursor: Cursor, found: Found) -> tuple[Found, str]:
        """What was found without the rows whose time has not come, and the condition that leaves them out."""
        if cursor.kind not in ("timestamptz", "timestamp", "date") or found.maximum is None:
            return found, ""
        last = last_come(cursor.kind, self._reader.now())
        if last is None or found.maximum <= last:  # type: ignore[operator]  # one kind
            return found, ""
        come = f"({self.ordered()} <= {self._reader.literal(last)})"
        ((ahead,),) = self._reader.rows(f"SELECT count(*) FROM {self.source}{self.where(f'NOT {come}')}")
        return replace(self._found(cursor, come), ahead=int(ahead)), come

    def _found(self, cursor: Cursor, closed: str) -> Found:
        ordered, column = self.ordered(), self.cursor_column()
        start = cursor.start_condition(ordered, self._reader.literal)
        shown = column.expression if column.kind != "text" else ordered
        ((maximum, count, nulls),) = self._reader.rows(
            f"SELECT (SELECT {_maximum(shown, ordered)} FROM {self.source}{self.where(closed)}),"
            f" (SELECT count(*) FROM {self.source}{self.where(start, closed)}),"
            f" (SELECT count(*) FROM {self.source}{self.where(f'{ordered} IS NULL')})"
        )
        highest = None if maximum is None else coerce(maximum, cursor.kind, column.name)
        return Found(highest, int(count), int(nulls))

    def _edge(self, cursor: Cursor, closed: str) -> list[tuple[Any, ...]]:
        """Cursor and key of the rows that the probe counted, as a scan delivers them."""
        start = cursor.start_condition(self.ordered(), self._reader.literal)
        names = [self.incremental.column, *(self.incremental.key or ())]
        columns = chosen(self._all(), names, self.name)
        either = f"({start}{' AND ' + closed if closed else ''} OR {quote_name(names[0])} IS NULL)"
        return self._reader.rows(f"SELECT {select_list(columns)} FROM {self.source}{self.where(either)}")

    def inside(self, context: ReadContext) -> str:
        interval, kind = context.interval, self.cursor_column().kind
        assert interval is not None, "asked for intervals only"
        assert kind is not None, "checked by cursor_column"

        def bound(text: str) -> str:
            return self._reader.literal(coerce(text, kind, self.incremental.column, Code.USAGE))

        return f"({self.ordered()} >= {bound(interval.start)} AND {self.ordered()} < {bound(interval.end)})"


def _maximum(shown: str, ordered: str) -> str:
    """The highest value, in the form in which it is delivered: max before the cast, so that numbers compare as such."""
    return shown.replace(ordered, f"max({ordered})") if ordered in shown else f"max({ordered})"
