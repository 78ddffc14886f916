"""PostgreSQL's errors as ours: the code says what happened, the class whether trying again helps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.secrets import mask
from headgate.io import misread
from headgate.io.rejections import CONSTRAINT, NULL, REFERRED, values_in

_REFUSED_LOGIN = re.compile(
    r"password authentication failed|authentication failed|no password supplied|no pg_hba\.conf entry"
    r"|role .* does not exist|is not permitted to log in|password is required|GSSAPI|certificate authentication",
    re.IGNORECASE,
)
_TLS = re.compile(r"SSL|certificate|TLS", re.IGNORECASE)
_WRONG_SETTING = re.compile(r"invalid value for parameter|unrecognized configuration parameter", re.IGNORECASE)
_NO_DATABASE = re.compile(r"database .* does not exist", re.IGNORECASE)
_NO_REPLICATION = re.compile(r"WAL ?sender|replication role|use replication slots", re.IGNORECASE)
_STAGE = re.compile(r"headgate_stage_[0-9a-f]{16}_\d+")
"""The name of a table until it takes another's place."""
_COLUMN = re.compile(r"COPY .*?, line (\d+), column (.+?)(?:: |$)", re.MULTILINE)


def explain_connecting(error: Exception, where: str) -> HeadgateError:
    """The error for a session that could not be opened. Servers tell the reason in words only."""
    text = _first_line(str(error))
    if "max_wal_senders" in text:
        return RetriableError(
            Code.CONNECTION_FAILED, text, operation="connect", object=where, hint="raise max_wal_senders of the server"
        )
    if _NO_REPLICATION.search(text):
        return FatalError(Code.AUTHENTICATION_FAILED, text, operation="connect", object=where, hint=_REPLICATE)
    if _REFUSED_LOGIN.search(text):
        return FatalError(
            Code.AUTHENTICATION_FAILED,
            text,
            operation="connect",
            object=where,
            hint="check username, password and the server's pg_hba.conf",
        )
    if _NO_DATABASE.search(text):
        return FatalError(
            Code.CONNECTION_FAILED, text, operation="connect", object=where, hint="create it, or mend the name"
        )
    if _WRONG_SETTING.search(text):
        return FatalError(
            Code.CONFIG_INVALID, text, operation="connect", object=where, hint="mend the options of the connection"
        )
    if _TLS.search(text) and "closed the connection unexpectedly" not in text:
        return FatalError(
            Code.CONNECTION_FAILED,
            text,
            operation="connect",
            object=where,
            hint=_trust(text),
        )
    return RetriableError(
        Code.CONNECTION_FAILED,
        text,
        operation="connect",
        object=where,
        hint="is the server running, and may this machine reach it?",
    )


def _trust(text: str) -> str:
    if "does not match host name" in text:
        return "use a host name that is in the certificate, or give the server one for this name"
    if "does not support SSL" in text:
        return "turn TLS on at the server; sslmode: disable only in a network that you trust"
    return "set sslrootcert to the authority that signed the server's certificate, and see that it has not expired"


@contextmanager
def explained(
    operation: str,
    object: str,  # noqa: A002
    code: Code = Code.LOAD_EXECUTION_FAILED,
    row: Callable[[int], str] = lambda _line: "",
) -> Iterator[None]:
    """Turn errors of psycopg into ours.

    Args:
        operation: what was done, and to what ``object``.
        code: for errors that have no code of their own.
        row: words for a row that was copied, by its number.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise explain(error, operation, object, code, row) from None


def explain(
    error: Any,
    operation: str,
    object: str,  # noqa: A002
    code: Code,
    row: Callable[[int], str] = lambda _line: "",
) -> HeadgateError:
    """The error of a statement, from psycopg or ADBC: both carry ``sqlstate``."""
    state = error.sqlstate or ""
    text = _first_line(str(error))
    if state in {"", "00000"}:
        kind, found, hint = _unstated(error, text)
    elif state == "23505":
        kind, found, hint = _unique(error)
    elif state == "23503" and text.startswith("update or delete"):
        kind, found, hint = FatalError, None, REFERRED
    elif state == "42501" and _NO_REPLICATION.search(text):
        kind, found, hint = FatalError, Code.AUTHENTICATION_FAILED, _REPLICATE
    elif state in _STATES:
        kind, found, hint = (_READING if operation == "scan" else _STATES)[state]
    elif state[:2] == "42":
        kind, found, hint = FatalError, None, misread.hint("PostgreSQL")
    elif state[:2] in {"08", "57"}:
        kind, found, hint = RetriableError, Code.CONNECTION_FAILED, "the server went away; try again"
    else:
        kind, found, hint = FatalError, None, ""
    if state in _NO_COLUMN and operation in misread.READS:
        found, hint = Code.PLAN_INVALID, misread.hint("PostgreSQL")
    elif state[:2] == "42" and state != "42501" and found is None and operation in misread.READS:
        found = Code.PLAN_INVALID
    hint = hint or _server_hint(error)
    column, which = _named(error, row)
    text = column + _STAGE.sub(object, text)
    values = (*([which] if which else []), *values_in(text))
    return kind(found or code, text, operation=operation, object=object, hint=hint, values=values)


Verdict = tuple[type[HeadgateError], Code | None, str]

_IN_THE_WAY = "another session was in the way; nothing was published"
_NO_NUL = "PostgreSQL holds no NUL in text: replace(column, chr(0), '') first, or hold such rows back with a rule"
_NO_ENCODING = (
    "the database keeps bytes without an encoding (SQL_ASCII): read a query that converts the column, as"
    " convert_from(convert(column::bytea, 'LATIN1', 'UTF8'), 'SQL_ASCII')"
)
_REPLICATE = (
    "ALTER ROLE … REPLICATION for the connection's role; services have a role to grant, such as rds_replication"
)
_SHORT = "the server is short of resources; try again later"
_NO_COLUMN = ("42703", "42701", "42804", "42846")
"""A column that is not there, is there twice, or is of another type: in the table, or in SQL that is read."""
_STATES: dict[str, Verdict] = {
    "40001": (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    "40P01": (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    "55P03": (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    "55006": (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    "57014": (RetriableError, None, "raise statement_timeout of the connection if this may take longer"),
    "53100": (FatalError, Code.DISK_FULL, "free space on the database server"),
    "53200": (RetriableError, Code.CONNECTION_FAILED, _SHORT),
    "53300": (RetriableError, Code.CONNECTION_FAILED, _SHORT),
    "53400": (RetriableError, None, ""),
    "28000": (FatalError, Code.AUTHENTICATION_FAILED, "check username and password"),
    "28P01": (FatalError, Code.AUTHENTICATION_FAILED, "check username and password"),
    "42501": (FatalError, None, "grant the connection's role what it needs, or use another role"),
    "42P01": (FatalError, Code.TABLE_NOT_FOUND, "check the name and the schema"),
    "3F000": (FatalError, Code.TABLE_NOT_FOUND, "check the name and the schema"),
    "42P07": (RetriableError, Code.CONFLICT, "another run created it meanwhile; try again"),
    "42710": (RetriableError, Code.CONFLICT, "another run created it meanwhile; try again"),
    "42601": (FatalError, None, "write one SELECT, or one condition, in PostgreSQL's SQL"),
    **dict.fromkeys(_NO_COLUMN, (FatalError, Code.SCHEMA_MISMATCH, "compare the columns and their types")),
    "23502": (FatalError, None, NULL),
    "23503": (FatalError, None, CONSTRAINT),
    "23001": (FatalError, None, REFERRED),
    "23514": (FatalError, None, CONSTRAINT),
    "23P01": (FatalError, None, CONSTRAINT),
    "21000": (FatalError, Code.DUPLICATE_KEYS, "two rows have the same key once it is in the column's own type"),
    "22021": (FatalError, None, _NO_NUL),
    "22P05": (FatalError, None, _NO_NUL),
    "22P02": (FatalError, None, "clean or cast the column first, or hold such rows back with a rule"),
    "22008": (FatalError, None, "PostgreSQL's times lie between 4713 BC and 294276 AD"),
}
_READING = _STATES | {"22021": (FatalError, None, _NO_ENCODING)}


def _unstated(error: Any, text: str) -> Verdict:
    """Errors that the client found itself: the connection broke, or it was used wrongly."""
    if type(error).__name__ in {"OperationalError", "InterfaceError"} or "connection" in text.lower():
        return RetriableError, Code.CONNECTION_FAILED, "the connection broke; try again"
    return FatalError, None, ""


def _unique(error: Any) -> Verdict:
    table = _diagnosis(error, "table_name")
    if table == "headgate_runs":
        return FatalError, Code.CONFLICT, "this execution is published already; see: headgate runs"
    if table.startswith(("headgate_", "pg_")) and not _STAGE.fullmatch(table):
        return RetriableError, Code.CONFLICT, "another run did the same at the same moment"
    hint = "the table has a unique index: deduplicate first, or use mode: upsert with its columns as keys"
    return FatalError, Code.DUPLICATE_KEYS, hint


def _diagnosis(error: Any, name: str) -> str:
    """A field of the server's message; ADBC has none."""
    import psycopg

    if not isinstance(error, psycopg.Error):
        return ""
    match name:
        case "table_name":
            return error.diag.table_name or ""
        case "column_name":
            return error.diag.column_name or ""
        case "context":
            return error.diag.context or ""
        case _:
            return error.diag.message_hint or ""


def _named(error: Any, row: Callable[[int], str]) -> tuple[str, str]:
    """The column, where the server says it, and the row, and what of that is the row's."""
    found = _COLUMN.search(_diagnosis(error, "context"))
    name, which = (found[2], row(int(found[1]))) if found else (_diagnosis(error, "column_name"), "")
    return (f'column "{name}"{f" of the row with {which}" if which else ""}: ' if name else ""), which


def _server_hint(error: Any) -> str:
    return mask(_diagnosis(error, "message_hint"))


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return mask(lines[0] if lines else "")
