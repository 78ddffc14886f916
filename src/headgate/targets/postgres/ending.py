"""How a COPY ends, for psycopg."""

from __future__ import annotations

from psycopg.copy import LibpqWriter


class Ending(LibpqWriter):
    """Says nothing of a COPY that is left behind when its session is closed: there is nobody to tell, nothing to end.

    The session of a run that fails is closed without waiting for its server, and psycopg would warn, whenever the
    COPY is collected.
    """

    def finish(self, exc: BaseException | None = None) -> None:
        if exc is None or not self.connection.closed:
            super().finish(exc)
