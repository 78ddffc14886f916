"""What waits in a slot for one table, decoded by the server once: how many changes there are, then they themselves.

A publication may have other tables, too: what it tells of them the server leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator

from headgate.core.errors import Code, FatalError
from headgate.io.postgres import Connection, connect, slots, wire
from headgate.io.postgres.pgoutput import since_emptied

_ROWS = "(68, 73, 84, 85)"
"""The first bytes of messages that tell of rows: D, I, T, U."""
_NAMED = "(68, 73, 82, 85)"
"""Those that name one table, right behind it: the above without T, and R."""
_TRUNCATE = 84
_FIRST_OID = 7
"""Where the tables stand in T, after the byte of the kind, how many there are, and its options."""
_MARK = b"#"
"""What the counts begin with, and no message does."""


class Waiting:
    """The messages of a slot up to a place in the log, on a session of its own. Looking changes nothing.

    Args:
        connection: where the slot is.
        slot: its name.
        publication: what tells of the table.
        until: the place in the log.
        oid: the table.
        table: its name, for errors.
    """

    def __init__(self, connection: Connection, slot: str, publication: str, until: int, oid: int, table: str) -> None:
        self.key = (slot, publication, until, oid)
        self.emptied = 0
        """How often the table was truncated; known after :meth:`count`."""
        self.emptied_by: frozenset[int] = frozenset()
        """The transactions that did so."""
        statement = (
            f"COPY (WITH waiting AS MATERIALIZED (SELECT xid, data FROM {slots.peek(slot, publication, until)}"
            f" WHERE {_about(oid)})"
            f" SELECT convert_to(format('{_MARK.decode()}%s %s %s',"
            f" count(*) FILTER (WHERE get_byte(data, 0) IN {_ROWS}),"
            f" count(*) FILTER (WHERE get_byte(data, 0) = {_TRUNCATE}),"
            f" string_agg(DISTINCT xid::text, ' ') FILTER (WHERE get_byte(data, 0) = {_TRUNCATE})), 'UTF8')"
            " FROM waiting UNION ALL SELECT data FROM waiting) TO STDOUT (FORMAT binary)"
        )
        self._table = table
        self._session = connect(connection)
        self._messages = wire.values(wire.copy_out(self._session, statement, table))

    def count(self) -> int:
        """How many changes wait; asked once, before the messages. An error ends the session."""
        try:
            first = next(self._messages, b"")
        except BaseException:
            self.close()
            raise
        if not first.startswith(_MARK):
            raise FatalError(
                Code.INTERNAL, "the server did not count what waits first", operation="probe", object=self._table
            )
        rows, self.emptied, *transactions = map(int, first[1:].split())
        self.emptied_by = frozenset(transactions)
        return rows

    def messages(self) -> Iterator[bytes]:
        """Those that count: what was done before the table was emptied is void."""
        return since_emptied(self._messages, self.emptied) if self.emptied else self._messages

    def close(self) -> None:
        """End the session, also in mid-stream; may be called twice."""
        self._session.close()


def _about(oid: int) -> str:
    """SQL for messages that do not tell of other tables only."""
    name = f"'\\x{oid:08x}'::bytea"
    emptied = (
        f"EXISTS (SELECT FROM generate_series({_FIRST_OID}, length(data), 4) AS place"
        f" WHERE substr(data, place, 4) = {name})"
    )
    return (
        f"CASE WHEN get_byte(data, 0) IN {_NAMED} THEN substr(data, 2, 4) = {name}"
        f" WHEN get_byte(data, 0) = {_TRUNCATE} THEN {emptied} ELSE true END"
    )
