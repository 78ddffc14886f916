"""How to reach a SQL Server: options, and sessions that cannot hang, send a password in the clear or cut values."""

from __future__ import annotations

import ssl
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, model_validator

from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.models import ConnectionOptions, Duration
from headgate.core.secrets import Secret, remember
from headgate.io.sqlserver.errors import explain

PORT = 1433
_LOCAL = {"", "localhost", "127.0.0.1", "::1"}
_SCHEMES = {"mssql", "sqlserver"}


class Connection(ConnectionOptions):
    """SQL Server or Azure SQL, protocol-tested, not service-tested: ``url``, or single fields, which win if mixed."""

    type: Literal["sqlserver"] = "sqlserver"
    url: Secret | None = Field(default=None, description="sqlserver://user@host:1433/database.")
    host: str | None = Field(
        default=None, description="Host name or address, also host\\\\INSTANCE; default: this machine."
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Default: 1433.")
    database: str | None = Field(default=None, description="Name of the database.")
    username: str | None = Field(default=None, description="SQL login.")
    password: Secret | None = Field(default=None, description="A reference such as ${file:/run/secrets/shop}.")
    tls: Literal["disable", "verify"] | None = Field(
        default=None, description="Default: verify for other machines, disable for this one."
    )
    tls_ca: str | None = Field(default=None, description="File of trusted certificates; default: the system's.")
    isolation: Literal["snapshot", "serializable"] = Field(
        default="snapshot",
        description="How a read sees one state of the database. snapshot locks nothing, and the database must allow "
        "it; serializable locks what it reads until the read ends.",
    )
    intent: Literal["read_only", "read_write"] = Field(
        default="read_only",
        description="ApplicationIntent of sources: read_only lets an availability group send them to a replica.",
    )
    connect_timeout: Duration = Field(default=timedelta(seconds=10), description="How long connecting may take.")
    statement_timeout: Duration = Field(
        default=timedelta(0), description="How long a server may be silent in a read; 0: any time."
    )
    lock_timeout: Duration = Field(default=timedelta(seconds=30), description="How long to wait for a lock.")

    @model_validator(mode="after")
    def _somewhere(self) -> Connection:
        if self.url is None and self.database is None:
            raise ValueError("say where the database is: url, or host, database, username and password")
        return self


def parameters(connection: Connection) -> dict[str, Any]:
    """Host, port, database, user and password. Raises FatalError CONFIG_INVALID for text that is no URL."""
    found = _parsed(connection.url) if connection.url else {}
    fields = {
        "host": connection.host,
        "port": connection.port,
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
        if parts.scheme.partition("+")[0] not in _SCHEMES or parse_qs(parts.query):
            raise ValueError("another scheme, or options")
        found = {
            "host": parts.hostname,
            "port": parts.port,
            "database": unquote(parts.path.lstrip("/")) or None,
            "user": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
        }
    except ValueError:
        raise FatalError(  # without the text, which holds the password
            Code.CONFIG_INVALID,
            "the url is not one of a SQL Server database",
            operation="connect",
            object="sqlserver",
            hint="write sqlserver://user@host:1433/database; special characters in it must be percent-encoded",
        ) from None
    return {name: value for name, value in found.items() if value is not None}


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
    return parameters(connection).get("host", "").partition("\\")[0] not in _LOCAL


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
            cafile=_trusted(connection.tls_ca) if secure else None,
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


def _trusted(authority: str | None) -> str:
    """A file of certificates. Raises FatalError CONFIG_INVALID."""
    path = authority or ssl.get_default_verify_paths().cafile or ssl.get_default_verify_paths().openssl_cafile
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError too
        raise FatalError(
            Code.CONFIG_INVALID,
            f"tls_ca is no file of certificates: {error.strerror or error}",
            operation="connect",
            object=str(authority or path),
            hint="name a PEM file, or leave tls_ca out to trust what the system trusts",
        ) from None
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
