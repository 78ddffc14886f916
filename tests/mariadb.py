"""A real MariaDB for the tests: Debian's server (`make servers`) on a data folder of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.needs import absent
from tests.tls import Certificates, Identity, make_certificates

GUARDED = "guarded"
"""A user who logs in with a password only, over the network."""

SETTINGS = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=128M",
    "--innodb-log-file-size=64M",
    "--local-infile=1",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--max-allowed-packet=64M",
    "--character-set-server=utf8mb4",
    "--wait-timeout=600",
)
"""The server is killed in no test, only its clients are, so it need not force its files to the disk."""


WALL_CLOCK = "EAST-05:30"
"""The zone of the server's machine: not UTC, so that times which mean another zone are seen to be taken for UTC."""


def program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class MariaServer:
    """A running server, reached through a socket; ``port`` on the loopback address for the guarded user."""

    socket: str
    port: int
    password: str
    certificates: Certificates
    folder: Path

    def show(self, identity: Identity) -> None:
        """Show this certificate to clients from now on."""
        for name, file in zip(("shown.pem", "shown.key"), identity, strict=True):
            shutil.copyfile(file, self.folder / name)
        self.execute(None, "FLUSH SSL")

    def url(self, database: str) -> str:
        return f"mysql://root@localhost/{database}?unix_socket={self.socket}"

    def connect(self, database: str | None = None, **options: Any) -> Any:
        import pymysql

        return pymysql.connect(
            unix_socket=self.socket,
            database=database,
            charset="utf8mb4",
            **{"user": "root", "autocommit": True, **options},
        )

    def execute(self, database: str | None, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements; the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        with self.connect(database) as session, session.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'")
            cursor.execute("SET SESSION time_zone = '+00:00'")
            for statement in statements:
                cursor.execute(statement)
                rows = list(cursor.fetchall())
        return rows

    def create_database(self, name: str) -> str:
        self.execute(None, f'CREATE DATABASE "{name}" CHARACTER SET utf8mb4')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        import pymysql

        for (session,) in self.execute(None, f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"):
            with suppress(pymysql.err.OperationalError):  # it has ended by itself since
                self.execute(None, f"KILL {session}")
        self.execute(None, f'DROP DATABASE IF EXISTS "{name}"')


@contextmanager
def session(url: str) -> Iterator[Any]:
    """A plain connection by the URL that headgate takes."""
    import pymysql

    database, _, path = url.removeprefix("mysql://root@localhost/").partition("?unix_socket=")
    connection = pymysql.connect(unix_socket=path, user="root", database=database)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def running_mariadb() -> Iterator[MariaServer]:
    """Start one server in a temporary folder, stop it and remove the folder afterwards."""
    server, install = program("mariadbd"), program("mariadb-install-db")
    if server is None or install is None:
        absent("no MariaDB server is installed: make servers")
    top = Path(tempfile.mkdtemp(prefix="hgmy"))
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    data, path = top / "data", top / "s"
    try:
        certificates = make_certificates(top)
        shutil.copyfile(certificates.good.certificate, top / "shown.pem")
        shutil.copyfile(certificates.good.key, top / "shown.key")
        subprocess.run(  # noqa: S603 - our own server
            [install, "--no-defaults", *as_root, f"--datadir={data}", "--auth-root-authentication-method=normal"],
            check=True,
            capture_output=True,
            env={**os.environ, "TMPDIR": str(top)},  # for the same reason as the server's --tmpdir
        )
        with (top / "log").open("w") as log:
            process = subprocess.Popen(  # noqa: S603 - our own server
                [
                    server,
                    "--no-defaults",
                    *as_root,
                    f"--datadir={data}",
                    f"--socket={path}",
                    f"--port={_free_port()}",
                    "--bind-address=127.0.0.1",
                    f"--pid-file={top / 'pid'}",
                    f"--tmpdir={top}",  # a server that starts removes what others have in a common one
                    f"--ssl-cert={top / 'shown.pem'}",
                    f"--ssl-key={top / 'shown.key'}",
                    *SETTINGS,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "TZ": WALL_CLOCK},
            )
        try:
            yield _ready(process, path, certificates)
        finally:
            process.terminate()
            process.wait(60)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(process: subprocess.Popen[bytes], path: Path, certificates: Certificates) -> MariaServer:
    log = path.parent / "log"
    until = time.monotonic() + 60
    while not path.exists():  # it is made when the server listens
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(log.read_text())
        time.sleep(0.02)
    import pymysql

    password = secrets.token_hex(12)
    with pymysql.connect(unix_socket=str(path), user="root", autocommit=True) as session, session.cursor() as cursor:
        cursor.execute(f"CREATE USER {GUARDED} IDENTIFIED BY '{password}'")
        cursor.execute("SELECT @@port")
        return MariaServer(str(path), int(cursor.fetchone()[0]), password, certificates, path.parent)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaServer]:
    """One server for the whole session (one for each worker of pytest-xdist)."""
    with running_mariadb() as server:
        yield server


@pytest.fixture
def mariadb_name(mariadb_server: MariaServer) -> Iterator[str]:
    """A fresh, empty database."""
    name = f"t{os.getpid()}_{secrets.token_hex(4)}"
    mariadb_server.create_database(name)
    yield name
    mariadb_server.drop_database(name)


@pytest.fixture
def mariadb_url(mariadb_server: MariaServer, mariadb_name: str) -> str:
    """The URL of a fresh, empty database."""
    return mariadb_server.url(mariadb_name)
