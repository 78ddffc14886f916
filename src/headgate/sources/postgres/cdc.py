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
from headgate.io.postgres import Connection, changes, slots
from headgate.io.postgres.changed_rows import CHANGE, ORDER, ChangedRows
from headgate.io.postgres.followed import Followed, followed, publish, version_of
from headgate.io.postgres.pgoutput import Decoder
from headgate.io.postgres.reading import Snapshot, select_list, source_schema
from headgate.io.postgres.types import ReadColumn, read_column
from headgate.sources.postgres import continuity
from headgate.sources.postgres.followable import (
    check_publication,
    check_read,
    check_table,
    own_slot,
    prepared,
)
from headgate.sources.postgres.subject import Subject
from headgate.sources.postgres.waiting import Waiting

_SOON = 0.1
"""Seconds after which a run gets ready beside a server that still looks."""
MEGABYTE = 1_000_000
OTHERS = 16 * 2**20
"""Bytes of log, a file of it, that may wait though they tell nothing of the table; then the position moves on."""


def names(subject: Subject) -> tuple[str, str]:
    """Slot and publication: those that are configured, or one of each for this pipeline and table."""
    options = subject.read.cdc
    parts = (subject.context.project, subject.context.pipeline, subject.name)
    own = slots.slot_name(parts, subject.statements.connection.info.dbname)
    return (options.slot if options and options.slot else own), (
        options.publication if options and options.publication else own
    )


def schema(subject: Subject) -> SourceSchema:
    """As a scan reads it, with what was done and in which order."""
    return source_schema(_reads(subject), _keys(subject))


def probe(
    subject: Subject, since: Mapping[str, Any] | None, made: set[tuple[str, ...]]
) -> tuple[Window | None, Waiting | None]:
    """Everything, the first time; then the changes up to where the log is now, which wait to be read.

    Looking moves the slot nowhere but to the position: that it is never ahead of it is how lost changes are found.
    ``made``: slots that earlier attempts of this process made.
    """
    check_read(subject)
    slot, publication = names(subject)
    facts = facts_of(subject, publication)
    check_table(subject, facts)
    if since is None:
        if not subject.context.trial:
            own_slot(subject, slot, made=_made(subject, slot, made))
            prepared(subject, publication, facts)
        return Window(None, note=f"everything in one snapshot; changes after it wait in the slot {slot}"), None
    moment = changes.now(subject.statements)
    high = slots.number(str(subject.statements.value("SELECT pg_current_wal_flush_lsn()::text")))
    continuity.check(subject, since, facts, moment, slot, high)
    check_publication(subject, publication, facts)
    continuity.same_publication(subject, since, facts)
    low = int(since["lsn"])
    found = slots.need(subject.statements, slot, low)
    if found.confirmed < low:
        slots.advance(subject.connection, slot, low)  # it was committed, and the server was not told
    if high <= low:
        return None, None
    waiting = Waiting(subject.connection, slot, publication, high, facts.oid, subject.name)
    with _ready_beside(subject):
        rows = waiting.count()
    try:
        continuity.same_parts(subject, since, facts, waiting.emptied_by)
    except BaseException:
        waiting.close()
        raise
    position = continuity.position(subject, facts, moment, slot, high)
    identity = {"slot": slot, "lsn": [low, high]}
    if not rows and not waiting.emptied:
        waiting.close()
        if high - low < OTHERS:
            return None, None
        note = f"nothing new; the slot {slot} holds {(high - low) / MEGABYTE:.0f} MB of other tables back"
        return Window(identity, since, position, note, idle=True), None
    behind = found.behind / MEGABYTE
    note = f"{rows} changes up to {slots.text(high)}; the slot {slot} ({found.status}) holds {behind:.0f} MB back"
    return Window(identity, since, position, note), waiting


def facts_of(subject: Subject, publication: str) -> Followed:
    """What the catalogue says of the table and its publication, in the probe's snapshot."""
    assert subject.relation is not None, "checked before"
    statements = subject.statements
    return followed(statements.query, subject.relation, publication, version_of(statements))


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


def scan(
    subject: Subject, window: Window, batch_rows: int, waiting: Waiting | None, made: set[tuple[str, ...]]
) -> Scan:
    """``waiting``: what the probe of this window left open; ``made``: slots that this process made."""
    if window.since is None:
        return _snapshot(subject, batch_rows, made)
    return _changes(subject, window, waiting)


def acknowledge(connection: Connection, position: Mapping[str, Any]) -> None:
    """The server may forget what lies before the position: it is committed in the target."""
    if position.get("slot"):
        slots.advance(connection, str(position["slot"]), int(position["lsn"]))


# ------------------------------------------------------------------------------------------------------ snapshot


def _snapshot(subject: Subject, batch_rows: int, made: set[tuple[str, ...]]) -> Scan:
    """All rows that the publication has, as they were exactly where the slot begins."""
    found = schema(subject)
    select = f"SELECT {select_list(_reads(subject))} FROM {subject.source}"
    if subject.context.trial:
        snapshot = Snapshot(subject.connection, subject.name)
        batches = snapshot.stream(select, found.raw, batch_rows)
        return Scan(found, batches, close=snapshot.close, cancel=snapshot.cancel, distinct=True)
    slot, publication = names(subject)
    assert subject.relation is not None
    check_read(subject)
    own_slot(subject, slot, made=_made(subject, slot, made))
    before = facts_of(subject, publication)
    if not prepared(subject, publication, before):
        publish(subject.connection, publication, subject.relation, anew=before.publication is not None)
    made.add(_place(subject, slot))
    moment, version = changes.now(subject.statements), version_of(subject.statements)
    with slots.created(subject.connection, slot) as (lsn, exported):
        subject.context.note(_note(slot), {"system": moment.system, "lsn": lsn})
        snapshot = Snapshot(subject.connection, subject.name, exported)
    try:
        facts = followed(snapshot.rows, subject.relation, publication, version)
        check_table(subject, facts)
        check_publication(subject, publication, facts)
        position = continuity.position(subject, facts, moment, slot, lsn)
        assert facts.publication is not None, "checked just now"
        filtered = f" WHERE {facts.publication.condition}" if facts.publication.condition else ""
        batches = snapshot.stream(select + filtered, found.raw, batch_rows)
    except BaseException:
        snapshot.close()
        raise
    return Scan(found, batches, position=lambda: position, close=snapshot.close, cancel=snapshot.cancel, distinct=True)


# ------------------------------------------------------------------------------------------------------- changes


def _changes(subject: Subject, window: Window, waiting: Waiting | None) -> Scan:
    import pyarrow as pa

    slot, publication = names(subject)
    low, high, oid = int((window.since or {})["lsn"]), int(window.high["lsn"]), int(window.high["table"])
    if waiting is None or waiting.key != (slot, publication, high, oid):
        waiting = Waiting(subject.connection, slot, publication, high, oid, subject.name)
        waiting.count()
    opened = [waiting]

    def again() -> tuple[Decoder, Iterator[bytes]]:
        more = Waiting(subject.connection, slot, publication, high, oid, subject.name)
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
        return {**window.high, "lsn": lsn, "value": slots.text(lsn)}

    reader = pa.RecordBatchReader.from_batches(rows.schema(), rows.batches(decoder, waiting.messages()))
    return Scan(
        schema(subject),
        reader,
        position=position,
        close=close,
        whole=bool(waiting.emptied),
    )


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


def _place(subject: Subject, slot: str) -> tuple[str, ...]:
    return (slot, subject.context.pipeline, subject.name)


def _note(slot: str) -> str:
    return f"replication slot {slot}"


def _made(subject: Subject, slot: str, made: set[tuple[str, ...]]) -> bool:
    """Whether the slot is this pipeline's: an earlier attempt made it, the position that is given up is in it, or a
    run that was killed noted it, and it still stands where it began: nobody has read it, or made it anew."""
    if _place(subject, slot) in made or (subject.context.given_up or {}).get("slot") == slot:
        return True
    found = slots.find(subject.statements, slot)
    noted = subject.context.noted(_note(slot)) if found is not None else None
    if found is None or noted is None:
        return False
    return noted == {"system": changes.now(subject.statements).system, "lsn": found.confirmed}
