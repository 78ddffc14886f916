"""What is new in a table: windows by transaction ids, by values of the cursor, and by intervals of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from headgate.core.contracts import ReadContext, Scan, SourceSchema, Window
from headgate.core.errors import Code
from headgate.io.cursor import Cursor, Found
from headgate.io.cursor_values import Kind, Value, coerce
from headgate.io.postgres import changes
from headgate.io.postgres.reading import Snapshot, read_columns
from headgate.sources.postgres.subject import Subject
from headgate.sql.literals import literal, quote_name

# --------------------------------------------------------------------------------------- transaction ids


def xid_window(subject: Subject, since: Mapping[str, Any] | None) -> Window | None:
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


def scan_xid(snapshot: Snapshot, subject: Subject, schema: SourceSchema, stream: Any, window: Window) -> Scan:
    count, position = read_xid(snapshot.rows, subject, window)
    batches = stream(xid_condition(subject, window), "")
    return Scan(
        schema, batches, position=lambda: position, close=snapshot.close, cancel=snapshot.cancel, estimated_rows=count
    )


def read_xid(
    rows: Callable[[str], list[tuple[Any, ...]]], subject: Subject, window: Window
) -> tuple[int, Mapping[str, Any]]:
    """How many rows a window has, and its final position. Raises FatalError for NULL cursors that are to fail."""
    kind = subject.cursor_kind()
    column = quote_name(subject.incremental.column)
    maximum = f"max({subject.cursor_sql(kind)})::text" if kind else "NULL"
    count, nulls, highest = rows(
        f"SELECT count(*), count(*) FILTER (WHERE {column} IS NULL), {maximum} FROM {subject.source}"
        + subject.where(*_changed(subject, window))
    )[0]
    if nulls and subject.incremental.nulls == "fail":
        raise Cursor(subject.incremental, kind or "text").null_cursor(nulls)
    value = _higher(kind, highest, (window.since or {}).get("value"), subject.incremental.column)
    return count, {**window.high, "value": value}


def xid_condition(subject: Subject, window: Window) -> str:
    return " AND ".join(part for part in (*_changed(subject, window), _not_null(subject)) if part)


def _changed(subject: Subject, window: Window) -> list[str]:
    low, high = (window.since or {}).get("xid"), window.high["xid"]
    return [changes.condition(low, high), _start(subject, window.since)]


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


def value_window(subject: Subject, since: Mapping[str, Any] | None) -> Window | None:
    cursor = _cursor(subject, since)
    column = subject.cursor_sql(cursor.kind)
    start = cursor.start_condition(column, _render)
    come = _come(column, cursor.kind)
    maximum, count, nulls, ahead = subject.statements.query(
        f"SELECT (SELECT max({column})::text FROM {subject.source}{subject.where(come)}),"
        f" (SELECT count(*) FROM {subject.source}{subject.where(start, come)}),"
        f" (SELECT count(*) FROM {subject.source}{subject.where(f'{column} IS NULL')}),"
        + (f" (SELECT count(*) FROM {subject.source}{subject.where(f'NOT {come}')})" if come else " 0")
    )[0]
    highest = None if maximum is None else coerce(maximum, cursor.kind, subject.incremental.column)
    found = Found(highest, count, nulls, ahead)
    rows = partial(_edge_rows, subject, start) if subject.incremental.key else None
    return cursor.window(found, rows)


def _come(column: str, kind: Kind) -> str:
    """SQL for times that have come, by the server's clock: what has no zone may be in any, up to 14 hours ahead."""
    match kind:
        case "timestamptz":
            return f"({column} <= now())"
        case "timestamp":
            return f"({column} <= now() AT TIME ZONE 'UTC' + interval '14 hours')"
        case "date":
            return f"({column} <= (now() AT TIME ZONE 'UTC' + interval '14 hours')::date)"
        case _:
            return ""


def _edge_rows(subject: Subject, start: str) -> list[tuple[Any, ...]]:
    """Cursor and key of the rows that the probe counted, as a scan delivers them."""
    column = subject.incremental.column
    names = [column, *(subject.incremental.key or ())]
    chosen = read_columns(subject.statements, subject.source, names)
    come = _come(subject.cursor_sql(subject.known_kind()), subject.known_kind())
    either = f"({start}{f' AND {come}' if come else ''} OR {quote_name(column)} IS NULL)"
    return subject.statements.query(
        "SELECT " + ", ".join(item.expression for item in chosen) + f" FROM {subject.source}{subject.where(either)}"
    )


def scan_values(snapshot: Snapshot, subject: Subject, schema: SourceSchema, stream: Any, window: Window) -> Scan:
    cursor = _cursor(subject, window.since)
    column = subject.cursor_sql(cursor.kind)
    order = ""
    if window.limit is not None:
        keys = [quote_name(key) for key in subject.incremental.key or ()]
        order = f" ORDER BY {', '.join([column, *keys])} LIMIT {cursor.rows_to_ask()}"
    delivery = cursor.deliver(stream(cursor.condition(column, _render, window), order), window)
    return Scan(schema, delivery.reader, position=delivery.position, close=snapshot.close, cancel=snapshot.cancel)


def _render(value: Value) -> str:
    return literal(value)


# ---------------------------------------------------------------------------------------------- intervals


def interval_of(context: ReadContext) -> dict[str, Any] | None:
    return {"interval": [context.interval.start, context.interval.end]} if context.interval else None


def interval_window(subject: Subject, since: Mapping[str, Any] | None) -> Window:
    subject.known_kind()
    return Window(
        identity=interval_of(subject.context),
        since=since,
        high=dict(since or {}),
        note=f"rows whose {subject.incremental.column} lies in the interval; the watermark stays",
    )


def interval_condition(subject: Subject) -> str:
    interval, kind = subject.context.interval, subject.known_kind()
    assert interval is not None, "asked for intervals only"
    column = subject.cursor_sql(kind)
    start, end = (
        _render(coerce(text, kind, subject.incremental.column, Code.USAGE)) for text in (interval.start, interval.end)
    )
    return f"({column} >= {start} AND {column} < {end})"
