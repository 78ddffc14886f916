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
PLUGIN = "pgoutput"


@dataclass(frozen=True)
class Slot:
    """A slot as the server has it.

    Args:
        behind: bytes of WAL that it holds back.
        plugin: what turns the log into messages; "" for slots of standby servers.
        database: whose changes it has, and whether that is the session's own (``here``).
        reason: why the server gave it up, in its own word; "" where it does not say.
    """

    name: str
    confirmed: int
    active: bool
    status: str
    behind: int
    plugin: str
    database: str
    here: bool
    reason: str

    @property
    def ours(self) -> bool:
        """Whether it is one that headgate could have made."""
        return self.here and self.plugin == PLUGIN


def slot_name(parts: tuple[str, ...], database: str = "") -> str:
    """A name for what belongs together, as the server allows it, the same at every run.

    All databases of a server share its slots, so the database is part of the digest.
    """
    digest = hashlib.sha256("\0".join((*parts, database)).encode()).hexdigest()[:8]
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
        " coalesce(pg_current_wal_flush_lsn() - restart_lsn, 0)::bigint, coalesce(plugin, ''),"
        " coalesce(database, ''), coalesce(database = current_database(), false),"
        " coalesce(to_jsonb(s) ->> 'invalidation_reason', '')"
        " FROM pg_catalog.pg_replication_slots s WHERE slot_name = ?",
        (name,),
    )
    return Slot(*rows[0]) if rows else None


def need(statements: Statements, name: str, position: int) -> Slot:
    """The slot, healthy and not ahead of the position.

    Raises:
        FatalError: STATE_INVALID when changes after the position are gone.
        RetriableError: CONFLICT when somebody reads it.
    """
    found = find(statements, name)
    why = _gone(found, position)
    if why:
        raise FatalError(
            Code.STATE_INVALID,
            f'the replication slot "{name}" {why[0]}: what changed since the last run is not known',
            operation="probe",
            object=name,
            hint=f"begin anew with: headgate run --full-refresh{why[1]}",
        )
    assert found is not None, "else it were gone"
    free(found)
    return found


def free(slot: Slot) -> None:
    """Refuse a slot that somebody reads at this moment. Raises RetriableError CONFLICT."""
    if slot.active:
        raise RetriableError(
            Code.CONFLICT,
            f'somebody else reads the replication slot "{slot.name}" just now',
            operation="probe",
            object=slot.name,
            hint="each pipeline needs a slot of its own: cdc: {slot: name}",
        )


def _gone(found: Slot | None, position: int) -> tuple[str, str] | None:
    """Why a slot has not all changes after the position, and what to add to the hint; None if it has."""
    if found is None:
        return "was dropped", ""
    if not found.ours:
        return f"is another one now ({found.plugin or 'physical'}, database {found.database or 'none'})", ""
    if found.status == "lost":
        if found.reason not in {"", "wal_removed"}:
            return f"was given up by the server ({found.reason})", ""
        return (
            "fell too far behind, and the server gave up its changes",
            "; raise max_slot_wal_keep_size if it fell behind",
        )
    if found.confirmed > position:
        places = f"stands at {text(found.confirmed)}, and the target at {text(position)}, before it"
        return (
            f"{places}: somebody else read the slot, or the target was restored from a backup",
            "; each pipeline and each target needs a slot of its own: cdc: {slot: name}",
        )
    return None


@contextmanager
def created(connection: Connection, name: str) -> Iterator[tuple[int, str]]:
    """Make the slot anew; where it begins, and the name of the snapshot of just there, which lives as long as this.

    A slot of this name that is there is dropped: the caller knows that it is its own.
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
            try:
                row = cursor.execute(f"CREATE_REPLICATION_SLOT {name} LOGICAL {PLUGIN} (SNAPSHOT 'export')").fetchone()
            except library.errors.LockNotAvailable:
                raise _kept_waiting(connection, name) from None
        assert row is not None, "the server answers with one row"
        yield number(row[1]), str(row[2])
    finally:
        session.close()


def _kept_waiting(connection: Connection, name: str) -> RetriableError:
    return RetriableError(
        Code.CONFLICT,
        "the slot can begin once every transaction that was open has ended, and one did not within"
        f" {connection.lock_timeout.total_seconds():g} seconds",
        operation="scan",
        object=name,
        hint="SELECT pid, xact_start, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL shows them, those of"
        " other databases too; wait for them, or raise lock_timeout of the connection",
    )


def ended(connection: Connection, timeline: int, now: int) -> int | None:
    """Where the log left a timeline on its way to that of now; None if it was never on it."""
    session = connect(connection, replication=True)
    try:
        with explained("probe", f"timeline {now}", Code.EXTRACTION_FAILED):
            row = driver().ClientCursor(session).execute(f"TIMELINE_HISTORY {now:d}").fetchone()
    finally:
        session.close()
    assert row is not None, "the server answers with one row"
    history = row[1].decode() if isinstance(row[1], bytes) else str(row[1])
    for line in history.splitlines():
        parts = line.split()
        if len(parts) > 1 and parts[0] == str(timeline):
            return number(parts[1])
    return None


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
