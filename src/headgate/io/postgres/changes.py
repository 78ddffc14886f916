"""What changed in a table since the last run, exactly: a half-open window of transaction ids.

``pg_snapshot_xmin`` is the oldest transaction that still runs: all below it have ended. A run reads the rows whose
``xmin`` lies in [last run's, this run's), in a later snapshot. Rows of transactions that were open, of savepoints and
of prepared transactions have an ``xmin`` at or above it and belong to a later window, whenever they commit.

``xmin`` has 32 bits, so it is compared by age; that is unambiguous while a window is shorter than 2**31 transactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.core.errors import RESET, Code, FatalError, HeadgateError
from headgate.io.postgres.catalogue import Relation
from headgate.io.postgres.statements import Statements

HALF = 2**31
_MASK = 2**32 - 1


@dataclass(frozen=True)
class Moment:
    """Where a server stands: its identity, and the oldest transaction that has not ended."""

    xid: int
    system: str
    timeline: int

    def position(self, value: str | None) -> dict[str, Any]:
        """What the next run gets; ``value`` is for people, and for ``state set``."""
        return {"xid": self.xid, "system": self.system, "timeline": self.timeline, "value": value}


def applies(statements: Statements, relation: Relation) -> bool:
    """Whether the rows of a relation carry transaction ids of this server: plain tables and their partitions."""
    if relation.kind not in {"r", "p"}:
        return False
    foreign = statements.value(
        "SELECT count(*) FROM pg_catalog.pg_partition_tree(?) AS t JOIN pg_catalog.pg_class c ON c.oid = t.relid"
        " WHERE c.relkind = 'f'",
        (relation.oid,),
    )
    return int(foreign) == 0


def now(statements: Statements) -> Moment:
    """Where the server stands in the snapshot of the caller's transaction."""
    xid = statements.value("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
    try:
        with statements.transaction():
            system, timeline = statements.query(
                "SELECT (SELECT system_identifier::text FROM pg_control_system()), CASE WHEN pg_is_in_recovery()"
                " THEN (SELECT timeline_id FROM pg_control_checkpoint())"
                " ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END"
            )[0]
    except HeadgateError:  # a service that hides these functions: its database's id must do
        system = f"database {statements.value('SELECT oid::text FROM pg_database WHERE datname = current_database()')}"
        timeline = 0
    return Moment(int(xid), system, int(timeline))


def check(since: Mapping[str, Any], moment: Moment, table: str) -> None:
    """Refuse a position that means nothing on this server any more. Raises FatalError STATE_INVALID."""
    if (since["system"], since["timeline"]) != (moment.system, moment.timeline):
        why = "the position was taken on another server, or before this one was restored or promoted"
    elif moment.xid < since["xid"]:
        why = f"the server's transaction ids went back from {since['xid']} to {moment.xid}"
    elif moment.xid - since["xid"] >= HALF:
        why = "more than 2**31 transactions ago: rows of then and now cannot be told apart"
    else:
        return
    raise FatalError(
        Code.STATE_INVALID,
        why,
        operation="probe",
        object=table,
        hint=f"begin anew with: {RESET} (an upsert or overwrite makes the repeated rows harmless)",
    )


def condition(low: int | None, high: int) -> str:
    """SQL for the rows whose last change lies in [low, high)."""
    upper = f"age(xmin) > age('{high & _MASK}'::xid)"
    if low is None:
        # rows that were frozen more than 2**31 transactions ago look as if they came from the future
        return f"({upper} OR age(xmin) < 0)"
    return f"({upper} AND age(xmin) <= age('{low & _MASK}'::xid))"
