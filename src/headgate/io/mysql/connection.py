"""How to reach a MySQL or MariaDB server: options, and sessions that cannot hang, downgrade or give files away."""

from __future__ import annotations

import ssl
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pydantic import Field, model_validator

from headgate.core.errors import Code, FatalError
from headgate.core.models import ConnectionOptions, Duration
from headgate.core.secrets import Secret, mask, remember
from headgate.io.mysql.errors import explain_connecting

MODES = (
    "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE"
    ",ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
"""Standard SQL, and values that do not fit are errors: the server's own default may cut and zero them."""

OPTIONAL = ("SET SESSION max_", "SET SESSION join_")
"""Each server has its own name for how long a read may take; MariaDB must be told to join by hashes, MySQL does."""

_LOCAL = {"", "localhost", "127.0.0.1", "::1"}


class Connection(ConnectionOptions):
    """A MySQL or MariaDB database: ``url``, or single fields; both may be mixed, single fields win."""

    type: Literal["mysql"] = "mysql"
    url: Secret | None = Field(
        default=None, description="mysql://user@host:3306/database, with ?unix_socket=/path for a socket."
    )
    host: str | None = Field(default=None, description="Host name or address; default: this machine.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Default: 3306.")
    unix_socket: str | None = Field(default=None, description="Path of the server's socket, instead of a host.")
    database: str | None = Field(default=None, description="Name of the database.")
    username: str | None = Field(default=None, description="User to log in as.")
    password: Secret | None = Field(default=None, description="A reference such as ${file:/run/secrets/shop}.")
    tls: Literal["disable", "verify"] | None = Field(
        default=None, description="Default: verify for other machines, disable for this one."
    )
    tls_ca: str | None = Field(default=None, description="File of trusted certificates; default: the system's.")
    connect_timeout: Duration = Field(default=timedelta(seconds=10), description="How long connecting may take.")
    statement_timeout: Duration = Field(default=timedelta(0), description="How long a read may take; 0: any time.")
    lock_timeout: Duration = Field(default=timedelta(seconds=30), description="How long to wait for a lock.")

    @model_validator(mode="after")
    def _somewhere(self) -> Connection:
        if self.url is None and self.database is None:
            raise ValueError("say where the database is: url, or host, database, username and password")
        return self


def parameters(connection: Connection) -> dict[str, Any]:
    """Host, port, socket, database, user and password. Raises FatalError CONFIG_INVALID for text that is no URL."""
    found = _parsed(connection.url) if connection.url else {}
    fields = {
        "host": connection.host,
        "port": connection.port,
        "unix_socket": connection.unix_socket,
        "database": connection.database,
        "user": connection.username,
        "password": connection.password.reveal() if connection.password else None,
    }
    found.update({name: value for name, value in fields.items() if value is not None})
    if found.get("password"):
        remember(found["password"])
    return found


def _parsed(url: Secret) -> dict[str, Any]:
    try:
        parts = urlsplit(url.reveal())
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.scheme.partition("+")[0] not in {"mysql", "mariadb"} or set(options) - {"unix_socket", "socket"}:
            raise ValueError("another scheme, or unknown options")
        found = {
            "host": parts.hostname,
            "port": parts.port,
            "unix_socket": options.get("unix_socket") or options.get("socket"),
            "database": unquote(parts.path.lstrip("/")) or None,
            "user": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
        }
    except ValueError:
        raise FatalError(  # without the text, which holds the password
            Code.CONFIG_INVALID,
            "the url is not one of a MySQL or MariaDB database",
            operation="connect",
            object="mysql",
            hint="write mysql://user@host:3306/database; special characters in it must be percent-encoded",
        ) from None
    return {name: value for name, value in found.items() if value is not None}


def place(connection: Connection) -> str:
    """Where the database is, for people: never with a password."""
    found = parameters(connection)
    where = found.get("unix_socket") or f"{found.get('host', 'localhost')}:{found.get('port', 3306)}"
    return f"{where}/{found.get('database', '')}"


def encrypted(connection: Connection) -> bool:
    """Whether sessions use TLS; a certificate is then always verified."""
    if connection.tls is not None:
        return connection.tls == "verify"
    found = parameters(connection)
    return not found.get("unix_socket") and found.get("host", "") not in _LOCAL


def connect(connection: Connection, *, read_only: bool = False, isolation: str = "REPEATABLE READ") -> Any:
    """Open a session in autocommit mode.

    Raises:
        FatalError: AUTHENTICATION_FAILED; CONNECTION_FAILED when it can never work (no such database, TLS refused).
        RetriableError: CONNECTION_FAILED when nothing answers.
    """
    library, found = driver(), parameters(connection)
    from headgate.io.mysql.protocol import ClientSession

    wait = max(1, int(connection.connect_timeout.total_seconds()))
    tls = _trusting(connection.tls_ca) if encrypted(connection) else None
    try:
        session = ClientSession(
            **{"host": "localhost", **found},
            charset="utf8mb4",
            autocommit=True,
            local_infile=True,  # what is sent are our rows only, whatever file the server asks for
            client_flag=library.constants.CLIENT.FOUND_ROWS,
            connect_timeout=wait,
            read_timeout=wait,
            ssl=tls,
            ssl_disabled=tls is None,
            program_name="headgate",
        )
    except (library.Error, OSError) as error:
        raise explain_connecting(error, place(connection)) from None
    except RuntimeError as error:  # the driver's word for a package that it lacks
        raise _no_secret(error, connection) from None
    session.keep_alive()
    with session.cursor() as cursor:
        for statement in settings(connection, read_only=read_only, isolation=isolation):
            try:
                cursor.execute(statement)
            except library.Error as error:
                if not statement.startswith(OPTIONAL):
                    raise explain_connecting(error, place(connection)) from None
    session.settled()
    return session


def _no_secret(error: RuntimeError, connection: Connection) -> FatalError:
    """MySQL 8 takes passwords through TLS, a Unix socket, or encrypted by a package that is not always there."""
    return FatalError(
        Code.DRIVER_MISSING,
        f"the server wants the password encrypted: {mask(str(error))}",
        operation="connect",
        object=place(connection),
        hint="tls: require, the server's Unix socket, or: pip install cryptography",
    )


def _trusting(authority: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:  # ssl.SSLError too
        raise FatalError(
            Code.CONFIG_INVALID,
            f"tls_ca is no file of certificates: {error.strerror or error}",
            operation="connect",
            object=str(authority),
            hint="name a PEM file, or leave tls_ca out to trust what the system trusts",
        ) from None


def settings(connection: Connection, *, read_only: bool, isolation: str) -> list[str]:
    """Statements that every session starts with."""
    waits = max(1, int(connection.lock_timeout.total_seconds()))
    values = {
        "sql_mode": f"'{MODES}'",
        "time_zone": "'+00:00'",
        "lock_wait_timeout": waits,
        "innodb_lock_wait_timeout": waits,
        "net_write_timeout": 600,
        "net_read_timeout": 600,
    }
    found = [
        "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in values.items()),
        f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation}",
    ]
    if not read_only:
        found.append("SET SESSION join_cache_level = 4, join_buffer_size = 16777216")
    seconds = connection.statement_timeout.total_seconds()
    if read_only:
        found.append("SET SESSION TRANSACTION READ ONLY")
        if seconds:
            found += [
                f"SET SESSION max_statement_time = {seconds}",
                f"SET SESSION max_execution_time = {seconds * 1000:.0f}",
            ]
    return found


def arrow_url(connection: Connection) -> str:
    """The URL as connectorx takes it. It holds the password: never show it."""
    found = parameters(connection)
    password = ":" + quote(found["password"], safe="") if found.get("password") else ""
    user = quote(found.get("user") or "root", safe="") + password
    database = quote(found.get("database", ""), safe="")
    if found.get("unix_socket"):
        return f"mysql://{user}@localhost/{database}?socket={quote(found['unix_socket'], safe='/')}"
    return f"mysql://{user}@{found.get('host', '127.0.0.1')}:{found.get('port', 3306)}/{database}"


def driver() -> Any:
    """The pymysql module. Raises FatalError DRIVER_MISSING."""
    try:
        import pymysql
    except ImportError as error:
        raise missing("pymysql", error) from None
    return pymysql


def missing(name: str, error: ImportError) -> FatalError:
    return FatalError(
        Code.DRIVER_MISSING,
        f"the driver {name} cannot be imported: {error}",
        operation="connect",
        object="mysql",
        hint="pip install 'headgate[mysql]'",
    )
