"""How to reach a MySQL or MariaDB server: options, and sessions that cannot hang, downgrade or give files away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from headgate.core.errors import Code, FatalError
from headgate.core.secrets import Secret, mask
from headgate.io.mysql.errors import explain_connecting
from headgate.io.relational.server import LOCAL, ServerConnection, parameters, trusted

MODES = (
    "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE"
    ",ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
"""Standard SQL, and values that do not fit are errors: the server's own default may cut and zero them."""

OPTIONAL = ("SET SESSION max_", "SET SESSION join_")
"""Each server has its own name for how long a read may take; MariaDB must be told to join by hashes, MySQL does."""


class Connection(ServerConnection):
    """A MySQL or MariaDB database: ``url``, or single fields; both may be mixed, single fields win."""

    product: ClassVar[str] = "MySQL or MariaDB"
    schemes: ClassVar[frozenset[str]] = frozenset({"mysql", "mariadb"})
    example: ClassVar[str] = "mysql://user@host:3306/database"
    url_options: ClassVar[Mapping[str, str]] = {"socket": "unix_socket", "unix_socket": "unix_socket"}
    type: Literal["mysql"] = "mysql"
    url: Secret | None = Field(
        default=None, description="mysql://user@host:3306/database, with ?unix_socket=/path for a socket."
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Default: 3306.")
    unix_socket: str | None = Field(default=None, description="Path of the server's socket, instead of a host.")

    def single_fields(self) -> dict[str, Any]:
        return {**super().single_fields(), "unix_socket": self.unix_socket}


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
    return not found.get("unix_socket") and found.get("host", "") not in LOCAL


def connect(connection: Connection, *, read_only: bool = False, isolation: str = "REPEATABLE READ") -> Any:
    """Open a session in autocommit mode.

    Raises:
        FatalError: AUTHENTICATION_FAILED; CONNECTION_FAILED when it can never work (no such database, TLS refused).
        RetriableError: CONNECTION_FAILED when nothing answers.
    """
    library, found = driver(), parameters(connection)
    from headgate.io.mysql.protocol import ClientSession

    wait = max(1, int(connection.connect_timeout.total_seconds()))
    tls = trusted(connection.tls_ca) if encrypted(connection) else None
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
