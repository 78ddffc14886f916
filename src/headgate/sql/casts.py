"""Exact casts: a value arrives as it is, or its row is in error. Nothing is rounded, cut or made NULL in silence.

As text, a number is written with digits, a sign, a point: 12, -0.5, 12.00 for a whole number too. Exponents are for
FLOAT and DOUBLE (1e3). What the engine reads beyond that is no number: 1_000, 0x10, +-5, 1e400 where it is larger than
the type's numbers, and 1e3 as a whole number.

A text with a zone other than UTC is no TIMESTAMP, one with a day is no TIME, and a year has four digits at least.
Words that the engine reads (epoch, infinity) are no moments, and 24:00 is no time of day: it would be the next one's.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from headgate.sql.cast_parts import by_part, has_parts, wrong_part
from headgate.sql.types import DIALECT, SqlType, parse_type

_INTEGER_TEXT = r"[\s\v]*[+-]?([0-9]+([.]0*)?|[.]0+)[\s\v]*"
_NUMBER_TEXT = r"[\s\v]*[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)[\s\v]*"
_LONG_FRACTION = r".*[.][0-9]{6}[0-9]*[1-9].*"
_ZONED = r".*:[0-9.]+\s*([+-].*|[A-Za-z].*)"
"""A moment behind which a zone stands."""
_UTC = r"(?i).*[0-9.]\s*(z|utc|[+-]00(:?00)*)\s*"
_TIME_ALONE = r"\s*([01]?[0-9]|2[0-3]):[0-9]{1,2}(:[0-9]{1,2}([.][0-9]*)?)?\s*"
_MIDNIGHT_AFTER = "24:00"
_DAY_24 = r"(?s).*[Tt\s]24:.*"
"""A time of day that the engine takes for midnight of the next day."""
_LONG_YEAR = r"\s*[+-]?[0-9]{4}.*"
_NUMBERED = r"(?s)[\s\v]*[+-]?[0-9].*"
_WORD = r"(?i)[\s\v]*(epoch|[+-]?inf(inity)?)[\s\v]*"
"""What the engine takes for a moment whatever the format."""
_YEAR_1000 = "1000-01-01"
_MOMENT_FAMILIES = ("date", "timestamp", "timestamptz")
_MOMENTS = ("__________ __:__:__", "__________T__:__:__")
_TIMES = ("__:__:__", "__:__")
_DAY_BYTES = 10  # a longer text may have a time of day
_DIGITS = 18  # powers of ten that a BIGINT holds
_EXACT_IN_DOUBLE = 15
_EXACT_IN_FLOAT = 6


@dataclass(frozen=True)
class Cast:
    """``value`` is the cast; ``wrong`` (None: never) is true where it does not hold, ``clear`` and ``plain`` never."""

    value: exp.Expr
    wrong: exp.Expr | None
    clear: exp.Expr | None = None
    plain: exp.Expr | None = None


_KINDS: dict[str, str] = {
    **dict.fromkeys(("integer", "decimal", "float", "boolean"), "number"),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), "moment"),
    "time": "time",
    "binary": "binary",
}


def impossible(source: SqlType, target: SqlType) -> bool:
    """Whether no value of the one type is one of the other, so that each row would be a row error."""
    kinds = _KINDS.get(source.family), _KINDS.get(target.family)
    return None not in kinds and kinds[0] != kinds[1] and kinds != ("moment", "time")


def exact_cast(
    value: exp.Expr, source: SqlType, target: SqlType, *, rounded: bool = False, certain: bool = False
) -> Cast:
    """Cast ``value`` of type ``source`` to ``target``.

    A value is wrong if it does not convert, or converts to another value: 1.5 to INTEGER, 1.239 to DECIMAL(10, 2),
    a time of day to DATE, 2**53 + 1 to DOUBLE. Texts and doubles become the nearest FLOAT or DOUBLE, as always.

    Args:
        rounded: numbers are rounded (half away from zero) and times of day are cut instead.
        certain: each value that converts was one of the target's before, and keeps its value.
    """
    if source == target:
        return Cast(value.copy(), None)
    if fits(source, target):
        return Cast(_cast(value, target), None)
    if has_parts(target.name):
        return _nested(value, source, target, rounded=rounded)
    tried = _try(_to_round(value, target) if rounded and source.family == "float" else value, target)
    missing = exp.and_(_is_null(tried), exp.Not(this=_is_null(value)))
    changed = None if certain else _changed(value, tried, source, target, rounded=rounded)
    if changed is None:
        there = exp.Not(this=_is_null(tried))
        return Cast(tried, missing, exp.or_(_is_null(value), there), there)
    wrong = exp.Case().when(_is_null(tried), exp.Not(this=_is_null(value))).else_(changed)
    if source.family != "text":
        return Cast(tried, wrong)
    return Cast(tried, wrong, _clear(value, tried, target), _plain(value, tried, target))


def _to_round(value: exp.Expr, target: SqlType) -> exp.Expr:
    """Of a double the digits that show it: 2.675 and 8.575 are both halfway, though one of them is a little less."""
    match target.family:
        case "integer":
            return exp.func("ROUND", value.copy())
        case "decimal":
            return exp.cast(value.copy(), exp.DType.TEXT)
        case _:
            return value


def _nested(value: exp.Expr, source: SqlType, target: SqlType, *, rounded: bool) -> Cast:
    def wrong(part: exp.Expr, given: str, wanted: str) -> exp.Expr | None:
        return exact_cast(part, parse_type(given), parse_type(wanted), rounded=rounded).wrong

    def to(part: exp.Expr, given: str, wanted: str) -> exp.Expr:
        return exact_cast(part, parse_type(given), parse_type(wanted), rounded=True).value

    tried = _try(by_part(value, source.name, target.name, to) if rounded else value, target)
    missing = exp.and_(_is_null(tried), exp.Not(this=_is_null(value)))
    lost = wrong_part(value, source.name, target.name, wrong)
    return Cast(tried, missing if lost is None else exp.or_(missing, lost))


def _clear(value: exp.Expr, tried: exp.Expr, target: SqlType) -> exp.Expr | None:
    """Nearly every text that casts to the same value, told without looking at its characters one by one."""
    clear: exp.Expr | None
    match target.family:
        case "integer" | "decimal":
            clear = _digits(value, tried)
        case "float":
            return _plain(value, tried, target)
        case "date" | "timestamp" | "timestamptz" | "time":
            clear = _plain(value, tried, target)
        case _:
            return None
    return exp.or_(_is_null(value), clear)


def _plain(value: exp.Expr, tried: exp.Expr, target: SqlType) -> exp.Expr | None:
    """The texts that programs write: a whole number's digits, a decimal, a day or time.

    A text of n characters that loses something as a whole number has a point and something behind it, so its number
    is at most 10 ** (n - 2), also with an exponent: less than any number with n digits. One that loses nothing and
    reaches 10 ** (n - 1) has n digits; or an exponent, and then 100 divides it; or is hexadecimal, and begins with 0.
    """
    match target.family:
        case "integer":
            least = [exp.Literal.number(10**digits if digits else 0) for digits in range(_DIGITS)]
            shortest = exp.Anonymous(this="LIST_EXTRACT", expressions=[exp.Array(expressions=least), _bytes(value)])
            return exp.Case().when(_all_digits(value, tried, shortest), exp.true()).else_(_unchanged(value, tried))
        case "decimal":
            return _digits(value, tried)
        case "float":
            return exp.and_(exp.Not(this=_is_null(tried)), exp.Not(this=exp.paren(_no_float(value, tried))))
        case "date":
            short = exp.LTE(this=_bytes(value), expression=exp.Literal.number(_DAY_BYTES))
            return exp.and_(exp.Not(this=_is_null(tried)), short, _digit_first(value), _since_1000(tried, target))
        case "timestamp" | "timestamptz" | "time":
            return _plain_moment(value, tried, target)
        case _:
            return None


def _all_digits(value: exp.Expr, tried: exp.Expr, shortest: exp.Expr) -> exp.Condition:
    zero = exp.Literal.number(0)
    round_ = exp.EQ(this=exp.Mod(this=tried.copy(), expression=exp.Literal.number(100)), expression=zero.copy())
    from_one = exp.GTE(this=value.copy(), expression=exp.Literal.string("1"))
    whole = exp.or_(exp.and_(exp.Not(this=round_), from_one), exp.EQ(this=tried.copy(), expression=zero))
    return exp.and_(exp.GTE(this=tried.copy(), expression=shortest), whole)


def _digits(value: exp.Expr, tried: exp.Expr) -> exp.Expr:
    """Written as the engine writes it; or of the same value, without an exponent, an underscore."""
    found: exp.Expr = _position(value, "_")
    for letter in "eE":
        found = exp.Add(this=found, expression=_position(value, letter))
    without = exp.EQ(this=found, expression=exp.Literal.number(0))
    same = exp.and_(_same_double(value, tried), without)
    return exp.Case().when(_unchanged(value, tried), exp.true()).else_(same)


def _position(value: exp.Expr, text: str) -> exp.Expr:
    return exp.Anonymous(this="STRPOS", expressions=[value.copy(), exp.Literal.string(text)])


def _has(value: exp.Expr, text: str) -> exp.Expr:
    return exp.Anonymous(this="CONTAINS", expressions=[value.copy(), exp.Literal.string(text)])


def _same_double(value: exp.Expr, tried: exp.Expr) -> exp.Condition:
    """Two numbers of at most 15 digits that differ are different doubles, so short texts are compared as doubles."""
    double = SqlType("DOUBLE", "float")
    short = exp.LTE(this=_bytes(value), expression=exp.Literal.number(_EXACT_IN_DOUBLE + 1))
    return exp.and_(short, exp.EQ(this=_try(value, double), expression=_cast(tried, double)))


def _plain_moment(value: exp.Expr, tried: exp.Expr, target: SqlType) -> exp.Condition:
    """Of the usual form: no fraction, no zone, no day of a TIME."""
    there = exp.Not(this=_is_null(tried))
    if target.family == "timestamptz":
        pointed = exp.Like(this=value.copy(), expression=exp.Literal.string("%.%"))
        usual = exp.and_(_digit_first(value), exp.Not(this=pointed), exp.Not(this=_has(value, _MIDNIGHT_AFTER)))
        return exp.and_(there, usual, _since_1000(tried, target))
    forms = _TIMES if target.family == "time" else _MOMENTS
    usual = exp.or_(*(exp.Like(this=value.copy(), expression=exp.Literal.string(form)) for form in forms))
    if target.family == "time":
        day = exp.LT(this=tried.copy(), expression=exp.Cast(this=exp.Literal.string("24:00:00"), to=_built(target)))
        return exp.and_(there, usual, day)
    return exp.and_(there, usual, exp.Not(this=_has(value, _MIDNIGHT_AFTER)), _since_1000(tried, target))


def _digit_first(value: exp.Expr) -> exp.Condition:
    """A text that casts to a day is one, not a word for one; the first characters of texts are compared quickly."""
    least, above = exp.Literal.string("0"), exp.Literal.string(":")
    return exp.and_(exp.GTE(this=value.copy(), expression=least), exp.LT(this=value.copy(), expression=above))


def _zoned(value: exp.Expr) -> exp.Condition:
    """A zone other than UTC, which neither a day nor a moment without one holds."""
    return exp.and_(_matches(value, _ZONED), exp.Not(this=_matches(value, _UTC)))


def _no_moment(value: exp.Expr) -> exp.Expr:
    """What the engine reads as a moment, and is a word or a time of day that there is not."""
    return exp.or_(exp.Not(this=_matches(value, _NUMBERED)), _matches(value, _DAY_24))


def _since_1000(tried: exp.Expr, target: SqlType) -> exp.Condition:
    """A year of four digits, whatever was written; 24-02-29 would be in the first century."""
    first = exp.Cast(this=exp.Literal.string(_YEAR_1000), to=_built(target))
    return exp.GTE(this=tried.copy(), expression=first)


def _short_year(value: exp.Expr, tried: exp.Expr, target: SqlType) -> exp.Expr:
    early = exp.Not(this=exp.paren(_since_1000(tried, target)))
    return exp.and_(early, exp.Not(this=_matches(value, _LONG_YEAR)))


def _bytes(value: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="STRLEN", expressions=[value.copy()])


def _unchanged(value: exp.Expr, tried: exp.Expr) -> exp.Expr:
    return exp.EQ(this=_cast(tried, SqlType("VARCHAR", "text")), expression=value.copy())


def fits(source: SqlType, target: SqlType) -> bool:
    """Whether every value of ``source`` is one of ``target``."""
    match source.family, target.family:
        case _, "text":
            return True
        case "integer", "integer":
            return target.low <= source.low and source.high <= target.high
        case "integer" | "decimal", "decimal":
            return source.whole_digits <= target.whole_digits and source.scale <= target.scale
        case "integer" | "decimal", "float":
            digits = _EXACT_IN_DOUBLE if target.name == "DOUBLE" else _EXACT_IN_FLOAT
            return source.whole_digits + source.scale <= digits
        case "boolean", "integer":
            return True
        case "float", "float":
            return target.name == "DOUBLE"
        case _:
            return False


def _changed(value: exp.Expr, tried: exp.Expr, source: SqlType, target: SqlType, *, rounded: bool) -> exp.Expr | None:
    """Where the cast gave another value; NULL casts are dealt with before."""
    if source.family == "text" and target.family == "float":
        return _no_float(value, tried)
    if rounded and source.family == "text" and target.family in ("integer", "decimal"):
        return exp.Not(this=_matches(value, _NUMBER_TEXT))
    if source.family == "text":
        return _changed_text(value, tried, target, rounded=rounded)
    if rounded:
        return None
    if target.family == "other" or source.family == "other":
        return None
    if source.family == "float" and target.family == "float":
        return _became_infinite(value, tried)
    return exp.NullSafeNEQ(this=_try(tried, source), expression=value.copy())


def _changed_text(value: exp.Expr, tried: exp.Expr, target: SqlType, *, rounded: bool) -> exp.Expr | None:
    same = _unchanged(value, tried)
    if target.family in _MOMENT_FAMILIES:
        same = exp.and_(same, _digit_first(value))
    match target.family:
        case "integer":
            slow: exp.Expr = exp.Not(this=_matches(value, _INTEGER_TEXT))
        case "decimal":
            slow = exp.Not(this=_matches(value, _decimal_text(target.scale)))
        case "date":
            moment = _try(value, SqlType("TIMESTAMP", "timestamp"))
            cut = exp.func("COALESCE", exp.NEQ(this=moment, expression=tried.copy()), exp.false())
            unread = exp.or_(_no_moment(value), _short_year(value, tried, target))
            slow = unread if rounded else exp.or_(cut, _zoned(value), unread)
        case "timestamp":
            lost = exp.or_(_matches(value, _LONG_FRACTION), _zoned(value), _short_year(value, tried, target))
            rare = exp.or_(_no_moment(value), lost)
            slow = exp.Case().when(_plain_moment(value, tried, target), exp.false()).else_(rare)
        case "timestamptz":
            lost = exp.or_(_matches(value, _LONG_FRACTION), _short_year(value, tried, target))
            slow = exp.or_(_no_moment(value), lost)
        case "time":
            return exp.or_(_matches(value, _LONG_FRACTION), exp.Not(this=_matches(value, _TIME_ALONE)))
        case _:
            return None
    return exp.Case().when(same, exp.false()).else_(slow)


def _decimal_text(scale: int) -> str:
    return rf"[\s\v]*[+-]?([0-9]+([.][0-9]{{0,{scale}}}0*)?|[.][0-9]{{0,{scale}}}0*)[\s\v]*"


def _no_float(value: exp.Expr, tried: exp.Expr) -> exp.Expr:
    """What the engine reads, and is no number, or none that the type holds: 1_000, +-5, 1e400 (read as infinity)."""
    infinite: exp.Expr = exp.Anonymous(this="ISINF", expressions=[tried.copy()])
    named = exp.ILike(this=value.copy(), expression=exp.Literal.string("%inf%"))
    return exp.or_(_has(value, "_"), _has(value, "+-"), exp.and_(infinite, exp.Not(this=named)))


def _became_infinite(value: exp.Expr, tried: exp.Expr) -> exp.Expr:
    infinite = exp.Anonymous(this="ISINF", expressions=[tried.copy()])
    return exp.and_(infinite, exp.Not(this=exp.Anonymous(this="ISINF", expressions=[value.copy()])))


def _matches(value: exp.Expr, pattern: str) -> exp.Expr:
    return exp.Anonymous(this="REGEXP_FULL_MATCH", expressions=[value.copy(), exp.Literal.string(pattern)])


def _is_null(value: exp.Expr) -> exp.Expr:
    return exp.Is(this=value.copy(), expression=exp.null())


def _cast(value: exp.Expr, target: SqlType) -> exp.Expr:
    return exp.Cast(this=value.copy(), to=_built(target))


def _built(target: SqlType) -> exp.DataType:
    return exp.DataType.build(target.name, dialect=DIALECT)


def _try(value: exp.Expr, target: SqlType) -> exp.Expr:
    return exp.TryCast(this=value.copy(), to=_built(target))


def _whole_year(value: exp.Expr, read: exp.Expr) -> exp.Expr:
    """The year stands in the text with four digits; other digits in a row, such as those of a fraction, are none."""
    year = exp.Anonymous(this="YEAR", expressions=[read.copy()])
    digits = exp.Anonymous(this="PRINTF", expressions=[exp.Literal.string("%04d"), year.copy()])
    written = exp.Anonymous(this="CONTAINS", expressions=[value.copy(), digits])
    return exp.or_(exp.GTE(this=year, expression=exp.Literal.number(1000)), written)


def formatted_cast(value: exp.Expr, target: SqlType, pattern: str, *, rounded: bool = False) -> Cast:
    """Cast a text that is written as ``pattern`` says (strptime) to a date or time; white space around is fine.

    A year has four digits: 1.1.24 would be in the first century.
    """
    trimmed = exp.Anonymous(this="TRIM", expressions=[value.copy()])
    word = exp.Case().when(exp.Not(this=_matches(value, _WORD)), trimmed)
    read: exp.Expr = exp.Anonymous(this="TRY_STRPTIME", expressions=[word, exp.Literal.string(pattern)])
    if "%Y" in pattern:
        read = exp.Case().when(_whole_year(value, read), read)
    moment = SqlType("TIMESTAMP", "timestamp")
    if target.family == "timestamptz":
        zone = exp.DataType.build("TIMESTAMPTZ", dialect=DIALECT)
        tried: exp.Expr = exp.Cast(this=read, to=zone)
        return Cast(tried, exp.and_(_is_null(tried), exp.Not(this=_is_null(value))))
    tried = _cast(_cast(read, moment), target)
    wrong: exp.Expr = exp.and_(_is_null(tried), exp.Not(this=_is_null(value)))
    if target.family == "date" and not rounded:
        wrong = exp.or_(wrong, exp.NEQ(this=_cast(read, moment), expression=_cast(tried, moment)))
    return Cast(tried, exp.func("COALESCE", exp.paren(wrong), exp.false()))
