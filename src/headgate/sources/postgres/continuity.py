"""Whether the log tells all that was done to a table since a position; what it does not tell ends the run.

The log has rows. That the table was made anew, a column filled by its default, a partition dropped, the publication
altered meanwhile, or that the server is an older copy of itself, is nowhere in it: a position remembers how things
were, and the next run compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headgate.core.errors import Code, FatalError
from headgate.io.postgres import slots
from headgate.io.postgres.changes import Moment
from headgate.io.postgres.followed import Followed
from headgate.sources.postgres.followable import ANEW
from headgate.sources.postgres.subject import Subject

_REMEMBERED = ("lsn", "slot", "system", "timeline", "table", "keys", "columns", "width", "parts", "publication")
_VARCHAR, _NUMERIC, _ANY = 1043, 1700, -1


def position(subject: Subject, facts: Followed, moment: Moment, slot: str, lsn: int) -> dict[str, Any]:
    """What a run remembers for the next."""
    assert facts.publication is not None, "checked before"
    return {
        "lsn": lsn,
        "slot": slot,
        "system": moment.system,
        "timeline": moment.timeline,
        "table": facts.oid,
        "keys": list(subject.keys()),
        "columns": {n: column[:3] for n, column in facts.columns.items() if _read(subject, column[0])},
        "width": facts.width,
        "parts": dict(facts.parts),
        "publication": facts.publication.identity,
        "value": slots.text(lsn),
    }


def check(subject: Subject, since: Mapping[str, Any], facts: Followed, moment: Moment, slot: str, high: int) -> None:
    """Refuse a position from which the log does not lead to what the source is now.

    Args:
        subject: what is read.
        since: the position.
        facts: the table as it is now.
        moment: where the server stands, and ``high`` its log.
        slot: the slot that is configured.

    Raises:
        FatalError: STATE_INVALID, or SCHEMA_MISMATCH where columns changed in a way that the log does not tell.
    """
    if any(name not in since for name in _REMEMBERED):
        raise _broken(
            subject, "the stored position is none in the write-ahead log: it was set by hand, or by another mode"
        )
    _same_server(subject, since, moment, high)
    if slot != since["slot"]:
        raise _broken(
            subject,
            f'the last run read the slot "{since["slot"]}", and the configuration names "{slot}"',
            hint=f"{ANEW}; if nothing else reads the other: SELECT pg_drop_replication_slot('{since['slot']}')",
        )
    if facts.oid != since["table"]:
        raise _broken(
            subject, "the table is another one than at the last run: it was dropped and made again, or renamed"
        )
    if list(subject.keys()) != since["keys"]:
        was, now = (", ".join(keys) for keys in (since["keys"], subject.keys()))
        raise _broken(subject, f"the primary key was ({was}) at the last run and is ({now}) now")
    for why in _columns(subject, since["columns"], since["width"], facts):
        raise _broken(subject, f"the log does not tell what the rows have: {why}", Code.SCHEMA_MISMATCH)


def same_parts(subject: Subject, since: Mapping[str, Any], facts: Followed, emptied: frozenset[int]) -> None:
    """Refuse rows that came or went with a partition.

    Args:
        subject: what is read.
        since: the position.
        facts: the table as it is now.
        emptied: the transactions that truncated the table as a whole, which the log tells.

    Raises:
        FatalError: STATE_INVALID.
    """
    for why in _parts(since["parts"], facts, emptied):
        raise _broken(subject, f"the log does not tell of the rows of a partition: {why}")


def same_publication(subject: Subject, since: Mapping[str, Any], facts: Followed) -> None:
    """Refuse a publication that may have been silent meanwhile. Raises FatalError STATE_INVALID."""
    assert facts.publication is not None, "checked before"
    if facts.publication.identity != since["publication"]:
        raise _broken(
            subject,
            f'the publication "{facts.publication.name}" was altered or made again since the last run: what it did not'
            " tell meanwhile is not known",
        )


def _same_server(subject: Subject, since: Mapping[str, Any], moment: Moment, high: int) -> None:
    low = int(since["lsn"])
    if since["system"] != moment.system:
        raise _broken(subject, "the position is one in the log of another server")
    if high < low:
        raise _broken(
            subject,
            f"the server's log ends at {slots.text(high)}, before the position {slots.text(low)}: it was restored"
            " from a backup, and what was read after that is not in it",
        )
    if since["timeline"] == moment.timeline:
        return
    ended = slots.ended(subject.connection, since["timeline"], moment.timeline)
    if ended is None or ended < low:
        raise _broken(
            subject,
            f"the server was restored or promoted from a state before the position {slots.text(low)}: its log went"
            " another way since, and what was read after that is not in it",
        )


def _read(subject: Subject, column: str) -> bool:
    return subject.read.columns is None or column in subject.read.columns


def _columns(subject: Subject, before: Mapping[str, list[Any]], width: int, facts: Followed) -> Iterator[str]:
    """What changed about the columns that are read, other than that they came empty, or went."""
    names_before = {column[0] for column in before.values()}
    for number, (name, oid, modifier, written) in facts.columns.items():
        if not _read(subject, name):
            continue
        was = before.get(number)
        if was is None:
            if name in names_before:
                yield f'column "{name}" was dropped and made again'
            elif int(number) <= width:
                yield f'column "{name}" was not read until now'
            elif name in facts.filled:
                yield f'column "{name}" was added with values for the rows that were there'
        elif was[0] != name:
            yield f'column "{was[0]}" was renamed to "{name}"'
        elif was[1] != oid or not _keeps(oid, was[2], modifier):
            yield f'column "{name}" changed its type to {written}'


def _keeps(oid: int, before: int, now: int) -> bool:
    """Whether a type's new modifier leaves all values as they are: longer texts, more digits before the point."""
    if before == now:
        return True
    if oid == _VARCHAR:
        return now == _ANY or _ANY < before < now
    if oid == _NUMERIC:
        return now == _ANY or (before != _ANY and before & 0xFFFF == now & 0xFFFF and before < now)
    return False


def _parts(before: Mapping[str, list[int]], facts: Followed, emptied: frozenset[int]) -> Iterator[str]:
    for part, (file, _) in before.items():
        if part not in facts.parts:
            yield "one was dropped or detached"
            continue
        now, transaction = facts.parts[part]
        if now != file and transaction not in emptied:
            yield "one was truncated, or written anew by VACUUM FULL or CLUSTER"
    for part in facts.parts:
        if part not in before and part in facts.attached:
            yield "one was attached that had been a table of its own"


def _broken(subject: Subject, why: str, code: Code = Code.STATE_INVALID, hint: str = ANEW) -> FatalError:
    return FatalError(code, why, operation="probe", object=subject.name, hint=hint)
