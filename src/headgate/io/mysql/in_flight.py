"""What others have written and not committed: rows that are not there yet, with cursors that lie below those of others.

A read that goes beyond them would never look back. So it stops before them, and they come with the next run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from headgate.core.errors import HeadgateError
from headgate.io.cursor_values import Kind
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    from headgate.io.mysql.sessions import Session

MARGIN = timedelta(seconds=2)
"""A statement stamps its rows a moment before its transaction is listed as begun."""
LIST_AGE = 0.12
"""The server shows a list of transactions that was read less than a tenth of a second ago once more, unchanged."""
TOGETHER = 65_536
"""How many numbers are compared at once; of times it is those of an hour."""

_OTHERS = "FROM information_schema.INNODB_TRX WHERE trx_is_read_only = 0 AND trx_mysql_thread_id <> CONNECTION_ID()"
_BEGAN = "CONVERT_TZ(trx_started, 'SYSTEM', '+00:00')"
_OLDEST = (
    "SELECT min(began), min(CONVERT_TZ(began, '+00:00', @@global.time_zone)) FROM ("
    f"SELECT IF(CONVERT_TZ({_BEGAN} - INTERVAL 1 HOUR, '+00:00', 'SYSTEM') = trx_started,"
    f" {_BEGAN} - INTERVAL 1 HOUR, {_BEGAN}) AS began {_OTHERS}) AS others"
)
"""When the oldest transaction began, in UTC and by the clock on the server's wall. The list has times of the system's
zone, whatever the session's is; in an hour that comes twice in autumn it may be the first."""

_UNSEEN = "late commits are found only within lag: the user lacks PROCESS, which shows open transactions"


def lowest(session: Session, name: str, kind: Kind, rows: str) -> tuple[Any, str]:
    """A value below which nothing is in flight, None if there is no such thing or nobody knows; and what that means.

    ``rows``: FROM … WHERE … of those that a read would look at.
    """
    column = quote_name(name)
    match kind:
        case "timestamp" | "timestamptz":
            stamp, note = _stamp(session, kind)
            # what is written already may have been stamped before its transaction began, by any clock
            hours = f"TO_DAYS({column}) * 24 + HOUR({column})"
            written = _written(session, column, hours, rows) if stamp is not None or note is _UNSEEN else None
            return min((edge for edge in (stamp, written) if edge is not None), default=None), note
        case "int":
            note = "rows stop before the first that is written and not committed, so that it comes with the next run"
            return (_written(session, column, f"{column} DIV {TOGETHER}", rows) if _others(session) else None), note
        case "date":
            return None, "rows that commit late below the cursor are found only within lag"
        case _:
            return None, "rows that commit late below the cursor are not found"


def _stamp(session: Session, kind: Kind) -> tuple[datetime | None, str]:
    """When the oldest transaction began: below that, no stamp of the server can still come.

    What has no zone is stamped in UTC or in the server's: whichever is earlier is safe.
    """
    time.sleep(LIST_AGE)
    try:
        ((oldest, local),) = session.query(_OLDEST)
    except HeadgateError:
        return None, _UNSEEN
    note = "rows stop before the oldest transaction in flight, so that those which commit late come with the next run"
    if oldest is None:
        return None, note
    return (oldest if kind == "timestamptz" else min(oldest, local)) - MARGIN, note


def _others(session: Session) -> bool:
    """Whether anybody may have written what is not committed."""
    time.sleep(LIST_AGE)
    try:
        return bool(session.value(f"SELECT EXISTS (SELECT 1 {_OTHERS})"))
    except HeadgateError:  # the user lacks PROCESS, which shows them
        return True


def _written(session: Session, column: str, part: str, rows: str) -> Any:
    """The lowest value of a row that is written and not committed.

    What is written is looked at first: what is committed meanwhile is in both, and numbers of what is written after
    that lie beyond all that were there when the window was made. Values are compared by parts that grow with them.
    """
    parts = f"SELECT {part}, count(*), bit_xor(crc32({column})) {rows} GROUP BY 1"
    written = _uncommitted(session, parts)
    committed = set(session.query(parts))
    for number in sorted(int(found[0]) for found in written if found not in committed and found[0] is not None):
        for value in _only_written(session, f"SELECT {column} {rows} AND {part} = {number}"):
            return value
    return None


def _only_written(session: Session, select: str) -> Iterator[Any]:
    """Values that are not committed, the lowest first; none where rows were only deleted."""
    written, committed = Counter(_uncommitted(session, select)), Counter(session.query(select))
    yield from sorted(value for (value,) in written - committed)


def _uncommitted(session: Session, select: str) -> list[tuple[Any, ...]]:
    """The rows of a SELECT as they would be if all transactions were committed."""
    session.execute("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")  # of the next statement only
    return session.query(select)
