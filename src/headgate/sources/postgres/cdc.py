"""Changes of a table by logical replication: a snapshot first, then what every committed transaction did to it.

The position is in the write-ahead log. It is committed with the rows; only then may the server forget what lies before
it. A run reads up to where the log was when it began, by looking (peek), so that one that fails changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from headgate.core.contracts import Scan, SourceSchema, Window
from headgate.core.errors import Code, FatalError
from headgate.io.postgres import Connection, slots
from headgate.io.postgres.changed_rows import CHANGE, ORDER, ChangedRows
from headgate.io.postgres.pgoutput import Decoder
from headgate.io.postgres.reading import Snapshot, select_list, source_schema
from headgate.io.postgres.types import ReadColumn, read_column
from headgate.sources.postgres.subject import Subject
from headgate.sources.postgres.waiting import Waiting

_SOON = 0.1
"""Seconds after which a run gets ready beside a server that still looks."""
MEGABYTE = 1_000_000


def names(subject: Subject) -> tuple[str, str]:
    """Slot and publication: those that are configured, or one of each for this pipeline and table."""
    options = subject.read.cdc
    own = slots.slot_name((subject.context.project, subject.context.pipeline, subject.name))
    return (options.slot if options and options.slot else own), (
        options.publication if options and options.publication else own
    )


def schema(subject: Subject) -> SourceSchema:
    """As a scan reads it, with what was done and in which order."""
    return source_schema(_reads(subject), _keys(subject))


def probe(subject: Subject, since: Mapping[str, Any] | None) -> tuple[Window | None, Waiting | None]:
    """Everything, the first time; then the changes up to where the log is now, which wait to be read."""
    _check(subject)
    slot, publication = names(subject)
    if since is None:
        slots.find(subject.statements, slot)
        return Window(None, note=f"everything in one snapshot; changes after it wait in the slot {slot}"), None
    low = _position(since, subject)
    found = slots.need(subject.statements, slot)
    if found.confirmed < low:
        slots.advance(subject.connection, slot, low)  # it was committed, and the server was not told
    high = slots.number(str(subject.statements.value("SELECT pg_current_wal_flush_lsn()::text")))
    if high <= low:
        return None, None
    waiting = Waiting(subject.connection, slot, publication, high, subject.name)
    with _ready_beside(subject):
        rows = waiting.count()
    if not rows:
        waiting.close()
        slots.advance(subject.connection, slot, high)  # what others did to other tables need not be kept
        return None, None
    behind = found.behind / MEGABYTE
    note = f"{rows} changes up to {slots.text(high)}; the slot {slot} ({found.status}) holds {behind:.0f} MB back"
    return Window({"slot": slot, "lsn": [low, high]}, since, {"lsn": high, "slot": slot}, note), waiting


@contextmanager
def _ready_beside(subject: Subject) -> Iterator[None]:
    """Where the server takes its time to look, the run gets ready meanwhile."""
    timer = threading.Timer(_SOON, subject.context.on_news)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def scan(subject: Subject, window: Window, batch_rows: int, waiting: Waiting | None) -> Scan:
    """``waiting``: what the probe of this window left open."""
    if window.since is None:
        return _snapshot(subject, batch_rows)
    return _changes(subject, window, waiting)


def acknowledge(connection: Connection, position: Mapping[str, Any]) -> None:
    """The server may forget what lies before the position: it is committed in the target."""
    if position.get("slot"):
        slots.advance(connection, str(position["slot"]), int(position["lsn"]))


# ------------------------------------------------------------------------------------------------------ snapshot


def _snapshot(subject: Subject, batch_rows: int) -> Scan:
    """All rows, as they were exactly where the slot begins."""
    found = schema(subject)
    select = f"SELECT {select_list(_reads(subject))} FROM {subject.source}"
    if subject.context.trial:
        snapshot = Snapshot(subject.connection, subject.name)
        return Scan(found, snapshot.stream(select, found.raw, batch_rows), close=snapshot.close, cancel=snapshot.cancel)
    slot, publication = names(subject)
    assert subject.relation is not None
    slots.publish(subject.connection, publication, subject.relation.quoted)
    with slots.created(subject.connection, slot) as (lsn, exported):
        snapshot = Snapshot(subject.connection, subject.name, exported)
    position = {"lsn": lsn, "slot": slot, "value": slots.text(lsn)}
    try:
        batches = snapshot.stream(select, found.raw, batch_rows)
    except BaseException:
        snapshot.close()
        raise
    return Scan(found, batches, position=lambda: position, close=snapshot.close, cancel=snapshot.cancel)


# ------------------------------------------------------------------------------------------------------- changes


def _changes(subject: Subject, window: Window, waiting: Waiting | None) -> Scan:
    import pyarrow as pa

    slot, publication = names(subject)
    low, high = int((window.since or {})["lsn"]), int(window.high["lsn"])
    if waiting is None or waiting.key != (slot, publication, high, subject.name):
        waiting = Waiting(subject.connection, slot, publication, high, subject.name)
        waiting.count()
    opened = [waiting]

    def again() -> tuple[Decoder, Iterator[bytes]]:
        more = Waiting(subject.connection, slot, publication, high, subject.name)
        opened.append(more)
        more.count()
        return Decoder(low), more.messages()

    rows = ChangedRows(subject.server_columns(), subject.keys(), subject.name, subject.context.lookup, again)
    decoder = Decoder(low)

    def close() -> None:
        rows.close()
        for each in opened:
            each.close()

    def position() -> Mapping[str, Any]:
        lsn = max(high, decoder.end)
        return {"lsn": lsn, "slot": slot, "value": slots.text(lsn)}

    reader = pa.RecordBatchReader.from_batches(rows.schema(), rows.batches(decoder, waiting.messages()))
    return Scan(schema(subject), reader, position=position, close=close, whole=bool(waiting.emptied))


# --------------------------------------------------------------------------------------------------------- parts


def _reads(subject: Subject) -> list[ReadColumn]:
    import pyarrow as pa

    own = [
        ReadColumn(CHANGE, "'insert'::text", pa.string()),
        ReadColumn(ORDER, "0::bigint", pa.int64()),
    ]
    return [*(read_column(column) for column in subject.server_columns()), *own]


def _keys(subject: Subject) -> tuple[str, ...]:
    return subject.keys()


def _position(since: Mapping[str, Any], subject: Subject) -> int:
    if "lsn" not in since:
        raise FatalError(
            Code.STATE_INVALID,
            "the stored position is none in the write-ahead log: it was set by hand, or by another mode",
            operation="probe",
            object=subject.name,
            hint="begin anew with: headgate run --full-refresh",
        )
    return int(since["lsn"])


def _check(subject: Subject) -> None:
    """Refuse what cannot be followed exactly."""
    if subject.context.interval is not None:
        raise _refused(subject, "changes have a place in the log and no time", "leave --date, --start and --end out")
    if subject.relation is None or subject.relation.kind not in {"r", "p"}:
        raise _refused(subject, "changes are those of a table", "name a table, not a view or a query")
    if subject.read.where is not None:
        raise _refused(
            subject,
            "a condition would miss rows that an update brings under it or takes from it",
            "filter where the target is read, or make a publication with a row filter and name it: cdc.publication",
        )
    keys = subject.keys()
    if not keys:
        raise _refused(subject, "the table has no primary key, so its rows cannot be told apart", "add one")
    chosen = subject.read.columns
    if chosen is not None and not set(keys) <= set(chosen):
        raise _refused(subject, "columns: leaves out a column of the primary key", f"add {', '.join(keys)}")
    identity = subject.statements.value(
        "SELECT relreplident::text FROM pg_catalog.pg_class WHERE oid = ?", (subject.relation.oid,)
    )
    if identity not in {"d", "f"}:
        raise _refused(
            subject,
            "the table's replica identity is not its primary key",
            f"ALTER TABLE {subject.relation.quoted} REPLICA IDENTITY DEFAULT",
        )


def _refused(subject: Subject, why: str, hint: str) -> FatalError:
    return FatalError(Code.UNSUPPORTED, why, operation="probe", object=subject.name, hint=hint)
