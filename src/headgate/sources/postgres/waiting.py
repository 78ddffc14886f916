"""What waits in a slot, decoded by the server once: first how many changes there are, then they themselves."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.core.errors import Code, FatalError
from headgate.io.postgres import Connection, connect, slots, wire
from headgate.io.postgres.pgoutput import since_emptied

_ROWS = "(68, 73, 84, 85)"
"""The first bytes of messages that tell of rows: D, I, T, U."""
_TRUNCATE = 84
_MARK = b"#"
"""What the counts begin with, and no message does."""


class Waiting:
    """The messages of a slot up to a place in the log, on a session of its own. Looking changes nothing.

    Args:
        connection: where the slot is.
        slot: its name.
        publication: whose tables count.
        until: the place in the log.
        table: for errors.
    """

    def __init__(self, connection: Connection, slot: str, publication: str, until: int, table: str) -> None:
        self.key = (slot, publication, until, table)
        self.emptied = 0
        """How often the table was truncated; known after :meth:`count`."""
        statement = (
            f"COPY (WITH waiting AS MATERIALIZED (SELECT data FROM {slots.peek(slot, publication, until)})"
            f" SELECT convert_to(format('{_MARK.decode()}%s %s',"
            f" count(*) FILTER (WHERE get_byte(data, 0) IN {_ROWS}),"
            f" count(*) FILTER (WHERE get_byte(data, 0) = {_TRUNCATE})), 'UTF8') FROM waiting"
            " UNION ALL SELECT data FROM waiting) TO STDOUT (FORMAT binary)"
        )
        self._table = table
        self._session = connect(connection)
        self._messages = wire.values(wire.copy_out(self._session, statement, table))

    def count(self) -> int:
        """How many changes wait; asked once, before the messages."""
        first = next(self._messages, b"")
        if not first.startswith(_MARK):
            raise FatalError(
                Code.INTERNAL, "the server did not count what waits first", operation="probe", object=self._table
            )
        rows, self.emptied = map(int, first[1:].split())
        return rows

    def messages(self) -> Iterator[bytes]:
        """Those that count: what was done before the table was emptied is void."""
        return since_emptied(self._messages, self.emptied) if self.emptied else self._messages

    def close(self) -> None:
        """End the session, also in mid-stream; may be called twice."""
        self._session.close()
