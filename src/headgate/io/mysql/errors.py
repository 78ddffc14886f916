"""Errors of MySQL and MariaDB as ours: the code says what happened, the class whether trying again helps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.secrets import mask
from headgate.io import misread
from headgate.io.rejections import CONSTRAINT, NULL, REFERRED, values_in

Verdict = tuple[type[HeadgateError], Code | None, str]

_IN_THE_WAY = "another session was in the way; nothing was published"
_AWAY = "the server went away; try again"
_GRANT = "grant the connection's user what it needs, or use another user"
_AUTHORITY = "set tls_ca to the authority that signed the server's certificate"
_VALUE = "a value does not fit its column: cast it, or change the table"
_NUMBER = re.compile(r"ERROR (\d{4}) \(")
_INFILE = "rows are loaded by LOAD DATA LOCAL, which MySQL 8 forbids at first: SET GLOBAL local_infile = ON"
_NO_KEY = "rows are staged in tables without a key: SET sql_require_primary_key = OFF for this user's sessions"
_MISREAD = (1052, 1054, 1055, 1056, 1060, 1064, 1111, 1140, 1149, 1305, 1582, 1630, 1690)
"""What is wrong with SQL that the server was given."""
_NUMBERS: dict[int, Verdict] = {
    1044: (FatalError, Code.AUTHENTICATION_FAILED, _GRANT),
    1045: (FatalError, Code.AUTHENTICATION_FAILED, "check username and password"),
    1698: (FatalError, Code.AUTHENTICATION_FAILED, "check username and password"),
    **dict.fromkeys((1820, 1862), (FatalError, Code.AUTHENTICATION_FAILED, "the password has expired: set a new one")),
    3159: (FatalError, Code.CONNECTION_FAILED, "the server takes encrypted connections only: tls: require"),
    1049: (FatalError, Code.CONNECTION_FAILED, "create the database, or mend its name"),
    1040: (RetriableError, Code.CONNECTION_FAILED, "the server has too many connections; try again later"),
    1053: (RetriableError, Code.CONNECTION_FAILED, _AWAY),
    1077: (RetriableError, Code.CONNECTION_FAILED, _AWAY),
    1317: (RetriableError, Code.CONNECTION_FAILED, "the statement was interrupted by somebody else"),
    1927: (RetriableError, Code.CONNECTION_FAILED, "the session was ended by somebody else"),
    2002: (RetriableError, Code.CONNECTION_FAILED, "is the server running, and may this machine reach it?"),
    2003: (RetriableError, Code.CONNECTION_FAILED, "is the server running, and may this machine reach it?"),
    2006: (RetriableError, Code.CONNECTION_FAILED, _AWAY),
    2013: (RetriableError, Code.CONNECTION_FAILED, _AWAY),
    2026: (FatalError, Code.CONNECTION_FAILED, _AUTHORITY),
    1020: (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    1205: (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    1213: (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    1412: (RetriableError, Code.CONFLICT, _IN_THE_WAY),
    1969: (RetriableError, None, "raise statement_timeout of the connection if this may take longer"),
    3024: (RetriableError, None, "raise statement_timeout of the connection if this may take longer"),
    1021: (FatalError, Code.DISK_FULL, "free space on the database server"),
    1114: (FatalError, Code.DISK_FULL, "free space on the database server"),
    1142: (FatalError, None, _GRANT),
    1227: (FatalError, None, _GRANT),
    **dict.fromkeys((1148, 3948, 4166), (FatalError, Code.UNSUPPORTED, _INFILE)),
    1290: (FatalError, None, "the server only reads: name the one that is written to"),
    1836: (FatalError, None, "the server only reads: name the one that is written to"),
    3750: (FatalError, Code.UNSUPPORTED, _NO_KEY),
    1054: (FatalError, Code.SCHEMA_MISMATCH, "compare the columns and their types"),
    1060: (RetriableError, Code.CONFLICT, "another run added the column meanwhile; try again"),
    1050: (RetriableError, Code.CONFLICT, "another run created it meanwhile; try again"),
    1146: (FatalError, Code.TABLE_NOT_FOUND, "check the name and the database"),
    1137: (FatalError, Code.UNSUPPORTED, "this server cannot keep histories; MariaDB can, or use mode: merge"),
    1103: (FatalError, Code.UNSUPPORTED, "choose another name"),
    1166: (FatalError, Code.UNSUPPORTED, "choose another name"),
    1118: (FatalError, Code.UNSUPPORTED, "the row is larger than the server's storage allows"),
    1117: (FatalError, Code.UNSUPPORTED, "the table has too many columns for the server"),
    1264: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    1265: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    1292: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    1366: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    1406: (FatalError, Code.SCHEMA_MISMATCH, _VALUE),
    1048: (FatalError, None, NULL),
    **dict.fromkeys((1216, 1452, 3819, 4025), (FatalError, None, CONSTRAINT)),
    **dict.fromkeys((1217, 1451), (FatalError, None, REFERRED)),
    1364: (FatalError, None, "the table has a column without a default that the rows lack"),
}


def explain_connecting(error: Exception, where: str) -> HeadgateError:
    """The error for a session that could not be opened."""
    return explain(error, "connect", where, Code.CONNECTION_FAILED)


@contextmanager
def explained(operation: str, object: str, code: Code = Code.LOAD_EXECUTION_FAILED) -> Iterator[None]:  # noqa: A002
    """Turn the driver's errors into ours. ``code`` is for those that have no code of their own."""
    import pymysql

    try:
        yield
    except (pymysql.Error, OSError) as error:
        raise explain(error, operation, object, code) from None


def explain(error: Exception, operation: str, object: str, code: Code) -> HeadgateError:  # noqa: A002
    number, text = _parts(error)
    if number == 2003 and ("SSL" in text or "certificate" in text):
        number = 2026
    kind, found, hint = _NUMBERS.get(number, (FatalError, None, ""))
    if number in (1062, 1169):
        kind, found, hint = _unique(text)
    if number == 2026:
        hint = _trust(text)
    if number in _MISREAD and operation in misread.READS:
        kind, found, hint = FatalError, Code.PLAN_INVALID, misread.hint("MySQL")
    if number == 0:
        kind, found, hint = RetriableError, Code.CONNECTION_FAILED, "the connection broke; try again"
    return kind(found or code, mask(text), operation=operation, object=object, hint=hint, values=values_in(text))


def told(text: str, object: str) -> HeadgateError | None:  # noqa: A002
    """The error in another library's text of a read; None where it has no number of the server's."""
    found = _NUMBER.search(text)
    if found is not None and int(found[1]) in _MISREAD:
        hint = misread.hint("MySQL")
        return FatalError(Code.PLAN_INVALID, mask(text), operation="scan", object=object, hint=hint)
    if found is None or int(found[1]) not in _NUMBERS:
        return None
    kind, code, hint = _NUMBERS[int(found[1])]
    return kind(code or Code.EXTRACTION_FAILED, mask(text), operation="scan", object=object, hint=hint)


def _trust(text: str) -> str:
    if "mismatch" in text or "not valid for" in text:
        return "use a host name that is in the certificate, or give the server one for this name"
    if "expired" in text:
        return "the server needs a new certificate"
    if "support" in text:
        return "turn TLS on at the server; tls: disable only in a network that you trust"
    return _AUTHORITY


def _parts(error: Exception) -> tuple[int, str]:
    """(number, message); 0 where the driver itself lost the connection."""
    args: tuple[Any, ...] = error.args
    if len(args) >= 2 and isinstance(args[0], int) and not isinstance(error, OSError):
        return args[0], str(args[1]).splitlines()[0] if args[1] else type(error).__name__
    text = str(error).splitlines()[0] if str(error) else ""
    return 0, "the connection is gone" if text in {"", "(0, '')"} else text


def _unique(text: str) -> Verdict:
    if "execution_id" in text or "headgate_runs" in text:
        return FatalError, Code.CONFLICT, "this execution is published already; see: headgate runs"
    hint = "the table has a unique key: deduplicate first, or use mode: upsert with its columns as keys"
    return FatalError, Code.DUPLICATE_KEYS, hint
