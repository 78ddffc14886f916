"""Values of personal data are told in no receipt, message or hint: their columns are marked, or masked by a step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

HIDDEN = "***"


def shown(row: Mapping[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    """The row with values of hidden columns (in lower case) replaced; NULL stays NULL."""
    return {name: HIDDEN if value is not None and _is_hidden(name, hidden) else value for name, value in row.items()}


def _is_hidden(name: str, hidden: Collection[str]) -> bool:
    """Also what is made of a hidden column within a rule, such as MAX("email")."""
    lowered = name.lower()
    return lowered in hidden or any(f'"{one}"' in lowered for one in hidden)
