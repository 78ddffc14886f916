"""Certificates of an authority of our own, good and bad ones, and a PostgreSQL server that is reached through TLS.

``FAR`` is this machine under an address that is not known as local, so that connections to it are made as to any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

FAR = "0.0.0.0"  # noqa: S104 - nothing listens on it: it is called
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_ASKS_FOR_TLS, _ASKS_FOR_GSS = b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"\x00\x00\x00\x08\x04\xd2\x16\x30"


class Identity(NamedTuple):
    """What a server shows, and the key that goes with it."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """``authority`` is the file that clients trust; it signed all but ``self_signed``."""

    authority: Path
    good: Identity
    self_signed: Identity
    wrong_host: Identity
    expired: Identity


def make_certificates(folder: Path) -> Certificates:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)  # noqa: S603, S607

    def alone(name: str) -> Identity:
        where = ("-addext", f"subjectAltName=IP:{FAR}")
        openssl("req", "-x509", *_KEY, *where, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        return Identity(folder / f"{name}.pem", folder / f"{name}.key")

    def signed(name: str, host: str, days: int) -> Identity:
        (folder / "names").write_text(f"subjectAltName={host}")
        openssl("req", "-new", *_KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", "request")
        by = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "names")
        openssl("x509", "-req", "-in", "request", *by, "-days", str(days), "-out", f"{name}.pem")
        return Identity(folder / f"{name}.pem", folder / f"{name}.key")

    authority = alone("authority").certificate
    return Certificates(
        authority,
        good=signed("good", f"IP:{FAR}", 2),
        self_signed=alone("self"),
        wrong_host=signed("wrong", "DNS:somewhere-else.example", 2),
        expired=signed("expired", f"IP:{FAR}", -1),
    )


class Terminator:
    """Stands before a PostgreSQL server that speaks plain text on a Unix socket; has TLS if ``identity`` is given.

    ``plain`` counts clients that would have gone on without TLS, ``passed`` those that were let through.
    """

    def __init__(self, server: str, identity: Identity | None) -> None:
        self._server, self._context = server, None
        self.port = self.plain = self.passed = 0
        if identity is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*identity)

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        listener = await asyncio.start_server(self._welcome, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        ready.set()
        async with listener:
            await stop.wait()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while (asked := await reader.readexactly(8)) == _ASKS_FOR_GSS:
                writer.write(b"N")
            if asked == _ASKS_FOR_TLS and self._context is not None:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self._context)
                await self._pass_on(reader, writer)
            else:
                if asked == _ASKS_FOR_TLS:
                    writer.write(b"N")
                    await reader.readexactly(8)
                self.plain += 1
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        self.passed += 1
        answers, server = await asyncio.open_unix_connection(self._server)
        server.write(first)
        await asyncio.gather(_pump(reader, server), _pump(answers, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def behind_tls(server: str, identity: Identity | None) -> Iterator[Terminator]:
    """Serve on a free port of the loopback address, in a thread."""
    terminator, ready = Terminator(server, identity), threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    loop.set_exception_handler(lambda *_: None)  # clients that hang up in the middle of a handshake
    thread = threading.Thread(target=loop.run_until_complete, args=(terminator.serve(ready, stop),))
    thread.start()
    ready.wait(10)
    try:
        yield terminator
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
