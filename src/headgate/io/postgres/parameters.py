"""Named parameters of queries, as typed literals: binding them costs the driver its streaming."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headgate.sql.literals import literal

_PARAMETER = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|::|(?<![\w\]]):([A-Za-z_]\w*)", re.DOTALL
)


def bind(text: str, parameters: Mapping[str, Any]) -> str:
    """SQL with each ``:name`` that is a parameter as a typed literal, outside of quotes, comments and casts."""

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        return literal(parameters[name]) if name in parameters else found[0]

    return _PARAMETER.sub(replace, text)
