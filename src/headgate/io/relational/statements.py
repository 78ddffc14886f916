"""Parameters of statements: ``?`` for drivers that want ``%s``, and ``:name`` in users' SQL as literals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from headgate.sql.templates import bind, render_sql

_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|[?%]")


@lru_cache(maxsize=256)
def percent_marks(statement: str) -> str:
    """``?`` outside of quotes becomes ``%s``; a per cent sign anywhere is doubled."""

    def replace(found: re.Match[str]) -> str:
        return "%s" if found[0] == "?" else found[0].replace("%", "%%")

    return _TOKEN.sub(replace, statement)


def user_sql(
    text: str, variables: Mapping[str, Any], parameters: Mapping[str, Any], literal: Callable[[Any], str]
) -> str:
    """A user's SELECT or condition with ``{{ name }}`` and ``:name`` as typed literals, outside of quotes."""
    plain = {name: _as_text(value) for name, value in variables.items()}
    return bind(render_sql(text.strip().rstrip(";"), plain), parameters, literal)


def _as_text(value: Any) -> Any:
    """Moments as texts that every database compares with its own times; days stay days."""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return moment.isoformat(sep=" ")
    return value
