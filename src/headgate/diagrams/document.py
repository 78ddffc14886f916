"""Any diagram as plain JSON values."""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass, replace
from enum import Enum
from typing import Any

from headgate.core.secrets import mask
from headgate.diagrams.commits import Commits
from headgate.diagrams.graph import Graph
from headgate.diagrams.sequence import Sequence
from headgate.diagrams.states import States
from headgate.diagrams.tables import Tables

Diagram = Graph | Sequence | Tables | States | Commits


def document(diagram: Diagram) -> dict[str, Any]:
    """The diagram's fields, with ``type`` (graph, sequence, tables, states, commits) before them."""
    return {"type": type(diagram).__name__.lower(), **_plain(asdict(diagram))}


def masked(diagram: Diagram) -> Diagram:
    """The diagram without the secrets that were read in this process: names, labels and details."""
    shown: Diagram = _masked(diagram)
    return shown


def _masked(value: Any) -> Any:
    match value:
        case Enum():
            return value
        case str():
            return mask(value)
        case tuple():
            return tuple(_masked(item) for item in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: _masked(getattr(value, field.name)) for field in fields(value)})
        case _:
            return value


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
