"""Conditions in the SQL of a source that mean there what they mean in DuckDB, or no translation at all.

The grammar is small: columns compared with literals, IN, BETWEEN, IS NULL and what AND, OR and NOT make of them. What
differs between databases is how a value and a literal of each type are written; a type that a dialect does not list is
not compared there. Each entry is proven by the parity suite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlglot import exp

from headgate.core.errors import FatalError
from headgate.sql.literals import quote_name, quote_text
from headgate.sql.types import COMPARED, DIALECT, EXACT_DIGITS, WIDEST, Family, SqlType, parse_type

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")
_TURNED = {"=": "=", "<>": "<>", ">": "<", ">=": "<=", "<": ">", "<=": ">="}


class Unsiftable(Exception):  # noqa: N818 - no error: the engine drops the rows
    """What a source does not compare as the engine does, in words."""


Literal = Callable[[str, SqlType], str]
"""A literal's text (a number, a date, a moment, a text; 1 or 0) beside a column of a type."""


@dataclass(frozen=True)
class Dialect:
    """How a database compares.

    Args:
        name: for people.
        literals: the families that are compared there, and how their literals are written.
        value: how a text is written so that it is compared byte by byte.
        ordered: whether texts are ordered by their bytes, too.
    """

    name: str
    literals: Mapping[Family, Literal]
    text: Callable[[str], str]
    ordered: bool = True


def _as_is(text: str, type_: SqlType) -> str:  # noqa: ARG001
    return text


def _cast(kind: str) -> Literal:
    return lambda text, type_: f"CAST({quote_text(text)} AS {kind})"  # noqa: ARG005


def _mysql_time(kind: str) -> Literal:
    def literal(text: str, type_: SqlType) -> str:  # noqa: ARG001
        if text < "1000":
            raise Unsiftable(f"MySQL promises nothing of years such as {text[:4]}")
        return f"{kind}{quote_text(text)}"

    return literal


def _sqlite_whole(text: str, type_: SqlType) -> str:  # noqa: ARG001
    """Its numbers are 64 bits wide, or doubles."""
    fits = -(2**63) < int(text) < 2**63 if "." not in text else len(text.lstrip("-")) <= EXACT_DIGITS + 1
    if not fits:
        raise Unsiftable(f"SQLite does not keep all digits of {text}")
    return text


def _sqlite_decimal(text: str, type_: SqlType) -> str:
    """Its decimals are doubles; readers make whole numbers of them, of their smallest unit."""
    scaled = Decimal(text).scaleb(type_.scale)
    if scaled != scaled.to_integral_value():
        raise Unsiftable(f"{text} has more places than {type_.name}")
    return _sqlite_whole(str(int(scaled)), type_)


def _quoted(text: str, type_: SqlType) -> str:  # noqa: ARG001
    return quote_text(text)


DIALECTS: Mapping[str, Dialect] = {
    "postgres": Dialect(
        "PostgreSQL",
        {
            "integer": _as_is,
            "decimal": _as_is,
            "date": _cast("date"),
            "timestamp": _cast("timestamp"),
            "text": _quoted,
            "boolean": lambda text, type_: "TRUE" if text == "1" else "FALSE",  # noqa: ARG005
        },
        lambda sql: f'({sql} COLLATE "C")',
    ),
    "mysql": Dialect(
        "MySQL",
        {
            "integer": _as_is,
            "decimal": _as_is,
            "date": _mysql_time("DATE"),
            "timestamp": _mysql_time("TIMESTAMP"),
            "text": lambda text, type_: f"X'{text.encode().hex()}'",  # noqa: ARG005
            "boolean": _as_is,
        },
        lambda sql: f"CAST(CONVERT({sql} USING utf8mb4) AS BINARY)",
    ),
    "sqlite": Dialect(
        "SQLite",
        {
            "integer": _sqlite_whole,
            "decimal": _sqlite_decimal,
            "date": _quoted,
            "timestamp": _quoted,
            "text": _quoted,
            "boolean": _as_is,
        },
        lambda sql: f"(CAST({sql} AS TEXT) COLLATE BINARY)",
        ordered=False,
    ),
    "duckdb": Dialect(
        "DuckDB",
        {
            "integer": _as_is,
            "decimal": _as_is,
            "date": _cast("DATE"),
            "timestamp": _cast("TIMESTAMP"),
            "text": _quoted,
            "boolean": lambda text, type_: "TRUE" if text == "1" else "FALSE",  # noqa: ARG005
        },
        lambda sql: f'({sql} COLLATE "C")',
    ),
}


class Sifter:
    """Writes conditions over columns of known types.

    Args:
        dialect: whose SQL.
        types: of all parts of the condition, by their text (:func:`headgate.sql.postgres.typed`).
        values: columns by name, as SQL for their values.
    """

    def __init__(self, dialect: Dialect, types: Mapping[str, SqlType], values: Mapping[str, str]) -> None:
        self._dialect, self._types, self._values = dialect, types, values

    def sql(self, node: exp.Expr) -> str:  # noqa: C901 - one case a kind of node
        """The condition. Raises Unsiftable."""
        match node:
            case exp.Paren():
                return self.sql(node.this)
            case exp.And() | exp.Or():
                word = "AND" if isinstance(node, exp.And) else "OR"
                return f"({self.sql(node.this)} {word} {self.sql(node.expression)})"
            case exp.Not():
                return f"(NOT {self.sql(node.this)})"
            case exp.Boolean():
                return "(1 = 1)" if node.this else "(1 = 0)"
            case exp.Cast() if isinstance(node.this.unnest(), exp.Column) and self._type(node) == self._type(node.this):
                return self.sql(node.this)
            case exp.Column():
                return self._compared(node, "=", exp.true())
            case exp.Is() if isinstance(node.expression, exp.Null) and isinstance(node.this.unnest(), exp.Column):
                return f"({quote_name(node.this.unnest().name)} IS NULL)"
            case exp.Is() if isinstance(node.expression, exp.Boolean):
                return f"({self.sql(node.this)} IS {'TRUE' if node.expression.this else 'FALSE'})"
            case exp.Between():
                low, high = node.args["low"], node.args["high"]
                return f"({self._compared(node.this, '>=', low)} AND {self._compared(node.this, '<=', high)})"
            case exp.In() if node.expressions and not node.args.get("query"):
                return f"({' OR '.join(self._compared(node.this, '=', item) for item in node.expressions)})"
            case _ if type(node) in COMPARED:
                return self._either(node, COMPARED[type(node)])
            case _:
                raise Unsiftable(f"{_shown(node)} is not compared there")

    def _either(self, node: exp.Expr, operator: str) -> str:
        left, right = node.this.unnest(), node.args["expression"].unnest()
        if isinstance(left, exp.Column):
            return self._compared(left, operator, right)
        if isinstance(right, exp.Column):
            return self._compared(right, _TURNED[operator], left)
        raise Unsiftable(f"{_shown(node)} is not compared there")

    def _compared(self, node: exp.Expr, operator: str, other: exp.Expr) -> str:
        here, other = node.unnest(), other.unnest()
        if not isinstance(here, exp.Column):
            raise Unsiftable(f"{_shown(node)} is no column")
        type_, value = self._type(here), self._values.get(here.name)
        write = self._dialect.literals.get(type_.family)
        if value is None or write is None:
            raise Unsiftable(f'{self._dialect.name} does not compare the column "{here.name}" as the engine does')
        if type_.family == "text":
            value = self._dialect.text(value)
            if operator not in ("=", "<>") and not self._dialect.ordered:
                raise Unsiftable(f"{self._dialect.name} may order texts otherwise")
        if isinstance(other, exp.Null):
            return f"({value} {operator} NULL)"
        if isinstance(other, exp.Column) and other.name == here.name:
            return f"({value} {operator} {value})"
        return f"({value} {operator} {write(self._literal(other, type_), type_)})"

    def _type(self, node: exp.Expr) -> SqlType:
        found = self._types.get(node.sql(DIALECT))
        if found is None:
            raise Unsiftable(f"{_shown(node)} is of a type of the engine's")
        return found

    def _literal(self, node: exp.Expr, beside: SqlType) -> str:
        """A literal as the value that the engine compares with a column of that type: no rounding, no overflow."""
        text, own = _written(node)
        if own is None and isinstance(node, exp.Literal) and node.is_string:
            own = beside  # a text beside another type is read as one of it
        match beside.family:
            case "text" if own is not None and own.family == "text":
                return text
            case "boolean" if isinstance(node, exp.Boolean):
                return text
            case "integer" | "decimal" if own is None or own.family in ("integer", "decimal"):
                _check_number(text, own or self._type(node), beside)
                return text
            case "date" if own is not None and own.family == "date" and _is_date(text):
                return text
            case "timestamp" if own is not None and own.family in ("date", "timestamp"):
                return _moment(text, own)
            case _:
                raise Unsiftable(f"{_shown(node)} stands beside {beside.name}")


def _written(node: exp.Expr) -> tuple[str, SqlType | None]:
    """The text of a literal, and the type that it says of itself."""
    match node:
        case exp.Literal():
            return str(node.this), None
        case exp.Boolean():
            return "1" if node.this else "0", None
        case exp.Neg() if isinstance(node.this.unnest(), exp.Literal) and not node.this.unnest().is_string:
            return f"-{node.this.unnest().this}", None
        case exp.Cast() if not isinstance(node, exp.TryCast) and isinstance(node.this.unnest(), exp.Literal):
            try:
                return str(node.this.unnest().this), parse_type(node.to.sql(DIALECT))
            except FatalError:
                pass
    raise Unsiftable(f"{_shown(node)} is no literal")


def _check_number(text: str, own: SqlType, beside: SqlType) -> None:
    if not _NUMBER.fullmatch(text):
        raise Unsiftable(f"{text} is no plain number")
    whole, _, places = text.lstrip("-").partition(".")
    held = own.low <= int(whole) * (-1 if text.startswith("-") else 1) <= own.high if own.family == "integer" else True
    if len(places) > own.scale or len(whole.lstrip("0")) > own.whole_digits or not held:
        raise Unsiftable(f"{text} does not fit {own.name}")
    if max(own.whole_digits, beside.whole_digits) + max(own.scale, beside.scale) > WIDEST:
        raise Unsiftable("numbers of more than 38 digits are compared")


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def _moment(text: str, own: SqlType) -> str:
    """A moment with all its digits."""
    if own.family == "timestamp" and _MOMENT.fullmatch(text):
        try:
            return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S.%f}".rjust(26, "0")
        except ValueError:
            pass
    elif _is_date(text):
        return f"{text} 00:00:00.000000"
    raise Unsiftable(f"'{text}' is read as {own.name}")


def _shown(node: exp.Expr) -> str:
    text = node.sql(DIALECT)
    return text if len(text) <= 60 else text[:57] + "..."
