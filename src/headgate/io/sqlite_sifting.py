"""Rows that SQLite leaves out: cells compared only where they are what their column declares, whatever it may hold."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.core.grounds import Ground
from headgate.io.sifting import Sifting
from headgate.io.sqlite import ColumnType, TableColumn
from headgate.io.sqlite_rows import ReadColumn
from headgate.sql.literals import quote_name

DIALECT = "sqlite"
MOST_UNITS = 10**11
"""Decimals are doubles: so many of their smallest unit are told from each other whatever was computed with them."""
_KEPT = {
    "int": ("integer",),
    "float": ("real",),
    "text": ("text",),
    "blob": ("blob",),
}


def ground(columns: Sequence[TableColumn], read: Sequence[ReadColumn], obstacle: str) -> Ground:
    """What may be compared: ``read`` says how each of the columns is delivered."""
    known: dict[str, str] = {}
    for column, delivered in zip(columns, read, strict=True):
        sound, value = _cell(column.type, delivered)
        if value:
            known[column.name] = value
        if not sound and not obstacle:
            obstacle = f'cells of "{column.name}" ({column.declared}) are errors or none only to the engine'
    return Ground(DIALECT, known, obstacle)


def sifting(keeps: Sequence[str], columns: Sequence[TableColumn], read: Sequence[ReadColumn]) -> Sifting:
    """The conditions, for rows all of whose cells are as declared."""
    sound = (_cell(column.type, delivered)[0] for column, delivered in zip(columns, read, strict=True))
    return Sifting(
        tuple(keeps), tuple(f"{quote_name(c.name)} IS NULL OR ({s})" for c, s in zip(read, sound, strict=True))
    )


def _cell(type_: ColumnType, read: ReadColumn) -> tuple[str, str]:
    """(a condition under which a cell has no error in it, SQL for its value in its true type); empty: there is none."""
    name = quote_name(read.name)
    kind, text = f"typeof({name})", f"CAST({name} AS TEXT)"  # else a literal would be a number beside a NUMERIC column
    match type_.holds:
        case "any" if read.raw == "bool":
            return "", ""
        case "any":
            return f"{kind} = '{_KEPT[read.raw][0]}'", name if read.raw in ("int", "text") else ""
        case "int" | "text":
            return f"{kind} = '{_KEPT[type_.holds][0]}'", name
        case "float" | "blob":
            return f"{kind} = '{_KEPT[type_.holds][0]}'", ""
        case "bool":
            return f"{kind} = 'integer' AND {name} IN (0, 1)", name
        case "date":
            return f"{kind} = 'text' AND date({name}, '+0 days') = {text} AND {text} >= '0001'", text
        case "timestamp":
            return _moment(name, text), f"substr({name} || '.000000', 1, 26)"
        case "decimal" if not type_.exact:
            return _decimal(type_, name)
        case _:
            return "", ""


# "+0 days" has SQLite compute a date; as it stands it takes the 30th of February for one
def _moment(name: str, text: str) -> str:
    """A moment with all six digits of its second, or none: then texts are in the order of time."""
    whole = f"datetime({name}, '+0 days') = substr({name}, 1, 19) AND {text} >= '0001'"
    digits = f"substr({name}, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]'"
    return f"typeof({name}) = 'text' AND {whole} AND (length({name}) = 19 OR {digits})"


def _decimal(type_: ColumnType, name: str) -> tuple[str, str]:
    """Doubles as whole numbers of the smallest unit, where they are the nearest to one: others have more places."""
    units = f"({name} * {10**type_.scale})"
    within = f"abs({units}) < {min(MOST_UNITS, 10**type_.precision - 1)}"
    exact = f"{name} = round({units}) / {10**type_.scale}.0"
    return f"typeof({name}) IN ('integer', 'real') AND {within} AND {exact}", f"CAST(round({units}) AS INTEGER)"
