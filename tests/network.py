"""A network between client and server that loses what it is told to lose."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Proxy:
    """Stands between client and server; cuts a connection when the client sends ``trigger``.

    ``after``: the server still gets the message, and only its answer is lost. ``refuse``: nobody gets in any more.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.trigger: bytes | None = None
        self.after = self.refuse = self.refuse_later = False
        self.cuts = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuse:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._open += [client, server]
                threading.Thread(target=self._upstream, args=(client, server), daemon=True).start()

    def _upstream(self, client: socket.socket, server: socket.socket) -> None:
        muted = threading.Event()
        threading.Thread(target=self._downstream, args=(server, client, muted), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.trigger and self.trigger in data:
                    self.trigger = None
                    self.cuts += 1
                    self.refuse = self.refuse_later
                    if self.after:
                        muted.set()
                        server.sendall(data)
                        time.sleep(0.3)  # the server does what it was told, and answers to nobody
                    break
                server.sendall(data)
        self._cut(client, server)

    def _downstream(self, server: socket.socket, client: socket.socket, muted: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not muted.is_set():
                    client.sendall(data)
        self._cut(client, server)

    def _cut(self, *ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._cut(self._listener, *self._open)
