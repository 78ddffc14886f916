"""Errors of SQL Server as ours: the code says what happened, the class whether trying again helps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.secrets import mask
from headgate.io import misread
from headgate.io.rejections import CONSTRAINT, NULL, values_in

Verdict = tuple[type[HeadgateError], Code | None, str]

_IN_THE_WAY = "another session was in the way; nothing was published"
_AWAY = "the server went away; try again"
_BUSY = "the service is busy or moving; try again later"
_GRANT = "grant the connection's user what it needs, or use another user"
_LOGIN = "check username and password"
_VALUE = "a value does not fit its column: cast it, or change the table"
_SNAPSHOT = "ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON, or isolation: serializable, which locks what it reads"
_NUMBERS: dict[int, Verdict] = {
    18456: (FatalError, Code.AUTHENTICATION_FAILED, _LOGIN),
    18452: (FatalError, Code.AUTHENTICATION_FAILED, "use a SQL login; those of Windows are not supported"),
    18486: (FatalError, Code.AUTHENTICATION_FAILED, "the login is locked"),
    18487: (FatalError, Code.AUTHENTICATION_FAILED, "the password has expired"),
    18488: (FatalError, Code.AUTHENTICATION_FAILED, "the password must be changed first"),
    916: (FatalError, Code.AUTHENTICATION_FAILED, _GRANT),
    40615: (FatalError, Code.CONNECTION_FAILED, "let this machine through the server's firewall"),
    911: (FatalError, Code.CONNECTION_FAILED, "create the database, or mend its name"),
    4060: (FatalError, Code.CONNECTION_FAILED, "create the database, mend its name, or let the login into it"),
    596: (RetriableError, Code.CONNECTION_FAILED, "the session was ended by somebody else"),
    6005: (RetriableError, Code.CONNECTION_FAILED, _AWAY),
    17142: (RetriableError, Code.CONNECTION_FAILED, _AWAY),
    10928: (RetriableError, Code.CONNECTION_FAILED, _BUSY),
    10929: (RetriableError, Code.CONNECTION_FAILED, _BUSY),
    40197: (RetriableError, Code.CONNECTION_FAILED, _BUSY),
    40501: (RetriableError, Code.CONNECTION_FAILED, _BUSY),
    40613: (RetriableError, Code.CONNECTION_FAILED, _BUSY),
    49918: (RetriableError, Code.CONNECTION_FAILED, _BUSY),
    1205: (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    1222: (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    3960: (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    3961: (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    2705: (RetriableError, Code.CONFLICT, "another run added the column meanwhile; try again"),
    2714: (RetriableError, Code.CONFLICT, "another run created it meanwhile; try again"),
    3952: (FatalError, Code.UNSUPPORTED, _SNAPSHOT),
    1101: (FatalError, Code.DISK_FULL, "free space on the database server"),
    1105: (FatalError, Code.DISK_FULL, "free space on the database server"),
    9002: (FatalError, Code.DISK_FULL, "the transaction log is full: back it up, or let it grow"),
    40544: (FatalError, Code.DISK_FULL, "the database has reached its size quota"),
    229: (FatalError, None, _GRANT),
    230: (FatalError, None, _GRANT),
    262: (FatalError, None, _GRANT),
    3906: (FatalError, None, "the database is read-only: use another, or its primary replica"),
    207: (FatalError, Code.SCHEMA_MISMATCH, "compare the columns and their types"),
    208: (FatalError, Code.TABLE_NOT_FOUND, "check the name, the schema and the database"),
    468: (
        FatalError,
        Code.UNSUPPORTED,
        "texts of two collations are compared: name the collation, or change the table",
    ),
    1033: (FatalError, None, "leave out ORDER BY: the query is read as a table"),
    156: (FatalError, None, "the query is read as a table: it can have no WITH and no ORDER BY, a view can"),
    8155: (FatalError, None, "give each column of the query a name"),
    1701: (FatalError, Code.UNSUPPORTED, "the row is larger than the server's pages allow"),
    1702: (FatalError, Code.UNSUPPORTED, "the table has too many columns for the server"),
    220: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    241: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    242: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    245: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    2628: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    8114: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    8115: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    8152: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    515: (FatalError, None, NULL),
    547: (FatalError, None, CONSTRAINT),
}


_MISREAD = (102, 156, 170, 174, 195, 207, 209, 319, 1033, 4104, 8120, 8155)
"""What is wrong with SQL that the server was given."""
_SAYS_HOW = (156, 1033, 8155)
"""Those whose hint in ``_NUMBERS`` says how the SQL is mended; the hint of others is about tables."""


@contextmanager
def explained(operation: str, object: str, code: Code = Code.LOAD_EXECUTION_FAILED) -> Iterator[None]:  # noqa: A002
    """Turn the driver's errors into ours. ``code`` is for those that have no code of their own."""
    import pytds

    try:
        yield
    except (pytds.Error, OSError) as error:
        raise explain(error, operation, object, code) from None


def explain(error: Exception, operation: str, object: str, code: Code) -> HeadgateError:  # noqa: A002
    number, text = _parts(error)
    if number in (2601, 2627):
        kind, found, hint = _unique(text)
    elif number:
        kind, found, hint = _NUMBERS.get(number, (FatalError, None, ""))
    elif _is_tls(error, text):
        kind, found, hint = FatalError, Code.CONNECTION_FAILED, _trust(text)
    else:
        kind, found, hint = RetriableError, Code.CONNECTION_FAILED, "the connection broke; try again"
        if operation == "connect":
            hint = "is the server running, and may this machine reach it?"
    if number in _MISREAD and operation in misread.READS:
        found, hint = Code.PLAN_INVALID, hint if number in _SAYS_HOW else misread.hint("SQL Server")
    return kind(found or code, mask(text), operation=operation, object=object, hint=hint, values=values_in(text))


def _parts(error: Exception) -> tuple[int, str]:
    """(number, message); 0 where the driver itself lost the connection."""
    number = int(getattr(error, "msg_no", 0) or 0)
    text = str(getattr(error, "text", "") or error).strip()
    silent = "the server did not answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    return number, text.splitlines()[0] if text else silent


def _is_tls(error: Exception, text: str) -> bool:
    return type(error).__module__.startswith("OpenSSL") or any(word in text for word in ("ertificate", "ncryption"))


def _trust(text: str) -> str:
    if "does not match" in text:
        return "use the host name that is in the certificate, or give the server one for this name"
    if "expired" in text:
        return "the server needs a new certificate"
    if "required by server" in text:
        return "set tls: verify, and tls_ca to the authority that signed the server's certificate"
    if "ncryption" in text:
        return "turn TLS on at the server; tls: disable only in a network that you trust"
    return "set tls_ca to the authority that signed the server's certificate"


def _unique(text: str) -> Verdict:
    if "execution_id" in text or "headgate_runs" in text:
        return FatalError, Code.CONFLICT, "this execution is published already; see: headgate runs"
    hint = "the table has a unique key: deduplicate first, or use mode: upsert with its columns as keys"
    return FatalError, Code.DUPLICATE_KEYS, hint
