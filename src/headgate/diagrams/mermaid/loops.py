"""Edges from a thing to itself: Mermaid draws only the last of several, so that they must be one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from headgate.diagrams.graph import Edge
from headgate.diagrams.states import Transition
from headgate.diagrams.tables import Relation

Way = TypeVar("Way", Edge, Relation, Transition)


def joined(ways: Iterable[Way], ends: Callable[[Way], tuple[str, str]], between: str = ", ") -> list[Way]:
    """The edges, those of one thing to itself as one in the place of the first, with all labels."""
    found: list[Way] = []
    loops: dict[str, int] = {}
    for way in ways:
        source, target = ends(way)
        if source != target or source not in loops:
            if source == target:
                loops[source] = len(found)
            found.append(way)
            continue
        first = found[loops[source]]
        labels = [label for label in (first.label, way.label) if label.strip()]
        found[loops[source]] = replace(first, label=between.join(dict.fromkeys(labels)))
    return found
