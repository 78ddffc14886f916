"""What rules remember of published runs, in their receipts; a run is compared with those that read alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_LENGTHS = (0.8, 1.25)
"""Intervals whose lengths differ by no more are alike, as months are, and days when clocks change."""


def remembered(found: Mapping[str, Any], about: str, reads: str | float) -> dict[str, Any]:
    """What a rule found, with what it is about and what kind of read the rows were of."""
    return {**found, "about": about, "reads": reads} if found else {}


def comparable(past: Iterable[Mapping[str, Any]], about: str, reads: str | float) -> tuple[Mapping[str, Any], ...]:
    """What was remembered of the same columns, by runs of which as many rows, spread alike, are to be expected.

    A rule that has no name is called by its kind and place, so the same name may have stood for other columns; receipts
    that do not tell are of the rule by that name.
    """
    return tuple(one for one in past if one.get("about", about) == about and _alike(one.get("reads"), reads))


def _alike(one: object, other: str | float) -> bool:
    if isinstance(one, str) or isinstance(other, str) or not isinstance(one, int | float):
        return one == other
    return _LENGTHS[0] <= one / other <= _LENGTHS[1]
