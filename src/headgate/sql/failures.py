"""Which expressions can raise for some row, and how to find those rows instead of losing the run.

``TRY(e)`` alone is not enough: DuckDB computes an expression that occurs twice once, in front of both, and outside
``TRY``. It does not look into a CASE, so each TRY stands in one whose condition always holds but is not constant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime

from sqlglot import exp

from headgate.core.engines import Column
from headgate.sql.casts import fits
from headgate.sql.types import WIDEST, SqlType, parse_type

_BOOLEAN = SqlType("BOOLEAN", "boolean")
_DOUBLE = SqlType("DOUBLE", "float")
_BIGINT = SqlType("BIGINT", "integer", low=-(2**63), high=2**63 - 1)
_TEXT = SqlType("VARCHAR", "text")
_NULL = SqlType("NULL", "other")
_WHOLE = re.compile(r"-?\d+")
_NUMBER = re.compile(r"-?(\d+)(?:\.(\d+))?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?)?")
_NUMBERS = ("integer", "decimal", "float")


def attempt(expression: exp.Expr) -> exp.Expr:
    """The expression's value, NULL where it raises."""
    return _guarded(exp.Try(this=expression.copy()), expression)


def failed(expression: exp.Expr) -> exp.Expr:
    """True where the expression raises; where it is NULL of itself, false."""
    # HASH(NULL) is a value. Whether e IS NULL is a question that statistics may answer without computing e.
    asked = exp.Try(this=exp.Anonymous(this="HASH", expressions=[expression.copy()]))
    return _guarded(exp.Is(this=asked, expression=exp.null()), expression)


def asked(condition: exp.Expr) -> exp.Expr | None:
    """The expression of which :func:`failed` asks whether it raises; None for any other condition."""
    inside = _inside(condition.unnest())
    if not isinstance(inside, exp.Is) or not isinstance(inside.this, exp.Try):
        return None
    hashed = inside.this.this
    named = isinstance(hashed, exp.Anonymous) and str(hashed.this).upper() == "HASH"
    return hashed.expressions[0] if named else None


def guarded(node: exp.Expr) -> exp.Expr | None:
    """For who raises where the engine would find an error: the expression that is attempted, FALSE for the question
    whether it raises; None for a CASE of anybody else's."""
    inside = _inside(node)
    if isinstance(inside, exp.Try):
        return inside.this  # type: ignore[no-any-return]
    return exp.false() if asked(node) is not None else None


def _inside(node: exp.Expr) -> exp.Expr | None:
    """What stands in a CASE with one condition, which holds for every row."""
    if not isinstance(node, exp.Case) or node.this is not None or node.args.get("default") is not None:
        return None
    if len(node.args["ifs"]) != 1:
        return None
    when = node.args["ifs"][0]
    question = when.this.this if isinstance(when.this, exp.Not) else None
    if not isinstance(question, exp.Is) or not isinstance(question.expression, exp.Null):
        return None
    known = question.this.unnest()
    always = isinstance(known, exp.Is) and isinstance(known.expression, exp.Null)
    return when.args["true"] if always else None


def there(expression: exp.Expr) -> exp.Expr:
    """The value is not NULL: where it was attempted, it was computed."""
    return exp.Not(this=exp.Is(this=expression.copy(), expression=exp.null()))


def can_fail(expression: exp.Expr, columns: Sequence[Column]) -> bool:
    """Whether some row may make the expression raise (overflow, conversion, division); in doubt, yes."""
    types = {item.name.lower(): item.type for item in columns}
    return not _constant(expression) and _type(expression, types) is None


def _guarded(value: exp.Expr, expression: exp.Expr) -> exp.Expr:
    name = expression.find(exp.Column)
    if name is None:
        return value
    always = exp.Not(
        this=exp.Is(this=exp.paren(exp.Is(this=name.copy(), expression=exp.null())), expression=exp.null())
    )
    return exp.Case().when(always, value)


def _constant(expression: exp.Expr) -> bool:
    return isinstance(expression, exp.Literal | exp.Null | exp.Boolean)


def _type(node: exp.Expr, types: dict[str, str]) -> SqlType | None:  # noqa: C901 - one branch a kind of node
    """The type of an expression that raises for no row; None when that cannot be told."""
    match node:
        case exp.Column():
            known = types.get(node.name.lower())
            return parse_type(known) if known else None
        case exp.Literal():
            return _literal(node)
        case exp.Boolean():
            return _BOOLEAN
        case exp.Null():
            return _NULL
        case exp.Paren():
            return _type(node.this, types)
        case exp.Neg() if isinstance(node.this, exp.Literal):
            return _literal(node.this)
        case exp.TryCast():
            return parse_type(node.to.sql("duckdb")) if _type(node.this, types) else None
        case exp.Cast():
            return _converted(node, types)
        case exp.Is() if isinstance(node.expression, exp.Null):
            return _BOOLEAN if _type(node.this, types) else None
        case exp.Is() if isinstance(node.expression, exp.Boolean):
            return _BOOLEAN if _type(node.this, types) == _BOOLEAN else None
        case exp.Not() | exp.And() | exp.Or():
            sides = [_type(part, types) for part in node.iter_expressions()]
            return _BOOLEAN if all(side and (side.family == "boolean" or side is _NULL) for side in sides) else None
        case exp.EQ() | exp.NEQ() | exp.GT() | exp.GTE() | exp.LT() | exp.LTE() | exp.NullSafeEQ() | exp.NullSafeNEQ():
            return _comparison([node.this, node.expression], types)
        case exp.Between():
            return _comparison([node.this, node.args["low"], node.args["high"]], types)
        case exp.In() if not node.args.get("query"):
            return _comparison([node.this, *node.expressions], types)
        case exp.Like() | exp.ILike():
            return _BOOLEAN if _all_text([node.this, node.expression], types) else None
        case exp.DPipe() | exp.Concat() | exp.Upper() | exp.Lower() | exp.Trim():
            return _TEXT if _all_text(list(node.iter_expressions()), types) else None
        case exp.Length():
            return _BIGINT if _all_text([node.this], types) else None
        case exp.Div() | exp.Add() | exp.Sub() | exp.Mul():
            return _arithmetic(node, types)
        case exp.Coalesce():
            return _same([node.this, *node.expressions], types)
        case _:
            return None


def _converted(node: exp.Cast, types: dict[str, str]) -> SqlType | None:
    """A cast raises for no row if its type holds every value; a text that is a date, a moment or a number is one."""
    source, target = _type(node.this, types), parse_type(node.to.sql("duckdb"))
    read = isinstance(node.this, exp.Literal) and node.this.is_string and _reads(node.this.name, target)
    return target if read or source == target or (source is not None and fits(source, target)) else None


def _reads(text: str, target: SqlType) -> bool:
    """Whether a text is surely read as a value of a type."""
    try:
        match target.family:
            case "date":
                return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
            case "timestamp":
                return _MOMENT.fullmatch(text) is not None and datetime.fromisoformat(text) is not None
            case "integer":
                return _WHOLE.fullmatch(text) is not None and target.low <= int(text) <= target.high
            case "decimal":
                found = _NUMBER.fullmatch(text)
                return (
                    found is not None and len(found[1]) <= target.whole_digits and len(found[2] or "") <= target.scale
                )
            case _:
                return False
    except ValueError:
        return False


def _literal(node: exp.Literal) -> SqlType | None:
    if node.is_string:
        return _TEXT
    text = str(node.this)
    if text.isdigit():
        return _BIGINT if int(text) <= _BIGINT.high else None
    whole, _, fraction = text.partition(".")
    if whole.isdigit() and fraction.isdigit() and len(whole) + len(fraction) <= WIDEST:
        return SqlType("DECIMAL", "decimal", width=len(whole) + len(fraction), scale=len(fraction))
    return _DOUBLE if "e" in text.lower() else None


def _comparison(nodes: Sequence[exp.Expr], types: dict[str, str]) -> SqlType | None:
    """Comparing raises only where one side must be converted to the other's type."""
    found = [_type(node, types) for node in nodes]
    sides = [side for side in found if side is not None and side is not _NULL]
    if None in found or not sides:
        return None
    times = {side.name: side for side in sides if side.family in ("date", "timestamp")}
    if len(times) == 1:  # a text beside a time is read as one
        (moment,) = times.values()
        texts = [node for node, side in zip(nodes, found, strict=True) if side is _TEXT]
        if all(isinstance(node.unnest(), exp.Literal) and _reads(node.unnest().name, moment) for node in texts):
            sides = [side for side in sides if side is not _TEXT]
    if all(side.family in _NUMBERS for side in sides):
        if any(side.family == "float" for side in sides):
            return _BOOLEAN
        whole, scale = max(side.whole_digits for side in sides), max(side.scale for side in sides)
        exact = scale == 0 or whole + scale <= WIDEST
        return _BOOLEAN if exact else None
    first = sides[0]
    alike = all(side.family == first.family != "other" for side in sides)
    return _BOOLEAN if alike or all(side.name == first.name for side in sides) else None


def _arithmetic(node: exp.Expr, types: dict[str, str]) -> SqlType | None:
    sides = [_type(part, types) for part in (node.this, node.args["expression"])]
    if isinstance(node, exp.Sub) and all(side and side.family == "date" for side in sides):
        return _BIGINT
    if not all(side and side.family in _NUMBERS for side in sides):
        return None
    if isinstance(node, exp.Div) or any(side and side.family == "float" for side in sides):
        return _DOUBLE
    return None


def _same(nodes: Sequence[exp.Expr], types: dict[str, str]) -> SqlType | None:
    found = [_type(node, types) for node in nodes]
    if None in found:
        return None
    first = found[0]
    return first if all(side == first for side in found) else None


def _all_text(nodes: Sequence[exp.Expr], types: dict[str, str]) -> bool:
    found = [_type(node, types) for node in nodes]
    return bool(found) and all(side is not None and side.family == "text" for side in found)
