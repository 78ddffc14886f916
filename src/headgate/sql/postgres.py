"""Expressions in PostgreSQL's SQL that give there what they give in DuckDB, or no translation at all.

An allow-list over typed trees: each entry is proven by the parity suite. Where DuckDB would find a value in error,
PostgreSQL may raise instead; who moves rows then has the engine find out which rows those are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import FatalError
from headgate.sql.failures import can_fail, guarded
from headgate.sql.literals import quote_name, quote_text
from headgate.sql.types import COMPARED, DIALECT, EXACT_DIGITS, WIDEST, SqlType, parse_type

NAMES = {
    "BOOLEAN": "boolean",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "VARCHAR": "text",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "BLOB": "bytea",
}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?)?")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_TRUNCATED = {"YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"}
_SAFE: dict[type[exp.Expr], str] = {exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM"}
BYTEWISE = ' COLLATE "C"'
_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}


class Untranslatable(Exception):  # noqa: N818 - no error: the work is done elsewhere
    """What PostgreSQL does not do as DuckDB does, in words."""


def declared(type_: SqlType) -> str:
    """PostgreSQL's type for one of DuckDB's. Raises Untranslatable."""
    if type_.family == "decimal":
        return f"numeric({type_.width},{type_.scale})"
    if type_.name not in NAMES:
        raise Untranslatable(f"the type {type_.name} is not PostgreSQL's")
    return NAMES[type_.name]


def typed(expressions: Iterable[exp.Expr], bind: Callable[[exp.Expr], list[str]]) -> dict[str, SqlType]:
    """The types of all parts of expressions, by their text; ``bind`` gives those of a SELECT's columns."""
    parts: dict[str, exp.Expr] = {}
    for expression in expressions:
        for node in expression.walk():
            if isinstance(node, exp.Condition) and not isinstance(node, exp.Interval | exp.Var | exp.If | exp.Star):
                parts.setdefault(node.sql(DIALECT), node)
    if not parts:
        return {}
    names = bind(exp.select(*(exp.alias_(part.copy(), f"t{n}") for n, part in enumerate(parts.values()))))
    found: dict[str, SqlType] = {}
    for text, name in zip(parts, names, strict=True):
        try:
            found[text] = parse_type(name)
        except FatalError:
            continue  # no type that is translated
    return found


class Translator:
    """Writes expressions whose parts have known types. ``column`` writes a column by its name."""

    def __init__(self, types: Mapping[str, SqlType], column: Callable[[str], str] = quote_name) -> None:
        self._types, self._column = types, column

    def sql(self, node: exp.Expr) -> str:  # noqa: C901 - one case a kind of node
        """The expression. Raises Untranslatable."""
        match node:
            case exp.Column():
                return self._column(node.name)
            case exp.Literal():
                return quote_text(node.this) if node.is_string else self._number(node)
            case exp.Null():
                return "NULL"
            case exp.Boolean():
                return "TRUE" if node.this else "FALSE"
            case exp.Paren():
                return f"({self.sql(node.this)})"
            case exp.Try():
                return self.sql(node.this)  # what raises there raises here, for the whole statement
            case exp.Case():
                return self._case(node)
            case exp.TryCast():
                raise Untranslatable("TRY_CAST finds out about single rows")
            case exp.Cast():
                return self._cast(node)
            case exp.And() | exp.Or():
                return self.computed(self._connected(node), *_leaves(node))
            case exp.Not():
                return f"(NOT {self._truth(node.this)})"
            case exp.Is():
                return self._is(node)
            case exp.Between():
                return self._between(node)
            case exp.In():
                return self._in(node)
            case _ if type(node) in COMPARED:
                return self._compared(node.this, COMPARED[type(node)], node.args["expression"])
            case _ if type(node) in _SAFE:
                return self._compared(node.this, _SAFE[type(node)], node.args["expression"])
            case _ if type(node) in _ARITHMETIC:
                return self._arithmetic(node, _ARITHMETIC[type(node)])
            case exp.Div():
                return self._divided(node)
            case exp.Neg():
                return f"(- {self.sql(node.this)})"
            case _:
                return self._function(node)

    def computed(self, text: str, *parts: exp.Expr) -> str:
        """The text, once each of its parts is computed: the engine computes them all, where PostgreSQL may not look at
        one behind another that decides, and so not find what is wrong with it."""
        raising = [part for part in parts if can_fail(part, self._known(part))]
        if not raising:
            return text
        asked = " AND ".join(f"({self.sql(part)} IS NULL) IS NOT NULL" for part in raising)
        return f"(CASE WHEN {asked} THEN {text} END)"

    # ----------------------------------------------------------------------------------------------- parts

    def _known(self, node: exp.Expr) -> list[Column]:
        return [Column(column.name, self.type_of(column).name) for column in node.find_all(exp.Column)]

    def _connected(self, node: exp.Expr) -> str:
        """Conditions with AND, OR and NOT between them."""
        match node:
            case exp.And() | exp.Or():
                word = "AND" if isinstance(node, exp.And) else "OR"
                return f"({self._connected(node.this)} {word} {self._connected(node.expression)})"
            case exp.Not():
                return f"(NOT {self._connected(node.this)})"
            case exp.Paren():
                return f"({self._connected(node.this)})"
            case _:
                return self._truth(node)

    def _between(self, node: exp.Between) -> str:
        here, low, high = node.this, node.args["low"], node.args["high"]
        self._alike(here, low, high)
        one, least, most = self._beside(here, low, high), self._beside(low, here, high), self._beside(high, here, low)
        exactly = BYTEWISE if self._texts(here, low, high) else ""
        return self.computed(f"({one} >= {least}{exactly} AND {one} <= {most}{exactly})", high)

    def _texts(self, *nodes: exp.Expr) -> bool:
        known = [node for node in nodes if not isinstance(node.unnest(), exp.Null)]
        return bool(known) and all(self.type_of(node).family == "text" for node in known)

    def type_of(self, node: exp.Expr) -> SqlType:
        found = self._types.get(node.sql(DIALECT))
        if found is None:
            raise Untranslatable(f"the type of {_shown(node)} is not PostgreSQL's")
        return found

    def _number(self, node: exp.Literal) -> str:
        text = str(node.this)
        return f"CAST({text} AS double precision)" if "e" in text.lower() else text

    def _truth(self, node: exp.Expr) -> str:
        if not isinstance(node.unnest(), exp.Null) and self.type_of(node).family != "boolean":
            raise Untranslatable(f"{_shown(node)} is taken as a condition")
        return self.sql(node)

    def _case(self, node: exp.Case) -> str:
        inside = guarded(node)
        if inside is not None:
            return self.sql(inside)
        if node.this is not None:
            raise Untranslatable("CASE with a value to compare")
        whens = " ".join(
            f"WHEN {self._truth(when.this)} THEN {self._as(when.args['true'], node)}" for when in node.args["ifs"]
        )
        default = node.args.get("default")
        return f"(CASE {whens}{f' ELSE {self._as(default, node)}' if default is not None else ''} END)"

    def _as(self, node: exp.Expr, whole: exp.Expr) -> str:
        """A part in the type of the whole, which is what every engine makes of it."""
        text, target = self.sql(node), self.type_of(whole)
        if isinstance(node.unnest(), exp.Null):
            return text
        here = self.type_of(node)
        if here == target:
            return text
        if not _widens(here, target):
            raise Untranslatable(f"{_shown(node)} becomes {target.name}")
        return f"CAST({text} AS {declared(target)})"

    def _is(self, node: exp.Is) -> str:
        right = node.expression
        if isinstance(right, exp.Null):
            return f"({self.sql(node.this)} IS NULL)"
        if isinstance(right, exp.Boolean):
            return f"({self._truth(node.this)} IS {'TRUE' if right.this else 'FALSE'})"
        raise Untranslatable(f"{_shown(node)} is the engine's work")

    def _in(self, node: exp.In) -> str:
        if node.args.get("query") or not node.expressions:
            raise Untranslatable("IN another relation")
        sides = (node.this, *node.expressions)
        self._alike(*sides)
        here, *listed = [self._beside(side, *(other for other in sides if other is not side)) for side in sides]
        if self._texts(*sides):
            here = f"({here}{BYTEWISE})"
        return self.computed(f"({here} IN ({', '.join(listed)}))", *node.expressions)

    def _compared(self, left: exp.Expr, operator: str, right: exp.Expr) -> str:
        self._alike(left, right)
        one, other = self._beside(left, right), self._beside(right, left)
        return f"({one} {operator} {other}{BYTEWISE if self._texts(left, right) else ''})"

    def _exact(self, node: exp.Expr) -> str:
        """A text is compared byte by byte, whatever the collation of its column takes for equal."""
        text = self.sql(node)
        is_text = not isinstance(node.unnest(), exp.Null) and self.type_of(node).family == "text"
        return f"({text}{BYTEWISE})" if is_text else text

    def _beside(self, node: exp.Expr, *others: exp.Expr) -> str:
        """A text literal beside a date is one. What is compared with several values is so in a type of them all."""
        known = [other for other in others if not isinstance(other.unnest(), exp.Null) and not _is_text_literal(other)]
        types = {self.type_of(other) for other in known}
        if _is_text_literal(node) and types:
            if len(types) > 1:
                raise Untranslatable(f"{_shown(node)} is compared with values of several types")
            (target,) = types
            return _literal_as(str(node.unnest().this), target)
        if isinstance(node.unnest(), exp.Null) or len(others) == 1:
            return self.sql(node)
        own = self.type_of(node)
        mixed = "float" in {own.family, *(type_.family for type_ in types)} and own.name != "FLOAT"
        return self._double(node) if mixed else self.sql(node)

    def _alike(self, *nodes: exp.Expr) -> None:
        """Compared as both engines compare: exactly, or as doubles that both compute alike."""
        known = [n for n in nodes if not isinstance(n.unnest(), exp.Null)]
        rest = [n for n in known if not _is_text_literal(n)] or known
        types = [self.type_of(node) for node in rest]
        families = {type_.family for type_ in types}
        if not families:
            raise Untranslatable("NULL is compared with NULL")
        if families <= {"integer", "decimal"}:
            if max(t.whole_digits for t in types) + max(t.scale for t in types) > WIDEST:
                raise Untranslatable("numbers of more than 38 digits are compared")
        elif families <= {"integer", "decimal", "float"}:
            for type_ in types:
                _as_double(type_)
            if any(t.name == "FLOAT" for t in types) and len({t.name for t in types}) > 1:
                raise Untranslatable("a FLOAT is compared with another type")
        elif len(families) != 1 and families != {"date", "timestamp"}:
            raise Untranslatable(" and ".join(sorted(families)) + " are compared")
        elif families & {"other", "binary"}:
            raise Untranslatable(f"values of type {types[0].name} are compared")

    def _arithmetic(self, node: exp.Expr, operator: str) -> str:
        left, right = node.this, node.args["expression"]
        result, sides = self.type_of(node), [self.type_of(left), self.type_of(right)]
        one, other = self.sql(left), self.sql(right)
        families = [side.family for side in sides]
        if families == ["date", "date"] and operator == "-":
            return f"CAST({one} - {other} AS bigint)"
        if families == ["date", "integer"] and operator in "+-":
            return f"({one} {operator} CAST({other} AS integer))"
        if result.family == "integer" and families == ["integer", "integer"]:
            kind = declared(result)
            return f"(CAST({one} AS {kind}) {operator} CAST({other} AS {kind}))"
        if result.family == "decimal" and set(families) <= {"integer", "decimal"}:
            if result.width < WIDEST:
                return f"({one} {operator} {other})"
            if operator != "*":  # the engine takes both as what comes of them, and finds what that does not hold
                one, other = (f"CAST({text} AS {declared(result)})" for text in (one, other))
            return f"CAST({one} {operator} {other} AS {declared(result)})"
        if result.name == "DOUBLE" and set(families) <= {"integer", "decimal", "float"}:
            return f"({self._double(left)} {operator} {self._double(right)})"
        raise Untranslatable(f"{_shown(node)} is computed in {result.name}")

    def _divided(self, node: exp.Div) -> str:
        if self.type_of(node).name != "DOUBLE":
            raise Untranslatable(f"{_shown(node)} is the engine's work")
        return f"({self._double(node.this)} / {self._double(node.expression)})"

    def _double(self, node: exp.Expr) -> str:
        _as_double(self.type_of(node))
        return f"CAST({self.sql(node)} AS double precision)"

    def _cast(self, node: exp.Cast) -> str:
        target = parse_type(node.to.sql(DIALECT))
        if _is_text_literal(node.this):
            return _literal_as(str(node.this.unnest().this), target)
        if isinstance(node.this.unnest(), exp.Null):
            return f"CAST(NULL AS {declared(target)})"
        source, text = self.type_of(node.this), self.sql(node.this)
        if source == target:
            return text
        pair = (source.family, target.family)
        if target.name == "DOUBLE" and source.family in {"integer", "decimal", "float"}:
            _as_double(source)
        elif pair == ("integer", "integer") or (target.family == "decimal" and source.family in {"integer", "decimal"}):
            pass
        elif pair not in {("decimal", "integer"), ("date", "timestamp"), ("timestamp", "date"), ("integer", "text")}:
            raise Untranslatable(f"{source.name} is cast to {target.name}")
        return f"CAST({text} AS {declared(target)})"

    def _function(self, node: exp.Expr) -> str:  # noqa: C901 - one case a function
        result = self.type_of(node)
        match node:
            case exp.Coalesce():
                return f"coalesce({', '.join(self._as(item, node) for item in (node.this, *node.expressions))})"
            case exp.Nullif() if self.type_of(node.this) == self.type_of(node.expression):
                return f"nullif({self._exact(node.this)}, {self.sql(node.expression)})"
            case exp.Greatest() | exp.Least() if result.family not in {"text", "other", "float"}:  # 0.0 or -0.0
                name = "greatest" if isinstance(node, exp.Greatest) else "least"
                return f"{name}({', '.join(self._as(item, node) for item in (node.this, *node.expressions))})"
            case exp.Abs() if result.family in {"integer", "decimal"} and self.type_of(node.this) == result:
                return f"abs({self.sql(node.this)})"
            case exp.Length() if self.type_of(node.this).family == "text":
                return f"CAST(length({self.sql(node.this)}) AS bigint)"
            case exp.DPipe() if {self.type_of(node.this).family, self.type_of(node.expression).family} == {"text"}:
                return f"({self.sql(node.this)} || {self.sql(node.expression)})"
            case exp.Like() if _is_text_literal(node.expression) and self.type_of(node.this).family == "text":
                like = "NOT LIKE" if node.args.get("negate") else "LIKE"
                return f"({self._exact(node.this)} {like} {self.sql(node.expression)} ESCAPE '')"
            case exp.DateTrunc() | exp.TimestampTrunc() if self._moment(node.this):
                unit = node.args.get("unit")
                if unit is not None and str(unit.name).upper() in _TRUNCATED:
                    text = f"date_trunc('{unit.name.lower()}', CAST({self.sql(node.this)} AS timestamp))"
                    return f"CAST({text} AS {declared(result)})"
        if isinstance(node, exp.IsNan) or (isinstance(node, exp.Anonymous) and str(node.this).upper() == "ISNAN"):
            inside = node.this if isinstance(node, exp.IsNan) else node.expressions[0]
            if self.type_of(inside).family == "float":
                return f"({self.sql(inside)} = 'NaN')"
        raise Untranslatable(f"{_shown(node)} is the engine's work")

    def _moment(self, node: exp.Expr) -> bool:
        return self.type_of(node).family in {"date", "timestamp"}


def _leaves(node: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that AND, OR and NOT connect."""
    if isinstance(node, exp.And | exp.Or | exp.Not | exp.Paren):
        for part in node.iter_expressions():
            yield from _leaves(part)
    else:
        yield node


def _is_text_literal(node: exp.Expr) -> bool:
    inner = node.unnest()
    return isinstance(inner, exp.Literal) and bool(inner.is_string)


def _literal_as(text: str, target: SqlType) -> str:
    pattern = {"date": _DATE, "timestamp": _MOMENT, "integer": _NUMBER, "decimal": _NUMBER}.get(target.family)
    if target.family == "text":
        return quote_text(text)
    if target.name == "DOUBLE" and _NUMBER.fullmatch(text):
        return f"CAST({quote_text(text)} AS double precision)"
    if pattern is None or not pattern.fullmatch(text):
        raise Untranslatable(f"'{text}' is read as {target.name}")
    return f"CAST({quote_text(text)} AS {declared(target)})"


def _as_double(type_: SqlType) -> None:
    if type_.family == "decimal" and type_.width > EXACT_DIGITS:
        raise Untranslatable(f"a {type_.name} is taken as a DOUBLE")
    if type_.name not in NAMES and type_.family != "decimal":
        raise Untranslatable(f"a {type_.name} is taken as a DOUBLE")


def _widens(source: SqlType, target: SqlType) -> bool:
    if target.family == "integer":
        return source.family == "integer" and source.low >= target.low and source.high <= target.high
    if target.family == "decimal":
        fits = source.whole_digits <= target.whole_digits and source.scale <= target.scale
        return source.family in {"integer", "decimal"} and fits
    return target.name == "DOUBLE" and source.family == "integer" and source.name in {"SMALLINT", "INTEGER"}


def _shown(node: exp.Expr) -> str:
    text = node.sql(DIALECT)
    return text if len(text) <= 60 else text[:57] + "..."
