"""How to reach a PostgreSQL server: options, and connections that cannot hang, downgrade or leak what they know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from headgate.core.errors import Code, FatalError
from headgate.core.models import ConnectionOptions, Duration
from headgate.core.secrets import Secret, remember
from headgate.io.postgres.errors import explain_connecting

if TYPE_CHECKING:
    import psycopg

_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
}
"""Every session speaks the same dialect of values, whatever the role's or database's defaults are."""

_HALF_OPEN = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
"""The server lets go of the locks of a client whose machine vanished within a minute."""

_PLANNING = {"parallel_tuple_cost": "1"}
"""What handing a row from a parallel worker to its session costs, by measurement ten times what the server assumes: it
would read tables whole in parallel, for a third more time. Aggregates hand few rows over, and stay parallel."""


class Connection(ConnectionOptions):
    """A PostgreSQL database: ``url``, or single fields; both may be mixed, single fields win."""

    type: Literal["postgres"] = "postgres"
    url: Secret | None = Field(
        default=None, description="Any URL or key=value text that libpq takes; Unix sockets too."
    )
    host: str | None = Field(default=None, description="Host name, address, or folder of the Unix socket.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Default: 5432.")
    database: str | None = Field(default=None, description="Name of the database.")
    username: str | None = Field(default=None, description="Role to log in as.")
    password: Secret | None = Field(default=None, description="A reference such as ${file:/run/secrets/dw}.")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        default=None, description="Default: verify-full for other machines, prefer for this one."
    )
    sslrootcert: str | None = Field(default=None, description="File of trusted certificates, or system.")
    options: dict[str, str] = Field(default_factory=dict, description="Server settings of the session, by name.")
    connect_timeout: Duration = Field(default=timedelta(seconds=10), description="How long connecting may take.")
    statement_timeout: Duration = Field(default=timedelta(0), description="How long a statement may take; 0: any time.")
    lock_timeout: Duration = Field(default=timedelta(seconds=30), description="How long to wait for a lock.")

    @model_validator(mode="after")
    def _somewhere(self) -> Connection:
        if self.url is None and self.database is None:
            raise ValueError("say where the database is: url, or host, database, username and password")
        return self


def parameters(connection: Connection) -> dict[str, str]:
    """Connection parameters as libpq names them. Raises FatalError CONFIG_INVALID for text that is no URL."""
    found = {**_parsed(connection.url), **_fields(connection)}
    if "password" in found:
        remember(found["password"])
    if not _local(found) and "sslmode" not in found:
        # libpq's own default, prefer, goes on in plain text when the server (or somebody between) says so
        found["sslmode"] = "verify-full"
        found.setdefault("sslrootcert", "system")
    found.setdefault("application_name", "headgate")
    found["connect_timeout"] = str(max(2, int(connection.connect_timeout.total_seconds())))
    found.update(keepalives="1", keepalives_idle="30", keepalives_interval="10", keepalives_count="3")
    found["tcp_user_timeout"] = "60000"
    found["client_encoding"] = "UTF8"
    found["options"] = (found.get("options", "") + " " + _session(connection)).strip()
    return found


def conninfo(connection: Connection, extra: Mapping[str, str] | None = None) -> str:
    """A connection string for libpq; ``extra`` are server settings. It holds the password: never show it."""
    from psycopg.conninfo import make_conninfo

    found = parameters(connection)
    if extra:
        found["options"] += " " + _settings(extra)
    return make_conninfo(**found)


def place(connection: Connection) -> str:
    """Where the database is, for people: host:port/database, never with a password."""
    found = {**_parsed(connection.url), **_fields(connection)}
    host = found.get("host", "localhost")
    port = f":{found['port']}" if "port" in found and not host.startswith("/") else ""
    return f"{host}{port}/{found.get('dbname', found.get('user', ''))}"


def connect(
    connection: Connection,
    *,
    autocommit: bool = True,
    settings: Mapping[str, str] | None = None,
    replication: bool = False,
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a session.

    Args:
        connection: where.
        autocommit: False for a transaction that starts with the first statement.
        settings: server settings of this session.
        replication: speak the protocol of replication too, for this database.

    Raises:
        FatalError: AUTHENTICATION_FAILED; CONNECTION_FAILED when it can never work (no such database, TLS refused).
        RetriableError: CONNECTION_FAILED when nothing answers.
    """
    library = driver()
    text = conninfo(connection, settings) + (" replication=database" if replication else "")
    try:
        session: psycopg.Connection[tuple[Any, ...]] = library.connect(text, autocommit=autocommit)
    except library.Error as error:
        raise explain_connecting(error, place(connection)) from None
    return session


def driver() -> Any:
    """The psycopg module. Raises FatalError DRIVER_MISSING."""
    try:
        import psycopg
    except ImportError as error:
        raise missing("psycopg", error) from None
    return psycopg


def missing(name: str, error: ImportError) -> FatalError:
    return FatalError(
        Code.DRIVER_MISSING,
        f"the driver {name} cannot be imported: {error}",
        operation="connect",
        object="postgres",
        hint="pip install 'headgate[postgres]'",
    )


def _parsed(url: Secret | None) -> dict[str, str]:
    if url is None:
        return {}
    psycopg = driver()
    try:
        found = psycopg.conninfo.conninfo_to_dict(url.reveal())
    except psycopg.Error:
        # the driver's message quotes the text, password included
        raise FatalError(
            Code.CONFIG_INVALID,
            "the url is not one that PostgreSQL's client understands",
            operation="connect",
            object="postgres",
            hint="write postgresql://user@host:5432/database; special characters in it must be percent-encoded",
        ) from None
    return {key: str(value) for key, value in found.items() if value is not None}


def _fields(connection: Connection) -> dict[str, str]:
    fields = {
        "host": connection.host,
        "port": connection.port,
        "dbname": connection.database,
        "user": connection.username,
        "password": connection.password.reveal() if connection.password else None,
        "sslmode": connection.sslmode,
        "sslrootcert": connection.sslrootcert,
    }
    return {key: str(value) for key, value in fields.items() if value is not None}


def _local(found: Mapping[str, str]) -> bool:
    hosts = found.get("hostaddr") or found.get("host", "")
    return all(host in {"", "localhost", "::1"} or host.startswith(("/", "@", "127.")) for host in hosts.split(","))


def _session(connection: Connection) -> str:
    times = {
        "statement_timeout": connection.statement_timeout,
        "lock_timeout": connection.lock_timeout,
    }
    milliseconds = {name: str(int(time.total_seconds() * 1000)) for name, time in times.items()}
    return _settings({**_HALF_OPEN, **_PLANNING, **milliseconds, **connection.options, **_SETTINGS})


def _settings(settings: Mapping[str, str]) -> str:
    def escape(value: str) -> str:
        return value.replace("\\", "\\\\").replace(" ", "\\ ")

    return " ".join(f"-c {escape(name)}={escape(value)}" for name, value in settings.items())
