"""Cursor values: typed text that comes back exactly, and hashes of rows."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, assert_never

from headgate.core.errors import RESET, Code, FatalError

Kind = Literal["int", "decimal", "float", "text", "date", "timestamp", "timestamptz"]
Value = int | Decimal | float | str | date | datetime


def coerce(value: Any, kind: Kind, column: str, code: Code = Code.STATE_INVALID) -> Value:
    """A value as the cursor's kind: from a configuration, a position, or a driver that delivers text.

    A time without a zone is UTC where the kind has one; a zone is converted to UTC where it has none.
    """
    try:
        found = _convert(value, kind)
    except (ValueError, InvalidOperation, OverflowError, TypeError):
        raise FatalError(
            code,
            f"{value!r} cannot be a position in {column}, which holds {kind}",
            operation="probe",
            object=column,
            hint=f"begin anew with: {RESET}, or mend incremental.start",
        ) from None
    if isinstance(found, float | Decimal) and not math.isfinite(found):
        raise FatalError(
            Code.EXTRACTION_FAILED,
            f"{column} holds {found}, and nothing could come after it",
            operation="probe",
            object=column,
            hint="mend the row, or leave it out with where",
        )
    return found


def _convert(value: Any, kind: Kind) -> Value:  # noqa: C901 - one branch a kind  # noqa: C901 - one branch a kind
    if isinstance(value, bool):
        raise TypeError("a boolean does not grow")
    match kind:
        case "int":
            whole = int(value) if isinstance(value, str) else value
            if int(whole) != whole:
                raise ValueError("not whole")
            return int(whole)
        case "decimal":
            return value if isinstance(value, Decimal) else Decimal(str(value))
        case "float":
            return float(value)
        case "text":
            return value.isoformat() if isinstance(value, date) else str(value)
        case "date":
            day = _datetime(value)
            if day.time() != time(0):
                raise ValueError("a time of day would be lost")
            return day.date()
        case "timestamp":
            moment = _datetime(value)
            return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        case "timestamptz":
            moment = _datetime(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        case _:
            assert_never(kind)


def _datetime(value: Any) -> datetime:
    match value:
        case datetime():
            return value
        case date():
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the kind decides on the zone
        case str():
            return datetime.fromisoformat(value.strip())
        case _:
            raise TypeError("not a time")


def encode(value: Any, kind: Kind, column: str) -> str:
    """Text from which :func:`decode` makes the same value."""
    found = coerce(value, kind, column, Code.EXTRACTION_FAILED)
    match found:
        case date():
            return found.isoformat()
        case float():
            return repr(found + 0.0)  # -0.0 and 0.0 are one place
        case Decimal():
            return _plain(found)
        case _:
            return str(found)


def _plain(value: Decimal) -> str:
    """All digits, without an exponent and trailing zeros; ``Decimal.normalize`` would round to 28 of them."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def decode(text: Any, kind: Kind, column: str) -> Value:
    return coerce(text, kind, column)


def earlier(value: Value, lag: timedelta) -> Value:
    """``value - lag``, not before the first day there is; a date goes back to the day that holds the moment."""
    if not lag:
        return value
    match value:
        case datetime():
            first = datetime.min.replace(tzinfo=value.tzinfo)
            return value - lag if value - first > lag else first
        case date():
            days = -(-lag // timedelta(days=1))
            return value - timedelta(days=days) if value - date.min > timedelta(days=days) else date.min
        case _:
            raise AssertionError("a lag needs a time")


def last_come(kind: Kind, now: datetime) -> Value | None:
    """The last moment that has come by a clock: what has no zone may be in any, up to 14 hours ahead.

    None for what is no time. Rows beyond it wait, or the position would go ahead of all that comes before their time.
    """
    anywhere = now.astimezone(UTC).replace(tzinfo=None) + timedelta(hours=14)
    return {"timestamptz": now, "timestamp": anywhere, "date": anywhere.date()}.get(kind)


def row_hash(values: Sequence[Any]) -> str:
    """16 characters that stand for the values and their types: 96 bits, so that no two rows meet."""
    digest = hashlib.blake2b(digest_size=12)
    for value in values:
        text = _canonical(value).encode("utf-8", "surrogatepass")
        digest.update(f"{len(text)}:".encode())
        digest.update(text)
    return base64.b64encode(digest.digest(), b"-_").decode()


def _canonical(value: Any) -> str:
    match value:
        case str():
            return "s" + value
        case None | bool():
            return f"b{value}"
        case int() | float():
            return f"s{value!r}"  # as its text: a source may deliver a column as numbers now and as text later
        case Decimal():
            return "n" + (_plain(value) if value.is_finite() else str(value))
        case datetime():
            return "t" + (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case bytes():
            return "x" + value.hex()
        case Mapping():
            return "{" + row_hash([item for pair in value.items() for item in pair])
        case list() | tuple():
            return "[" + row_hash(value)
        case _:
            return f"{type(value).__name__} {value}"
