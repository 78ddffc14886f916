"""TLS as TDS 7.4 has it: the handshake travels in packets of its own, all that follows is encrypted as a whole."""

from __future__ import annotations

import socket
import ssl

from tests.sqlserver import wire


class Encrypted:
    """The server's side of a connection after its PRELOGIN."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = connection
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_side=True)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush_handshake()
                message = wire.receive(connection)
                if message is None:
                    raise ConnectionError("the client left in the handshake") from None
                self._came.write(message[1])
            else:
                self._flush_handshake()
                return

    def _flush_handshake(self) -> None:
        if data := self._goes.read():
            wire.send(self._socket, data, wire.PRELOGIN)

    def recv(self, size: int) -> bytes:
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                data = self._socket.recv(65536)
                if not data:
                    return b""
                self._came.write(data)
            except ssl.SSLZeroReturnError:
                return b""

    def sendall(self, data: bytes) -> None:
        self._tls.write(data)
        self._socket.sendall(self._goes.read())
