"""Engines of SQLAlchemy: pooled, with health checks; sessions that speak standard SQL in UTC; errors that are ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.models import ConnectionOptions, Duration
from headgate.core.secrets import Secret, mask, remember
from headgate.io import misread
from headgate.io.rejections import CONSTRAINT, NULL, values_in

if TYPE_CHECKING:
    import sqlalchemy

_CONNECTING = {
    **dict.fromkeys(("psycopg", "psycopg2", "pymysql", "mysqldb", "mariadbconnector"), "connect_timeout"),
    **dict.fromkeys(("pymssql", "pytds"), "login_timeout"),
}
"""How drivers call the time that connecting may take, in seconds."""
_IN_THE_WAY = ("locked", "deadlock", "lock wait timeout", "lock timeout", "could not serialize", "snapshot")
_NO_TABLE = ("no such table", "doesn't exist", "does not exist", "undefinedtable", "invalid object name")
_CONSTRAINT = re.compile(r"constraint .*(failed|is violated)")
"""What MySQL says of a check, which its driver does not call an error of integrity."""
_NO_DATABASE = re.compile(r"unknown database|database .* does not exist|cannot open database")
_MISREAD = ("syntax", "function", "no such column", "unknown column", "duplicate column", "ambiguous")
_LOGIN = ("password authentication failed", "access denied", "login failed", "no password supplied")


class Connection(ConnectionOptions):
    """A database by its SQLAlchemy URL: the slow but general way. Install the driver that the URL names."""

    type: Literal["sqlalchemy"] = Field(default="sqlalchemy", description="Any database with a SQLAlchemy dialect.")
    url: Secret = Field(description="A URL as SQLAlchemy takes it: dialect+driver://user@host/database.")
    pool_size: int = Field(default=10, ge=1, le=100, description="Connections that are kept.")
    max_overflow: int = Field(default=20, ge=0, le=100, description="Connections beyond those, for moments.")
    pool_recycle: Duration = Field(default=timedelta(hours=1), description="Age at which a connection is replaced.")
    pool_timeout: Duration = Field(default=timedelta(seconds=30), description="How long to wait for a connection.")
    connect_timeout: Duration = Field(
        default=timedelta(seconds=10),
        description="How long connecting may take, for drivers that are known: psycopg, psycopg2, pymysql, mysqldb, "
        "mariadbconnector, pymssql, pytds.",
    )


def engine(connection: Connection, root: Path, *, read_only: bool = False) -> sqlalchemy.Engine:
    """An engine; nothing is opened yet. Relative paths of SQLite are the project's."""
    alchemy = driver()
    try:
        url = alchemy.make_url(connection.url.reveal())
        if url.password:
            remember(str(url.password))
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            url = url.set(database=str((root / url.database).resolve()))
        waits = _waits(url.get_driver_name(), connection.connect_timeout)
        made: sqlalchemy.Engine = alchemy.create_engine(
            url,
            connect_args=waits,
            poolclass=alchemy.QueuePool,
            pool_size=connection.pool_size,
            max_overflow=connection.max_overflow,
            pool_pre_ping=True,
            pool_recycle=int(connection.pool_recycle.total_seconds()),
            pool_timeout=connection.pool_timeout.total_seconds(),
            hide_parameters=True,
        )
    except (ImportError, ValueError, alchemy.exc.ArgumentError, alchemy.exc.NoSuchModuleError) as error:
        missing = isinstance(error, ImportError | alchemy.exc.NoSuchModuleError)
        raise FatalError(
            Code.DRIVER_MISSING if missing else Code.CONFIG_INVALID,
            mask(str(error).splitlines()[0]) if missing else "the url is not one that SQLAlchemy understands",
            operation="connect",
            object="sqlalchemy",
            hint="install the dialect and driver that the url names, for example mysql+pymysql or postgresql+psycopg"
            if missing
            else "write dialect+driver://user@host/database, with one driver at most",
        ) from None

    def settle(raw: Any, _: Any) -> None:
        _settle(made.dialect.name, raw, read_only=read_only)

    # before the dialect looks at the first connection, or it would take quotes for what they are not
    alchemy.event.listen(made, "connect", settle, insert=True)
    return made


def _waits(driver_name: str, wait: timedelta) -> dict[str, int]:
    """What the driver is told of the time that connecting may take."""
    names = [_CONNECTING[driver_name]] if driver_name in _CONNECTING else []
    if driver_name == "pymysql":  # else only the network's part of it would end
        names.append("read_timeout")
    return dict.fromkeys(names, max(1, int(wait.total_seconds())))


def _settle(dialect: str, raw: Any, *, read_only: bool) -> None:
    """What each new connection is told: UTC, standard quotes, strict values, read-only where the database can."""
    statements: dict[str, list[str]] = {
        "postgresql": ["SET TIME ZONE 'UTC'", "SET lock_timeout = '30s'"],
        "mysql": [
            "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES'",
            "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 30",
        ],
        "sqlite": ["PRAGMA busy_timeout = 10000"],
    }
    only: dict[str, str] = {
        "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "mysql": "SET SESSION TRANSACTION READ ONLY",
        "sqlite": "PRAGMA query_only = ON",
    }
    name = "mysql" if dialect == "mariadb" else dialect
    wanted = [*statements.get(name, []), *([only[name]] if read_only and name in only else [])]
    if name == "mysql" and not read_only:
        # else a table made for the transaction, in another session, would be newer than the transaction's snapshot
        wanted.append("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    cursor = raw.cursor()
    for statement in wanted:
        cursor.execute(statement)
    cursor.close()
    if getattr(raw, "_read_timeout", None) is not None:
        raw._read_timeout = None  # connecting is over, and work may take its time
    if name != "sqlite":
        raw.commit()


def driver() -> Any:
    """The sqlalchemy module. Raises FatalError DRIVER_MISSING."""
    try:
        import sqlalchemy
    except ImportError as error:
        raise FatalError(
            Code.DRIVER_MISSING,
            f"SQLAlchemy cannot be imported: {error}",
            operation="connect",
            object="sqlalchemy",
            hint="pip install 'headgate[sqlalchemy]'",
        ) from None
    return sqlalchemy


@contextmanager
def explained(operation: str, object_: str) -> Iterator[None]:
    """Turn errors of SQLAlchemy into ours."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise explain(error, operation, object_) from None


def explain(error: Exception, operation: str, object_: str) -> HeadgateError:
    from sqlalchemy import exc

    original = getattr(error, "orig", None) or error
    text = mask(str(original).splitlines()[0] if str(original) else type(original).__name__)
    lowered = text.lower()
    code = Code.LOAD_EXECUTION_FAILED if operation in ("stage", "publish", "claim") else Code.EXTRACTION_FAILED
    kind: type[HeadgateError] = FatalError
    hint = ""
    if any(word in lowered for word in _IN_THE_WAY):
        kind, code, hint = RetriableError, Code.CONFLICT, "another session was in the way; nothing was published"
    elif any(word in lowered for word in _LOGIN):
        code, hint = Code.AUTHENTICATION_FAILED, "check username and password"
    elif (absent := _absent(operation, lowered)) is not None:
        code, hint = absent
    elif isinstance(error, exc.IntegrityError) or _CONSTRAINT.search(lowered):
        code, hint = _rejected(lowered)
    elif isinstance(error, exc.DataError):
        code, hint = Code.SCHEMA_MISMATCH, "a value does not fit its column: cast it, or change the table"
    elif operation in misread.READS and isinstance(error, exc.ProgrammingError):
        code, hint = Code.PLAN_INVALID, misread.hint("the database")
    elif isinstance(error, exc.DisconnectionError | exc.TimeoutError) or getattr(
        error, "connection_invalidated", False
    ):
        kind, code, hint = RetriableError, Code.CONNECTION_FAILED, "the connection broke; try again"
    elif operation == "connect" and isinstance(error, exc.OperationalError):
        kind, code, hint = (
            RetriableError,
            Code.CONNECTION_FAILED,
            "is the server running, and may this machine reach it?",
        )
    return kind(code, text, operation=operation, object=object_, hint=hint, values=values_in(text))


def _absent(operation: str, text: str) -> tuple[Code, str] | None:
    """Code and hint where a name, or what SQL says, means nothing to the database."""
    if operation == "connect" and _NO_DATABASE.search(text):
        return Code.CONNECTION_FAILED, "create the database, or mend its name"
    if operation in misread.READS and any(word in text for word in _MISREAD):
        return Code.PLAN_INVALID, misread.hint("the database")
    if any(word in text for word in _NO_TABLE) and "column" not in text:
        return Code.TABLE_NOT_FOUND, "check the name and the schema"
    return None


def _rejected(text: str) -> tuple[Code, str]:
    """Code and hint for a row that a constraint rejects, by the words of the database."""
    if "execution_id" in text or "headgate_runs" in text:
        return Code.CONFLICT, "this execution is published already; see: headgate runs"
    if any(word in text for word in ("unique", "duplicate", "primary")):
        return Code.DUPLICATE_KEYS, "deduplicate first, or use mode: upsert with the table's keys"
    return Code.LOAD_EXECUTION_FAILED, NULL if "null" in text else CONSTRAINT
