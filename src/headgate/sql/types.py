"""SQL type names as data: which family a type is of, and what it can hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlglot import errors as sqlglot_errors
from sqlglot import exp

from headgate.core.errors import Code, FatalError, nearest

DIALECT = "duckdb"
WIDEST = 38
"""Digits of the widest decimal."""
EXACT_DIGITS = 15
"""Decimals of so many digits become the nearest double, whoever converts them, and come back from it."""
COMPARED: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
"""Comparisons that all databases write alike."""

Family = Literal[
    "boolean", "integer", "decimal", "float", "text", "date", "time", "timestamp", "timestamptz", "binary", "other"
]

_INTEGERS = {
    "TINYINT": (-(2**7), 2**7 - 1),
    "SMALLINT": (-(2**15), 2**15 - 1),
    "INT": (-(2**31), 2**31 - 1),
    "BIGINT": (-(2**63), 2**63 - 1),
    "INT128": (-(2**127), 2**127 - 1),
    "UTINYINT": (0, 2**8 - 1),
    "USMALLINT": (0, 2**16 - 1),
    "UINT": (0, 2**32 - 1),
    "UBIGINT": (0, 2**64 - 1),
    "UINT128": (0, 2**128 - 1),
}
_NAMES = {"INT": "INTEGER", "INT128": "HUGEINT", "UINT": "UINTEGER", "UINT128": "UHUGEINT", "TEXT": "VARCHAR"}
_FAMILIES: dict[str, Family] = {
    "BOOLEAN": "boolean",
    "FLOAT": "float",
    "DOUBLE": "float",
    "TEXT": "text",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMPNTZ": "timestamp",
    "TIMESTAMPTZ": "timestamptz",
    "VARBINARY": "binary",
}
_OTHERS = frozenset(
    {
        *("TIMESTAMPNTZ", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMETZ", "INTERVAL", "UUID", "JSON", "BIT"),
        *("BIGNUM", "ENUM", "STRUCT", "MAP", "LIST", "ARRAY", "UNION", "NULL"),
    }
)
KNOWN = (
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL"),
    *("VARCHAR", "BLOB", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL", "UUID", "JSON"),
)
_SPELLINGS = ("INT", "BOOL", "TEXT", "STRING", "NUMERIC", "REAL", "DATETIME")
"""Other names that are taken, and that a misspelt one may mean."""


@dataclass(frozen=True)
class SqlType:
    """One SQL type. ``width`` and ``scale`` are digits of a decimal; ``low`` and ``high`` bound an integer."""

    name: str
    family: Family
    width: int = 0
    scale: int = 0
    low: int = 0
    high: int = 0

    @property
    def whole_digits(self) -> int:
        """Digits before the point that a number of this type may need."""
        if self.family == "integer":
            return len(str(max(abs(self.low), self.high)))
        return self.width - self.scale


def parse_type(text: str) -> SqlType:
    """The type that a name means.

    Raises:
        FatalError: PLAN_INVALID, with the nearest known name.
    """
    try:
        built = exp.DataType.build(text, dialect=DIALECT)
    except (sqlglot_errors.ParseError, sqlglot_errors.TokenError, TypeError):
        raise _unknown(text) from None
    if not isinstance(built.this, exp.DType):
        raise _unknown(text)
    kind = built.this.value
    if kind == "DECIMAL":
        return _decimal(built, text)
    if kind in _INTEGERS:
        low, high = _INTEGERS[kind]
        return SqlType(_NAMES.get(kind, kind), "integer", low=low, high=high)
    family = _FAMILIES.get(kind)
    if family is not None and not (family == "timestamp" and built.expressions):
        return SqlType(_spelled(kind), family)
    if kind not in _OTHERS:
        raise _unknown(text)
    return SqlType(built.sql(DIALECT), "other")


def _spelled(kind: str) -> str:
    match kind:
        case "TEXT":
            return "VARCHAR"
        case "TIMESTAMPNTZ":
            return "TIMESTAMP"
        case "TIMESTAMPTZ":
            return "TIMESTAMP WITH TIME ZONE"
        case "VARBINARY":
            return "BLOB"
        case _:
            return kind


def _decimal(built: exp.DataType, text: str) -> SqlType:
    parameters = [int(str(parameter.this)) for parameter in built.expressions]
    width, scale = [*parameters, 18, 3][:2] if not parameters else [*parameters, 0][:2]
    if not 1 <= width <= 38 or not 0 <= scale <= width:
        raise FatalError(
            Code.PLAN_INVALID,
            f"{text} is not a type: a decimal has 1 to 38 digits, and at most as many after the point",
            operation="plan",
            object=text,
            hint="write DECIMAL(18, 2)",
        )
    return _decimal_type(width, scale)


def _decimal_type(width: int, scale: int) -> SqlType:
    return SqlType(f"DECIMAL({width}, {scale})", "decimal", width=width, scale=scale)


def _unknown(text: str) -> FatalError:
    return FatalError(
        Code.PLAN_INVALID,
        f'"{text}" is not a SQL type',
        operation="plan",
        object=text,
        hint=nearest(text.upper(), (*KNOWN, *_SPELLINGS)),
    )


def common_type(types: Iterable[SqlType]) -> SqlType | None:
    """The narrowest type of those given, or the decimal, that holds every value of all of them; None if none does."""
    given = list(dict.fromkeys(types))
    if len(given) == 1:
        return given[0]
    if all(type_.family == "float" for type_ in given):
        return SqlType("DOUBLE", "float")
    if not all(type_.family in ("integer", "decimal") for type_ in given):
        return None
    if all(type_.family == "integer" for type_ in given):
        low, high = min(type_.low for type_ in given), max(type_.high for type_ in given)
        for kind in (
            "TINYINT",
            "SMALLINT",
            "INT",
            "BIGINT",
            "INT128",
            "UTINYINT",
            "USMALLINT",
            "UINT",
            "UBIGINT",
            "UINT128",
        ):
            if _INTEGERS[kind][0] <= low and high <= _INTEGERS[kind][1]:
                return SqlType(_NAMES.get(kind, kind), "integer", low=_INTEGERS[kind][0], high=_INTEGERS[kind][1])
        return None
    whole, scale = max(type_.whole_digits for type_ in given), max(type_.scale for type_ in given)
    return _decimal_type(whole + scale, scale) if whole + scale <= WIDEST else None
