"""A session's own socket, for the bytes of a COPY: past libpq, which hands rows out and takes them one by one.

Only where nothing encrypts the connection. libpq waits meanwhile, and finds its protocol where it left it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import psycopg

PIECE = 256 * 1024
"""Bytes that go on together: smaller pieces cost calls, larger ones leave the processor's cache."""

DATA = ord("d")
HEADER = struct.Struct(">I")
_MESSAGE = struct.Struct(">BI")
"""What a message begins with: its kind, and its length without the kind."""
_MORE = 64 * 1024
"""Bytes that a piece may have more: of the messages that follow."""
_PAUSE = 0.0001
"""Seconds in which more rows gather before they are read: a server sends eight kilobytes at a time, and to be woken for
each costs more than to read it."""
_READY, _ERROR = ord("Z"), ord("E")
_BESIDE = frozenset(b"NSA")  # notices, settings, notifications: at any time


def plain(session: psycopg.Connection[Any]) -> bool:
    """Whether the bytes on a session's socket are the protocol's own."""
    if session.pgconn.ssl_in_use:
        return False
    if session.pgconn.host.startswith((b"/", b"@")) or session.info.get_parameters().get("gssencmode") == "disable":
        return True
    if session.info.server_version < 120_000:
        return False
    found = session.execute(
        "SELECT encrypted FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_catalog.pg_backend_pid()"
    ).fetchall()
    return found == [(False,)]


def hang_up(session: psycopg.Connection[Any]) -> None:
    """Cut a session's connection, so that whoever waits for it in another thread goes on at once.

    What the server computes for it is cancelled first: it would notice the cut only when it has rows to send.
    """
    from psycopg import Error

    # a session that is closed, or was cut before, has no socket
    with suppress(OSError, Error), socket.socket(fileno=os.dup(session.pgconn.socket)) as line:
        with suppress(Error):  # a server that does not answer computes nothing for us
            session.cancel_safe(timeout=2)
        line.shutdown(socket.SHUT_RDWR)


class Link:
    """One statement's talk with the server, in messages of its protocol.

    The session must be idle, in or out of a transaction. Errors are psycopg's, as if libpq had met them.
    """

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._socket = socket.socket(fileno=os.dup(session.pgconn.socket))
        self._socket.setblocking(False)  # as libpq has it: the setting belongs to both
        self._rest = b""

    def start(self, statement: str, answer: bytes) -> None:
        """Send a statement that begins a COPY, whose direction is the ``answer``."""
        text = statement.encode() + b"\0"
        self.send(b"Q" + HEADER.pack(len(text) + 4) + text)
        kind, body = self._told()
        if kind != answer[0]:
            self._fail(kind, body)

    def rows(self, enough: int = PIECE, starts: list[int] | None = None) -> memoryview:
        """The next rows, in whole messages of about so many bytes; empty when the server has sent all.

        Where each message starts is added to ``starts``.
        """
        while True:
            found = self._data(enough, starts)
            if len(found) or self._rest[0] not in _BESIDE:
                return found
            self._message()

    def _data(self, enough: int, starts: list[int] | None) -> memoryview:
        """Messages of data; empty where a message of another kind comes first."""
        buffer, size, end = bytearray(enough + _MORE), len(self._rest), 0
        buffer[:size] = self._rest
        while end < enough:
            end, following = _go_over(buffer, end, size, starts)
            if not following:
                break
            if following > len(buffer):
                buffer.extend(bytes(following - len(buffer)))
            if end < enough:
                if size == len(buffer):
                    break
                size += self._receive(memoryview(buffer)[size:], _PAUSE)
        self._rest = bytes(memoryview(buffer)[end:size])
        return memoryview(buffer)[:end]

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it, whatever the server says meanwhile: a torn message would swallow what follows."""
        view = memoryview(data)
        while len(view):
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                readable, _, _ = select.select([self._socket], [self._socket], [])
                if readable:
                    self._rest += self._some()
            except OSError as error:
                self._hung_up(error)

    def listen(self) -> None:
        """Hear what the server says without having been asked. Raises its error."""
        while select.select([self._socket], [], [], 0)[0]:
            self._rest += self._some()
        while self._whole():
            kind, body = self._message()
            if kind not in _BESIDE:
                self._fail(kind, body)

    def end(self) -> int:
        """What the server says at the end: how many rows."""
        rows = 0
        while True:
            kind, body = self._told()
            if kind == _READY:
                return rows
            if kind == ord("C"):
                rows = int(body.rstrip(b"\0").split()[-1])
            elif kind != ord("c"):
                self._fail(kind, body)

    def abandon(self, reason: str) -> None:
        """End a COPY into the server without its rows; what it answers is of no interest."""
        from psycopg import Error

        text = reason.encode() + b"\0"
        try:
            self.send(b"f" + HEADER.pack(len(text) + 4) + text)
            self.end()
        except Error:
            return

    def close(self) -> None:
        """Leave the socket to libpq."""
        self._socket.close()

    # ---------------------------------------------------------------------------------------------- messages

    def _told(self) -> tuple[int, bytes]:
        """The next message that is not one of those that may come at any time."""
        while True:
            kind, body = self._message()
            if kind not in _BESIDE:
                return kind, body

    def _message(self) -> tuple[int, bytes]:
        while not self._whole():
            self._rest += self._some()
        end = 1 + HEADER.unpack_from(self._rest, 1)[0]
        kind, body, self._rest = self._rest[0], self._rest[5:end], self._rest[end:]
        return kind, body

    def _whole(self) -> bool:
        return len(self._rest) >= 5 and len(self._rest) > HEADER.unpack_from(self._rest, 1)[0]

    def _some(self) -> bytes:
        buffer = bytearray(8192)
        return bytes(buffer[: self._receive(memoryview(buffer))])

    def _receive(self, into: memoryview, pause: float = 0) -> int:
        """Wait for bytes, and for some more; how many came."""
        while True:
            try:
                received = self._socket.recv_into(into)
            except BlockingIOError:
                select.select([self._socket], [], [])
                time.sleep(pause)
                continue
            except OSError as error:
                self._hung_up(error)
            if not received:
                self._hung_up("server closed the connection unexpectedly")
            return received

    def _hung_up(self, reason: object) -> NoReturn:
        """Nothing more can be sent or received: the server may have said why."""
        with suppress(OSError):
            while last := self._socket.recv(8192):
                self._rest += last
        while self._whole():
            kind, body = self._message()
            if kind == _ERROR:
                raise _reported(body)
        raise _broken(str(reason))

    def _fail(self, kind: int, body: bytes) -> NoReturn:
        from psycopg import OperationalError

        if kind != _ERROR:
            raise _broken(f"message {chr(kind)!r} from the server out of turn")
        try:
            while self._told()[0] != _READY:
                pass
        except OperationalError:  # the server ended the session after its error
            raise _reported(body) from None
        raise _reported(body)


def _go_over(buffer: bytearray, end: int, size: int, starts: list[int] | None) -> tuple[int, int]:
    """Go on over whole messages of data, from ``end`` to ``size``: where they end, and where the one after them does.

    That is 0 where a message of another kind follows.
    """
    unpack, last = _MESSAGE.unpack_from, size - _MESSAGE.size
    while end <= last:  # once a row: every operation counts
        kind, length = unpack(buffer, end)
        if kind != DATA:
            return end, 0
        following = end + 1 + length
        if following > size:
            return end, following
        if starts is not None:
            starts.append(end)
        end = following
    return end, end + _MESSAGE.size


def _broken(text: str) -> Exception:
    from psycopg import OperationalError

    return OperationalError(f"connection lost: {text}")


def _reported(body: bytes) -> Exception:
    """An error of the server, of psycopg's class for its state."""
    from psycopg import DatabaseError, errors

    fields: dict[int, bytes | None] = {part[0]: part[1:] for part in body.split(b"\0") if part}
    message, state = ((fields.get(ord(letter)) or b"").decode(errors="replace") for letter in "MC")
    try:
        class_ = errors.lookup(state)
    except KeyError:
        class_ = DatabaseError
    return class_(message, info=fields)
