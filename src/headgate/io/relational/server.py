"""How to reach a database server, whatever its product: the options all have, and what a URL says of them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, model_validator

from headgate.core.errors import Code, FatalError
from headgate.core.models import ConnectionOptions, Duration
from headgate.core.secrets import Secret, remember

LOCAL = {"", "localhost", "127.0.0.1", "::1"}


class ServerConnection(ConnectionOptions):
    """``url``, or single fields, which win if both are given."""

    product: ClassVar[str]
    schemes: ClassVar[frozenset[str]]
    example: ClassVar[str]
    """A URL as it is to be written."""
    url_options: ClassVar[Mapping[str, str]] = {}
    """Options of a URL, by what they are called there."""
    url: Secret | None = None
    host: str | None = Field(default=None, description="Host name or address; default: this machine.")
    port: int | None = Field(default=None, ge=1, le=65535)
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
    def _somewhere(self) -> Self:
        if self.url is None and self.database is None:
            raise ValueError("say where the database is: url, or host, database, username and password")
        return self

    def single_fields(self) -> dict[str, Any]:
        """What is said beside the URL; None where it is not."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.username,
            "password": self.password.reveal() if self.password else None,
        }


def parameters(connection: ServerConnection) -> dict[str, Any]:
    """Host, port, database, user, password and what the product has more, those that are said.

    Raises:
        FatalError: CONFIG_INVALID for text that is no URL of the product.
    """
    found = _parsed(connection, connection.url) if connection.url else {}
    found.update({name: value for name, value in connection.single_fields().items() if value is not None})
    if found.get("password"):
        remember(found["password"])
    return found


def _parsed(connection: ServerConnection, url: Secret) -> dict[str, Any]:
    try:
        parts = urlsplit(url.reveal())
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.scheme.partition("+")[0] not in connection.schemes or options.keys() - connection.url_options.keys():
            raise ValueError("another scheme, or unknown options")
        found = {
            "host": parts.hostname,
            "port": parts.port,
            "database": unquote(parts.path.lstrip("/")) or None,
            "user": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            **{connection.url_options[name]: value for name, value in options.items()},
        }
    except ValueError:
        raise FatalError(  # without the text, which holds the password
            Code.CONFIG_INVALID,
            f"the url is not one of a {connection.product} database",
            operation="connect",
            object=str(connection.type),
            hint=f"write {connection.example}; special characters in it must be percent-encoded",
        ) from None
    return {name: value for name, value in found.items() if value is not None}


def trusted(authority: str | None) -> ssl.SSLContext:
    """A context that verifies certificates by a file of authorities, or by those of the system.

    Raises:
        FatalError: CONFIG_INVALID.
    """
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
