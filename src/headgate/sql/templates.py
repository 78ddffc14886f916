"""``{{ ds }}`` and its kin become typed literals in SQL and checked text in paths; nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any

from headgate.core.errors import Code, FatalError, nearest
from headgate.sql.literals import literal

_NAME = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.]*)\s*\}\}")
_TOKEN = re.compile(
    r"(?P<escaped>(?<!\w)[eE]'(?:[^'\\]|\\.|'')*')|(?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)"
    r"|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\")|(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<name>"
    + _NAME.pattern
    + ")",
    re.DOTALL,
)
_PARAMETER = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/|::|(?<![\w\]]):([A-Za-z_]\w*)", re.DOTALL
)
"""``:name`` in a user's SQL, its name as the only group; it is empty for texts, quoted names, comments and casts."""


def names(text: str) -> set[str]:
    """The variables that ``text`` refers to."""
    return {found[1] for found in _NAME.finditer(text)}


def refuse_in_value(value: Any) -> None:
    """Raise FatalError for a text, or one of a list, with a variable where values are taken as they are written."""
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, str) and (found := _NAME.search(one)):
            raise FatalError(
                Code.PLAN_INVALID,
                f"{found[0]} stands in a value, which is taken as it is written",
                operation="template",
                object=one[:200],
                hint=f"write a condition or an expression instead, such as day = {found[0]}",
            )


def render_sql(text: str, variables: Mapping[str, Any]) -> str:
    """SQL with each ``{{ name }}`` as a typed literal; inside a string literal as escaped text.

    Raises FatalError for an unknown variable, and for one in a quoted name, where a value must not go.
    """

    def replace(found: re.Match[str]) -> str:
        token = found[0]
        if found["name"]:
            return literal(_value(found["name"], variables))
        odd = found["escaped"] or found["dollar"] or (found["comment"] or "").count("/*") > 1
        if odd and _NAME.search(text if found["comment"] else token):
            raise FatalError(
                Code.PLAN_INVALID,
                f"{token[:60]} is a form of text or comment in which values cannot be told apart",
                operation="template",
                hint="use plain quotes, 'like this', and comments that are not nested",
            )
        if found["text"]:
            return _NAME.sub(lambda m: _plain(_value(m[0], variables)).replace("'", "''"), token)
        if found["quoted"] and _NAME.search(token):
            raise FatalError(
                Code.PLAN_INVALID,
                f"{token} would put a value where a name stands",
                operation="template",
                hint="variables are values: use them in conditions, not as table or column names",
            )
        return token

    return _TOKEN.sub(replace, text)


def bind(text: str, parameters: Mapping[str, Any], spelled: Callable[[Any], str] = literal) -> str:
    """SQL with each ``:name`` that is a parameter as a typed literal, outside of quotes, comments and casts.

    Binding them instead costs some drivers their streaming. ``spelled``: how the database writes literals.
    """

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        return spelled(parameters[name]) if name in parameters else found[0]

    return _PARAMETER.sub(replace, text)


def unbound(text: str, parameters: Collection[str]) -> list[str]:
    """What looks like a parameter, ``:name``, and has no value: it may also be a part of the SQL (``list[:n]``)."""
    named = (found[1] for found in _PARAMETER.finditer(text) if found[1])
    return list(dict.fromkeys(name for name in named if name not in parameters))


def render_path(text: str, variables: Mapping[str, Any]) -> str:
    """A path with each ``{{ name }}`` as text that cannot leave its folder."""

    def replace(found: re.Match[str]) -> str:
        value = _plain(_value(found[0], variables))
        if not re.fullmatch(r"[\w.:+ -]*", value) or ".." in value:
            raise FatalError(
                Code.PLAN_INVALID,
                f"{found[0]} is {value!r}, which cannot be part of a path",
                operation="template",
                hint="letters, digits and . : + - _ are allowed, .. is not",
            )
        return value

    return _NAME.sub(replace, text)


def without_value(name: str) -> str:
    """What an error says of a name that has none."""
    return f"{{{{ {name} }}}} has no value in this run"


def _value(reference: str, variables: Mapping[str, Any]) -> Any:
    found = _NAME.fullmatch(reference)
    name = found[1] if found else reference
    if name not in variables:
        hint = "pass --date, or --start and --end" if name in DATES else nearest(name, variables)
        raise FatalError(
            Code.PLAN_INVALID,
            without_value(name),
            operation="template",
            object=name,
            hint=hint,
        )
    return variables[name]


def _plain(value: Any) -> str:
    match value:
        case datetime():
            return value.isoformat()
        case date():
            return value.isoformat()
        case _:
            return str(value)


DATES = ("ds", "interval_start", "interval_end")
