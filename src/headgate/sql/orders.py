"""Whether limits from YAML leave anything between them."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

_NUMBERS = (int, float, Decimal)


def refuse_nan(*limits: Any) -> None:
    """Raise ValueError for NaN, which nothing lies below or above."""
    if any(limit != limit for limit in limits):  # only NaN differs from itself
        raise ValueError("NaN is no limit: no value lies above or below it")


def refuse_empty(names: tuple[str, str], low: Any, high: Any, *, strict: bool = False) -> None:
    """Raise ValueError where no value lies between: ``low`` above ``high``, or ``strict``: at it.

    Limits that cannot be compared as they stand, such as a date with a text, are left to their column's type.
    """
    refuse_nan(low, high)
    found = compared(low, high)
    if found == "above" or (strict and found == "equal"):
        raise ValueError(f"no value lies between {names[0]} {low} and {names[1]} {high}")


def refuse_unordered(edges: tuple[Any, ...], what: str) -> None:
    """Raise ValueError unless each of the edges lies above the one before."""
    refuse_nan(*edges)
    for one, next_ in pairwise(edges):
        if compared(one, next_) in ("equal", "above"):
            raise ValueError(f"{what} grow, but {next_} does not lie above {one}")


def compared(one: Any, other: Any) -> Literal["below", "equal", "above"] | None:
    """How two limits lie to each other; None where that depends on the type of their column."""
    if not _alike(one, other):
        return None
    one, other = _written(one), _written(other)
    return "equal" if one == other else "above" if one > other else "below"


def _written(limit: Any) -> Any:
    """A float in YAML means the decimal that was written."""
    return Decimal(repr(limit)) if isinstance(limit, float) else limit


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, _NUMBERS) or isinstance(other, _NUMBERS):
        return isinstance(one, _NUMBERS) and isinstance(other, _NUMBERS)
    if isinstance(one, datetime | time):
        return type(one) is type(other) and (one.tzinfo is None) == (other.tzinfo is None)
    return type(one) is type(other) is date
