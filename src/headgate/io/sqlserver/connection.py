"""How to reach a SQL Server: options, and sessions that cannot hang, send a password in the clear or cut values."""

from __future__ import annotations

import ssl
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.models import Duration
from headgate.core.secrets import Secret
from headgate.io.relational.server import LOCAL, ServerConnection, parameters, trusted
from headgate.io.sqlserver.errors import explain

PORT = 1433


class Connection(ServerConnection):
    """SQL Server or Azure SQL, protocol-tested, not service-tested: ``url``, or single fields, which win if mixed."""

    product: ClassVar[str] = "SQL Server"
    schemes: ClassVar[frozenset[str]] = frozenset({"mssql", "sqlserver"})
    example: ClassVar[str] = "sqlserver://user@host:1433/database"
    type: Literal["sqlserver"] = "sqlserver"
    url: Secret | None = Field(default=None, description="sqlserver://user@host:1433/database.")
    host: str | None = Field(
        default=None, description="Host name or address, also host\\\\INSTANCE; default: this machine."
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Default: 1433.")
    username: str | None = Field(default=None, description="SQL login.")
    isolation: Literal["snapshot", "serializable"] = Field(
        default="snapshot",
        description="How a read sees one state of the database. snapshot locks nothing, and the database must allow "
        "it; serializable locks what it reads until the read ends.",
    )
    intent: Literal["read_only", "read_write"] = Field(
        default="read_only",
        description="ApplicationIntent of sources: read_only lets an availability group send them to a replica.",
    )
    statement_timeout: Duration = Field(
        default=timedelta(0), description="How long a server may be silent in a read; 0: any time."
    )


def place(connection: Connection) -> str:
    """Where the database is, for people: never with a password."""
    found = parameters(connection)
    host = found.get("host", "localhost")
    port = "" if "\\" in host else f":{found.get('port', PORT)}"
    return f"{host}{port}/{found.get('database', '')}"


def encrypted(connection: Connection) -> bool:
    """Whether sessions use TLS; a certificate is then always verified."""
    if connection.tls is not None:
        return connection.tls == "verify"
    return parameters(connection).get("host", "").partition("\\")[0] not in LOCAL


def connect(connection: Connection, *, read_only: bool = False) -> Any:
    """Open a session in autocommit mode.

    Raises:
        FatalError: AUTHENTICATION_FAILED; CONNECTION_FAILED when it can never work (no such database, TLS refused);
            DRIVER_MISSING.
        RetriableError: CONNECTION_FAILED when nothing answers.
    """
    library, found = driver(), parameters(connection)
    host = found.get("host", "localhost")
    quiet = connection.statement_timeout.total_seconds() if read_only else 0
    wait = max(1.0, connection.connect_timeout.total_seconds())
    secure = encrypted(connection)
    if secure:
        _needs_tls()
    try:
        raw = library.connect(
            dsn=host,
            port=None if "\\" in host else found.get("port", PORT),
            database=found.get("database"),
            user=found.get("user"),
            password=found.get("password"),
            cafile=_authorities(connection.tls_ca) if secure else None,
            validate_host=True,
            login_timeout=wait,
            timeout=quiet or None,
            autocommit=True,
            readonly=read_only and connection.intent == "read_only",
            appname="headgate",
            disable_connect_retry=True,
        )
    except Exception as error:
        if isinstance(error, HeadgateError):
            raise
        raise explain(error, "connect", place(connection), Code.CONNECTION_FAILED) from None
    return raw


def settings(connection: Connection) -> list[str]:
    """Statements that every session starts with: standard quotes, no cut values, all or nothing, bounded waits."""
    return [
        "SET QUOTED_IDENTIFIER, ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL ON",
        "SET NUMERIC_ROUNDABORT OFF",
        "SET IMPLICIT_TRANSACTIONS OFF",
        "SET XACT_ABORT ON",
        "SET DATEFORMAT ymd",
        f"SET LOCK_TIMEOUT {max(1, int(connection.lock_timeout.total_seconds() * 1000))}",
    ]


def _authorities(authority: str | None) -> str | None:
    """A file of certificates that is one: the driver takes no context. Raises FatalError CONFIG_INVALID."""
    path = authority or ssl.get_default_verify_paths().cafile or ssl.get_default_verify_paths().openssl_cafile
    trusted(path)
    return path


def driver() -> Any:
    """The pytds module. Raises FatalError DRIVER_MISSING."""
    try:
        import pytds
    except ImportError as error:
        raise _missing("python-tds", error) from None
    return pytds


def _needs_tls() -> None:
    """Have the driver check a certificate's names as we do: what it calls is gone from pyOpenSSL."""
    try:
        import OpenSSL.SSL  # noqa: F401 - the driver imports it by itself, and says less if it is not there
        from pytds import tls
    except ImportError as error:
        raise _missing("pyopenssl", error) from None
    tls.validate_host = _is_for


def _is_for(cert: Any, name: bytes) -> bool:
    """Whether a certificate, which was verified, is for a host: by its alternative names alone."""
    from cryptography import x509

    host = name.decode().lower().rstrip(".")
    try:
        names = cert.to_cryptography().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    known = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    known |= {domain.lower().rstrip(".") for domain in names.get_values_for_type(x509.DNSName)}
    _, dot, domain = host.partition(".")
    return host in known or (bool(dot) and f"*.{domain}" in known)


def _missing(name: str, error: ImportError) -> FatalError:
    return FatalError(
        Code.DRIVER_MISSING,
        f"the driver {name} cannot be imported: {error}",
        operation="connect",
        object="sqlserver",
        hint="pip install 'headgate[sqlserver]'",
    )
