"""A read in SQL of the rows of some values only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from headgate.core.models import ReadOptions
from headgate.sql.literals import literal, quote_name

_PLAIN = re.compile(r"[\w .,+@/-]*", re.ASCII)
"""Texts that mean the same in every SQL and code page, and hold no place for a variable or parameter."""


def narrowed(read: ReadOptions, column: str, values: Sequence[Any]) -> ReadOptions:
    """The read with a further condition; the same read where a value would have to be written in some special way."""
    if not values or not all(map(_is_plain, values)):
        return read
    listed = ", ".join(literal(value) for value in values if value is not None)
    parts = [f"{quote_name(column)} IN ({listed})"] if listed else []
    parts += [f"{quote_name(column)} IS NULL"] if None in values else []
    own = f"({read.where}\n) AND " if read.where else ""
    return read.model_copy(update={"where": f"{own}({' OR '.join(parts)})"})


def _is_plain(value: Any) -> bool:
    return value is None or type(value) is int or (type(value) is str and _PLAIN.fullmatch(value) is not None)
