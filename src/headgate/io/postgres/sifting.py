"""Rows that PostgreSQL leaves out on their way to the engine: which values it compares, and which may be in error."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.core.grounds import Ground
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.outlet import DIALECT
from headgate.io.postgres.types import ELEMENTS, NAMES, decimal, is_decimal
from headgate.io.sifting import Sifting
from headgate.sql.literals import quote_name

_COMPARED = {"bool", "int2", "int4", "int8", "text", "varchar", "bpchar", "date", "timestamp"}
_UNKNOWN = {"interval"} | {f"{NAMES[element]}[]" for element in ELEMENTS.values()}


def ground(columns: Sequence[ServerColumn], obstacle: str, *, ordered: bool = True) -> Ground:
    known: dict[str, str] = {}
    for column in columns:
        kind, name = _kind(column), quote_name(column.name)
        if kind in _COMPARED or (kind == "numeric" and decimal(column.typmod) is not None):
            known[column.name] = f"{name}::text" if kind == "bpchar" else name
        if kind in _UNKNOWN and not obstacle:
            obstacle = f'values of "{column.name}" ({kind}) can be read or not only by the client'
    return Ground(DIALECT, known, obstacle, ordered)


def sifting(keeps: Sequence[str], columns: Sequence[ServerColumn]) -> Sifting:
    sound = (_sound(column) for column in columns)
    return Sifting(tuple(keeps), tuple(condition for condition in sound if condition))


def _kind(column: ServerColumn) -> str:
    if column.oid in ELEMENTS:
        return f"{NAMES[ELEMENTS[column.oid]]}[]"
    return NAMES.get(column.oid, "")


def _sound(column: ServerColumn) -> str:
    """A condition under which a value can be read and cast; empty: always."""
    name = quote_name(column.name)
    match _kind(column):
        case "date":
            good = f"{name} BETWEEN '0001-01-01' AND '9999-12-31'"
        case "timestamp":
            good = f"{name} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'"
        case "timestamptz":
            good = f"{name} BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'"
        case "time":
            good = f"{name} < '24:00'"
        case "numeric" if decimal(column.typmod) is None:
            return ""
        case "numeric":
            good = is_decimal(column)
        case _:
            return ""
    return f"{name} IS NULL OR ({good})"
