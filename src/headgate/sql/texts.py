"""Formats that texts may have, as conditions that an engine computes: patterns where these are exact, else casts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlglot import exp

from headgate.core.errors import Code, FatalError, nearest
from headgate.sql.formats import strptime_format

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_HEX = r"[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    [
        rf"(?:{_HEX}:){{7}}{_HEX}",
        rf"(?:{_HEX}:){{6}}{_IPV4}",
        rf"(?:{_HEX}:){{1,7}}:",
        *(rf"(?:{_HEX}:){{1,{7 - tail}}}(?::{_HEX}){{1,{tail}}}" for tail in range(1, 7)),
        rf":(?::{_HEX}){{1,7}}",
        r"::",
        rf"(?:{_HEX}:){{1,5}}:{_IPV4}",
        *(rf"(?:{_HEX}:){{1,{5 - tail}}}(?::{_HEX}){{1,{tail}}}:{_IPV4}" for tail in range(1, 5)),
        rf":(?::{_HEX}){{0,5}}:{_IPV4}",
    ]
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_MINUTES = r"(?:[01]\d|2[0-3]):[0-5]\d"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
PATTERNS: Mapping[str, str] = {
    "email": rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+",
    "uuid": r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
    "url": rf"(?i:https?|ftp)://(?:[^\s/?#@]+@)?(?:{_HOST}|\[(?:{_IPV6})\])(?::\d{{1,5}})?(?:[/?#]\S*)?",
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "ip": rf"{_IPV4}|{_IPV6}",
    "hostname": _HOST,
    "phone": r"\+[1-9]\d{6,14}",
    "iban": r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}",
    "country_code": r"[A-Z]{2}",
    "currency_code": r"[A-Z]{3}",
    "slug": r"[a-z0-9]+(?:-[a-z0-9]+)*",
    "integer": r"[+-]?\d+",
    "number": r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?",
    "date-time": rf"\d{{4}}-\d{{2}}-\d{{2}}[Tt ]{_MINUTES}:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-]{_MINUTES})?",
    "date": r"\d{4}-\d{2}-\d{2}",
    "time": rf"{_MINUTES}(?::[0-5]\d(?:\.\d+)?)?",
}
"""Whole texts, in RE2. What a pattern cannot say (that a day exists) is asked of a cast as well."""
_DAYS = ("date", "date-time")
_DAY = 10
"""Characters of a day, with which these formats begin."""
SPELLINGS: Mapping[str, str] = {
    "e-mail": "email", "mail": "email", "uri": "url", "ip_address": "ip", "datetime": "date-time",
    "date_time": "date-time", "timestamp": "date-time", "telephone": "phone", "phone_number": "phone", "guid": "uuid",
}  # fmt: skip

_DIRECTIVES = {
    "Y": r"\d{4}", "%": "%", "y": r"\d{2}", "m": r"\d{2}", "d": r"\d{2}", "H": r"\d{2}", "I": r"\d{2}", "M": r"\d{2}",
    "S": r"\d{2}", "f": r"\d{1,6}", "g": r"\d{3}", "b": r"[A-Za-z]{3}", "B": r"[A-Za-z]+", "p": r"[AaPp][Mm]",
    "j": r"\d{3}", "z": r"[+-]\d{2}:?\d{2}", "a": r"[A-Za-z]{3}", "A": r"[A-Za-z]+",
}  # fmt: skip
_PART = re.compile(r"%(-?.)|([^%])", re.DOTALL)


def known(name: str) -> str:
    """The one spelling of a format. Raises FatalError with the nearest."""
    spelled = SPELLINGS.get(name.lower(), name.lower())
    if spelled not in PATTERNS:
        raise FatalError(
            Code.PLAN_INVALID,
            f'"{name}" is not a format',
            operation="plan",
            object=name,
            hint=nearest(name, [*PATTERNS, *SPELLINGS]),
        )
    return spelled


def formatted(value: exp.Expr, name: str) -> exp.Expr:
    """Whether a text has a format; NULL where it is NULL."""
    spelled = known(name)
    parts: list[exp.Expr] = [full_match(value, PATTERNS[spelled])]
    if spelled in _DAYS:
        day = exp.Left(this=value.copy(), expression=exp.Literal.number(_DAY))
        cast = exp.TryCast(this=day, to=exp.DataType.build("DATE", dialect="duckdb"))
        parts.append(_where_filled(value, exp.Not(this=exp.Is(this=cast, expression=exp.null()))))
    return exp.and_(*parts)


def dated(value: exp.Expr, format_: str) -> exp.Expr:
    """Whether a text is a date or time of a format, every digit of it; NULL where it is NULL."""
    format_, pattern = translated(format_)
    parsed = exp.Anonymous(this="TRY_STRPTIME", expressions=[value.copy(), exp.Literal.string(format_)])
    there = exp.Not(this=exp.Is(this=parsed, expression=exp.null()))
    return exp.and_(full_match(value, pattern), _where_filled(value, there))


def translated(format_: str) -> tuple[str, str]:
    """A date format as strptime has it, and the pattern of its texts: ``YYYY-MM-DD`` and ``%Y-%m-%d`` are one.

    Raises:
        FatalError: PLAN_INVALID for what means nothing, or has no fixed form.
    """
    try:
        made = strptime_format(format_)
    except ValueError as error:
        raise _unknown(format_, str(error)) from None
    pattern = ""
    for part in _PART.finditer(made):
        directive, letter = part[1], part[2]
        if letter is not None:
            pattern += re.escape(letter)
        elif directive not in _DIRECTIVES:
            raise _unknown(format_, f'"%{directive}" has no fixed form')
        else:
            pattern += _DIRECTIVES[directive]
    return made, pattern


def _unknown(format_: str, why: str) -> FatalError:
    return FatalError(
        Code.PLAN_INVALID, why, operation="plan", object=format_, hint="write YYYY-MM-DD HH:mm:ss, or %Y-%m-%d %H:%M:%S"
    )


def full_match(value: exp.Expr, pattern: str) -> exp.Expr:
    """Whether a whole text matches a pattern."""
    return exp.Anonymous(this="REGEXP_FULL_MATCH", expressions=[value.copy(), exp.Literal.string(pattern)])


def _where_filled(value: exp.Expr, condition: exp.Expr) -> exp.Expr:
    return exp.or_(exp.Is(this=value.copy(), expression=exp.null()), condition)
