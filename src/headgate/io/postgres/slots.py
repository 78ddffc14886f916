"""Logical replication slots: made with a snapshot that begins where they do, watched, and moved on after commits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headgate.core.errors import Code, FatalError, RetriableError
from headgate.io.postgres.connection import Connection, connect, driver, place
from headgate.io.postgres.errors import explained
from headgate.io.postgres.statements import Statements
from headgate.sql.literals import quote_name, quote_text

LONGEST = 63


@dataclass(frozen=True)
class Slot:
    """A slot as the server has it. ``behind``: bytes of WAL that it holds back."""

    name: str
    confirmed: int
    active: bool
    status: str
    behind: int


def slot_name(parts: tuple[str, ...]) -> str:
    """A name for what belongs together, as the server allows it, the same at every run."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_")
    return f"headgate_{readable}"[: LONGEST - 9] + f"_{digest}"


def find(statements: Statements, name: str) -> Slot | None:
    """The slot. Raises FatalError UNSUPPORTED when the server keeps no logical changes."""
    level = statements.value("SELECT current_setting('wal_level')")
    if level != "logical":
        raise FatalError(
            Code.UNSUPPORTED,
            f"the server keeps no changes to read: its wal_level is {level}",
            operation="probe",
            object=name,
            hint="set wal_level = logical and restart the server, or use mode: incremental",
        )
    rows = statements.query(
        "SELECT slot_name, coalesce(confirmed_flush_lsn - '0/0', 0)::bigint, active, coalesce(wal_status, 'lost'),"
        " coalesce(pg_current_wal_flush_lsn() - restart_lsn, 0)::bigint"
        " FROM pg_catalog.pg_replication_slots WHERE slot_name = ? AND database = current_database()",
        (name,),
    )
    return Slot(*rows[0]) if rows else None


def need(statements: Statements, name: str) -> Slot:
    """The slot, healthy. Raises FatalError STATE_INVALID when changes are gone, RetriableError when it is in use."""
    found = find(statements, name)
    if found is None or found.status == "lost":
        what = "was dropped" if found is None else "fell too far behind, and the server gave up its changes"
        raise FatalError(
            Code.STATE_INVALID,
            f'the replication slot "{name}" {what}: what changed since the last run is not known',
            operation="probe",
            object=name,
            hint="begin anew with: headgate run --full-refresh; raise max_slot_wal_keep_size if it fell behind",
        )
    if found.active:
        raise RetriableError(
            Code.CONFLICT,
            f'somebody else reads the replication slot "{name}" just now',
            operation="probe",
            object=name,
            hint="each pipeline needs a slot of its own: cdc: {slot: name}",
        )
    return found


def publish(connection: Connection, name: str, table: str) -> None:
    """Make sure that the publication is there and has the table."""
    session = connect(connection)
    try:
        statements = Statements(session, "scan", name, Code.EXTRACTION_FAILED)
        if not statements.value("SELECT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = ?)", (name,)):
            statements.execute(f"CREATE PUBLICATION {quote_name(name)} FOR TABLE {table}")
    finally:
        session.close()


@contextmanager
def created(connection: Connection, name: str) -> Iterator[tuple[int, str]]:
    """Make the slot anew; where it begins, and the name of the snapshot of just there, which lives as long as this.

    A slot of this name that is there was left by a run that never published.
    """
    library = driver()
    before = connect(connection)
    try:
        statements = Statements(before, "scan", name, Code.EXTRACTION_FAILED)
        if find(statements, name) is not None:
            statements.query("SELECT pg_drop_replication_slot(?)", (name,))
    finally:
        before.close()
    session = connect(connection, replication=True)
    try:
        with explained("scan", name, Code.EXTRACTION_FAILED), library.ClientCursor(session) as cursor:
            # the protocol of replication takes no parameters; the name has letters, digits and underscores only
            row = cursor.execute(f"CREATE_REPLICATION_SLOT {name} LOGICAL pgoutput (SNAPSHOT 'export')").fetchone()
        assert row is not None, "the server answers with one row"
        yield number(row[1]), str(row[2])
    finally:
        session.close()


def advance(connection: Connection, name: str, lsn: int) -> None:
    """Tell the server that what lies before ``lsn`` is not needed any more; nothing if it knows."""
    session = connect(connection)
    try:
        statements = Statements(session, "acknowledge", place(connection))
        found = find(statements, name)
        if found is not None and found.status != "lost" and found.confirmed < lsn:
            statements.query("SELECT pg_replication_slot_advance(?, ?::pg_lsn)", (name, text(lsn)))
    finally:
        session.close()


def peek(slot: str, publication: str, until: int) -> str:
    """SQL for the messages of all transactions that the slot has not moved past, up to ``until``."""
    return (
        f"pg_catalog.pg_logical_slot_peek_binary_changes({quote_text(slot)}, {quote_text(text(until))}, NULL,"
        f" 'proto_version', '1', 'publication_names', {quote_text(quote_name(publication))})"
    )


def number(lsn: str) -> int:
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def text(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
