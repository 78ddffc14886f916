"""The driver's connection, changed in two things: it sends our rows and never a file, and it notices a lost machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from pymysql.connections import Connection, MySQLResult

_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 60_000))


class ClientResult(MySQLResult):  # type: ignore[misc]  # the driver has no types
    """An answer. Where the server asks for a file, whichever it names, it gets the rows that wait to be sent."""

    def _read_load_local_packet(self, first_packet: Any) -> None:  # noqa: ARG002 - the name of the file is no matter
        session = self.connection
        try:
            for part in session.rows_to_send:
                session.write_packet(part)
        finally:
            session.rows_to_send = iter(())
            if session._sock is not None:  # else the server is gone, and the error that says so is on its way
                session.write_packet(b"")
                answer = session._read_packet()
        self._read_ok_packet(answer)


class ClientSession(Connection):  # type: ignore[misc]  # the driver has no types
    rows_to_send: Iterator[bytes] = iter(())

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        self._result = None
        result = ClientResult(self)
        if unbuffered:
            result.init_unbuffered_query()
        else:
            result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return result.affected_rows

    def keep_alive(self) -> None:
        """Notice within a minute or two that the other machine has vanished."""
        if self._sock is None or self._sock.family == socket.AF_UNIX:
            return
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                self._sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def settled(self) -> None:
        """Until now each answer was to come within the time for connecting; from now on work may take its time."""
        self._read_timeout = None

    def send_rows(self, statement: str, rows: Iterator[bytes]) -> tuple[int, int]:
        """LOAD DATA LOCAL with rows from memory: (rows, warnings)."""
        self.rows_to_send = rows
        taken = int(self.query(statement))
        answer: Any = self._result
        return taken, int(answer.warning_count)

    def _force_close(self) -> None:
        """Rows that are left unread are not waited for, whoever closes: the driver would read on from what is gone."""
        if self._result is not None:
            self._result.unbuffered_active = False
        super()._force_close()

    def leave(self) -> None:
        """Close without a word."""
        if self._sock is not None:
            self._force_close()
