"""Any diagram as plain JSON values."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from typing import Any

from headgate.diagrams.commits import Commits
from headgate.diagrams.graph import Graph
from headgate.diagrams.sequence import Sequence
from headgate.diagrams.states import States
from headgate.diagrams.tables import Tables

Diagram = Graph | Sequence | Tables | States | Commits


def document(diagram: Diagram) -> dict[str, Any]:
    """The diagram's fields, with ``type`` (graph, sequence, tables, states, commits) before them."""
    return {"type": type(diagram).__name__.lower(), **_plain(asdict(diagram))}


def _plain(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
