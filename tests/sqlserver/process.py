"""The double as a process of its own: ``python -m tests.sqlserver.process``."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable

from tests.sqlserver.engine import Database
from tests.sqlserver.server import Server


class Orders:
    """What tests tell the double to do, beside what clients do; each answers in a line."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def obey(self, order: str, words: list[str]) -> str:
        orders: dict[str, Callable[..., str | None]] = {
            "create": self.create,
            "drop": self.drop,
            "snapshot": self.snapshot,
            "fail": self.fail,
            "tls": self.tls,
            "intents": self.intents,
            "said": self.said,
        }
        return orders[order](*words) or "done"

    def create(self, name: str) -> None:
        self._server.databases[name] = Database(name)

    def drop(self, name: str) -> None:
        for session in list(self._server.sessions.values()):
            if session.login["database"] == name:
                session.end()
        self._server.databases.pop(name).root.close()

    def snapshot(self, name: str, snapshot: str, committed: str) -> None:
        """Whether a database allows snapshots, and versions of rows for READ COMMITTED."""
        self._server.databases[name].allows(int(snapshot), bool(int(committed)))

    def fail(self, number: str, *words: str) -> None:
        """The next statement with these words fails so; 0 and 1: its connection breaks before or after it."""
        self._server.fail[" ".join(words)] = int(number)

    def tls(self, *identity: str) -> None:
        """Certificate and key to show from now on; none: no TLS."""
        self._server.tls = None
        if identity:
            self._server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.tls.load_cert_chain(*identity)

    def intents(self) -> str:
        """1 for each session that said that it only reads, 0 for others."""
        return " ".join(str(int(session.login["read_only"])) for session in self._server.sessions.values())

    def said(self) -> str:
        """The statements since the last time."""
        found, self._server.statements = self._server.statements, []
        return repr(found)


def main() -> None:
    """Print the port; obey what comes on standard input, and end with it."""
    server = Server()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    orders = Orders(server)
    for line in sys.stdin:
        order, *words = line.split()
        print(orders.obey(order, words), flush=True)
    os._exit(0)  # clients may still be served, and nothing is kept


if __name__ == "__main__":
    main()
