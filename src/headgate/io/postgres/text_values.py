"""Values that the server sent as text, in the Arrow types in which a scan would have read them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import time
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.types import ELEMENTS, FREE_SCALE, NAMES, ReadColumn, numeric

if TYPE_CHECKING:
    import pyarrow as pa

_ELEMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^,{}"]+)', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SPAN = re.compile(
    rb"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d+))?S)?)?"
)


def text_array(column: ServerColumn, read: ReadColumn, values: pa.Array[Any], table: str) -> pa.Array[Any]:
    """A column of changes, of which Arrow has the bytes. Raises FatalError for what Arrow cannot hold."""
    import pyarrow as pa

    kind = NAMES.get(column.oid, "array")
    try:
        return _converted(kind, column, read, values)
    except (pa.ArrowException, ValueError):
        which = "an" if kind in ("array", "interval") else "a"
        why = "nested, or not counted from 1" if kind == "array" else "infinity, or a time too far away"
        raise FatalError(
            Code.EXTRACTION_FAILED,
            f'column "{column.name}" holds {which} {kind} that Arrow cannot hold ({why})',
            operation="scan",
            object=table,
            hint="leave the column out with columns:, or mend the value and run again",
        ) from None


def _converted(kind: str, column: ServerColumn, read: ReadColumn, values: pa.Array[Any]) -> pa.Array[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    match kind:
        case "bool":
            return pa.array([None if v is None else v == b"t" for v in _bytes(values)], pa.bool_())
        case "bytea":
            return pa.array([bytes.fromhex(v[2:].decode()) if v else None for v in _bytes(values)], pa.binary())
        case "timestamptz":
            return _utc(values.cast(pa.string())).cast(pa.timestamp("us")).cast(read.arrow)
        case "time":
            return pa.array([time.fromisoformat(v.decode()) if v else None for v in _bytes(values)], read.arrow)
        case "interval":
            return pa.array([_span(v) if v else None for v in _bytes(values)], read.arrow)
        case "bpchar":
            return pc.utf8_rtrim(values.cast(pa.string()), " ")
        case "numeric" if numeric(column.typmod) is None and read.cast:
            return pa.array([_free(v) for v in _bytes(values)], pa.binary()).cast(pa.string())
        case "array" if pa.types.is_list(read.arrow):
            return _lists(column, read, values)
        case _:
            found = values.cast(pa.string())
            return found if found.type == read.arrow else found.cast(read.arrow)


def _bytes(values: pa.Array[Any]) -> list[bytes | None]:
    found: list[bytes | None] = values.to_pylist()
    return found


def _lists(column: ServerColumn, read: ReadColumn, values: pa.Array[Any]) -> pa.Array[Any]:
    import pyarrow as pa

    offsets: list[int | None] = []
    flat: list[bytes | None] = []
    for value in _bytes(values):
        offsets.append(len(flat) if value else None)
        if value:
            flat += _elements(value)
    element = replace(column, oid=ELEMENTS[column.oid])
    kind: Any = read.arrow
    within = ReadColumn(column.name, "", kind.value_type, read.cast)
    found = _converted(NAMES[element.oid], element, within, pa.array(flat, pa.binary()))
    ends = pa.array([*offsets, len(flat)], pa.int32())
    return pa.ListArray.from_arrays(ends, found.cast(kind.value_type)).cast(kind)


def _elements(text: bytes) -> list[bytes | None]:
    """The elements of an array of one dimension that is counted from 1; ValueError for any other."""
    if text[:1] != b"{" or (text.find(b"{", 1) >= 0 and b"{" in _ELEMENT.sub(b"", text[1:])):
        raise ValueError(f"{text[:40]!r} is no plain array")
    inside = text[1:-1]
    if b'"' not in inside:
        return [None if v == b"NULL" else v for v in inside.split(b",")] if inside else []
    found: list[bytes | None] = []
    for match in _ELEMENT.finditer(inside):
        quoted, bare = match.groups()
        found.append(_ESCAPED.sub(rb"\1", quoted) if quoted is not None else None if bare == b"NULL" else bare)
    return found


def _span(text: bytes) -> tuple[int, int, int]:
    """Months, days and nanoseconds of an interval in the style of ISO 8601, where each part has its own sign."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no interval")
    years, months, days, hours, minutes = (int(part or 0) for part in found.groups()[:5])
    sign, seconds, fraction = found.groups()[5:]
    part = int(seconds or 0) * 10**9 + int((fraction or b"").ljust(9, b"0"))
    return years * 12 + months, days, (hours * 60 + minutes) * 60 * 10**9 + (-part if sign else part)


def _utc(values: pa.Array[Any]) -> pa.Array[Any]:
    """The times of a session in UTC, without its zone."""
    import pyarrow.compute as pc

    if pc.all(pc.ends_with(values, "+00")).as_py() is False:
        raise ValueError("not all are times in UTC")
    return pc.utf8_slice_codeunits(values, 0, -3)


def _free(value: bytes | None) -> bytes | None:
    """As a scan reads a numeric that declares no scale: with too many places it is marked, so that it is no decimal."""
    if not value:
        return value
    places = len(value.partition(b".")[2].rstrip(b"0"))
    return value if places <= FREE_SCALE else value + f" has more than {FREE_SCALE} decimal places".encode()
