"""Cursor columns of SQLite: what they hold, and how the moments in them are written, for they are compared as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from headgate.core.contracts import Interval, Window
from headgate.core.errors import Code, FatalError
from headgate.io.cursor import Cursor
from headgate.io.cursor_values import Kind, Value, coerce, last_come
from headgate.io.sqlite import Executes, TableColumn
from headgate.io.sqlite_relation import Binder
from headgate.sql.literals import quote_name

_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d(?:(?P<separator>[T ])\d\d:\d\d(?::\d\d(?:\.(?P<fraction>\d+))?)?(?P<zone>Z|\+00(?::?00)?)?)?"
)
_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


@dataclass(frozen=True)
class TimeText:
    """How a column writes its moments; all of them must be written so, else their order as text would be wrong."""

    sample: str
    separator: str = " "
    zone: str = ""
    digits: int = 0

    @classmethod
    def of(cls, sample: str, kind: Kind) -> TimeText | None:
        """None if ``sample`` is not a moment that sorts as text (another offset than UTC does not)."""
        found = _MOMENT.fullmatch(sample)
        if found is None or (kind == "date" and len(sample) != 10):
            return None
        return cls(sample, found["separator"] or " ", found["zone"] or "", len(found["fraction"] or ""))

    def condition(self, column: str, kind: Kind) -> str:
        """SQL that holds where a value is written like the sample."""
        base = f"typeof({column}) = 'text' AND {column} GLOB '{_DATE}*'"
        separated = f"substr({column}, 11, 1) = '{self.separator}'"
        length = len(self.zone)
        match self.zone:
            case _ if kind == "date":
                return f"({base} AND length({column}) = 10)"
            case "":
                return (
                    f"({base} AND (length({column}) = 10 OR {separated}) AND {column} NOT GLOB '{'?' * 11}*[^0-9:.]*')"
                )
            case "Z":
                same = f"length({column}) = {len(self.sample)}"
                return f"({base} AND {separated} AND {same} AND substr({column}, -1) = 'Z')"
            case _:
                time = f"substr({column}, 12, length({column}) - {11 + length})"
                same = f"substr({column}, -{length}) = '{self.zone}'"
                return f"({base} AND {separated} AND {same} AND {time} NOT GLOB '*[^0-9:.]*')"

    def first(self, value: Any) -> str:
        """The first text, in order, that means ``value``."""
        if not isinstance(value, datetime):
            return str(value.isoformat())
        if self.zone == "Z":
            return self._fixed(value, "0")
        moment = _utc(value)
        day, time = moment.date().isoformat(), moment.time()
        if not self.zone and time == time.min:
            return day
        text = moment.strftime("%H:%M") if not (time.second or time.microsecond) else moment.strftime("%H:%M:%S")
        fraction = f".{time.microsecond:06d}".rstrip("0") if time.microsecond else ""
        return f"{day}{self.separator}{text}{fraction}{self.zone}"

    def last(self, value: Any) -> str:
        """The last text, in order, that means ``value``; digits after a microsecond are below it."""
        if not isinstance(value, datetime):
            return str(value.isoformat())
        if self.zone == "Z":
            return self._fixed(value, "9")
        return _utc(value).isoformat(sep=self.separator, timespec="microseconds") + "~"

    def _fixed(self, value: datetime, pad: str) -> str:
        moment = _utc(value)
        digits = f"{moment.microsecond:06d}".ljust(self.digits, pad)[: self.digits]
        minutes = moment.strftime("%H:%M:%S") if len(self.sample) > 17 else moment.strftime("%H:%M")
        return f"{moment.date().isoformat()}{self.separator}{minutes}{'.' + digits if digits else ''}Z"


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def find_kind(connection: Executes, column: TableColumn, quoted: str, relation: str) -> Kind:
    """What a cursor column holds. Raises FatalError if it has no order that SQLite and we agree on."""
    match column.type.holds:
        case "int" | "float" | "text" | "date" | "timestamp" | "timestamptz":
            return column.type.holds
        case "time":
            return "text"
        case "decimal" if not column.type.exact:
            return "decimal"
        case "any":
            (storage,) = connection.execute(
                f"SELECT typeof({quoted}) FROM {relation} ORDER BY {quoted} COLLATE BINARY DESC LIMIT 1"
            ).fetchone() or ("text",)
            kinds: dict[str, Kind] = {"integer": "int", "real": "float"}
            return kinds.get(storage, "text")
        case _:
            raise FatalError(
                Code.UNSUPPORTED,
                f'"{column.name}" ({column.declared}) has no order that a cursor could follow',
                operation="probe",
                object=column.name,
                hint="use an integer, a date or a timestamp as the cursor",
            )


def comparable(kind: Kind, quoted: str, time: TimeText | None) -> str:
    """SQL that holds where a cell compares rightly with the others; SQLite orders by storage class first."""
    match kind:
        case "int":
            return f"typeof({quoted}) = 'integer'"
        case "float" | "decimal":
            return f"typeof({quoted}) IN ('integer', 'real')"
        case "text":
            return f"typeof({quoted}) = 'text'"
        case _:
            return time.condition(quoted, kind) if time else "1"


def bindable(value: Value) -> Any:
    """A cursor value as sqlite3 binds it."""
    return float(value) if isinstance(value, Decimal) else value


def mixed(column: str, example: Any, rows: int) -> FatalError:
    """The error for a cursor whose cells do not compare with each other."""
    return FatalError(
        Code.EXTRACTION_FAILED,
        f"{rows} value{'' if rows == 1 else 's'} of {column} cannot be compared with {example!r}, the highest one:"
        " SQLite keeps them as another type, or written in another way",
        operation="probe",
        object=column,
        hint="write them alike, or read a query: that does, such as SELECT *, strftime('%Y-%m-%d %H:%M:%f', …)",
    )


@dataclass(frozen=True)
class CursorColumn:
    """The cursor of one read, and how SQLite compares it."""

    cursor: Cursor
    sql: str
    time: TimeText | None

    def start(self, bind: Binder) -> str:
        return self.cursor.start_condition(self.sql, lambda value: bind(self.first(value)))

    def within(self, bind: Binder, window: Window) -> str:
        def last(value: Value) -> str:
            return bind(self.time.last(value) if self.time else bindable(value))

        return self.cursor.condition(self.sql, lambda value: bind(self.first(value)), window, last)

    def inside(self, bind: Binder, interval: Interval) -> str:
        """The cursor lies in the interval, whose end is exclusive."""
        name = self.cursor.options.column
        start, end = (coerce(at, self.cursor.kind, name, Code.USAGE) for at in (interval.start, interval.end))
        return f"{self.sql} >= {bind(self.first(start))} AND {self.sql} < {bind(self.first(end))}"

    def come(self, bind: Binder, highest: Any, now: datetime) -> str:
        """SQL for times that have come, where the highest cell has not; empty elsewhere."""
        last = last_come(self.cursor.kind, now)
        if self.time is None or last is None or str(highest) <= self.time.last(last):
            return ""
        return f"({self.sql} <= {bind(self.time.last(last))})"

    def odd(self) -> str:
        """Cells that do not compare with the others."""
        name = quote_name(self.cursor.options.column)
        return f"{name} IS NOT NULL AND NOT {comparable(self.cursor.kind, name, self.time)}"

    def first(self, value: Value) -> Any:
        return self.time.first(value) if self.time else bindable(value)
