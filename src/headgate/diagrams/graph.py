"""The neutral graph: nodes with role, label, detail and group; edges with kind and label. Plain frozen data.

Diagrams that are no graphs (messages, tables with columns, states, commits) have models of their own beside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from headgate.diagrams.palette import PALETTE, Role, Shape

Direction = Literal["TB", "BT", "LR", "RL"]


class EdgeKind(StrEnum):
    FLOW = "flow"  # data, or the order of steps
    USES = "uses"  # a pool, a logger, a validator
    IMPLEMENTS = "implements"  # always from the base to the class that implements it
    CONFIGURES = "configures"  # from the file to what it configures
    DEPENDS = "depends"  # from what must be done first to what waits for it
    RETRY = "retry"
    FAILURE = "failure"


@dataclass(frozen=True)
class Node:
    """Something in a picture.

    Args:
        id: any text, unique in the graph; renderers derive safe names of it.
        label: any text; newlines break lines.
        detail: further lines below the label.
        group: the id of a :class:`Group`; "" for none.
        shape: where it differs from that of the role.
        icon: an emoji before the label, where it differs from that of the role.
    """

    id: str
    label: str
    role: Role = Role.PROCESS
    detail: tuple[str, ...] = ()
    group: str = ""
    shape: Shape | None = None
    icon: str | None = None

    @property
    def drawn(self) -> Shape:
        return self.shape or PALETTE[self.role].shape

    @property
    def emoji(self) -> str:
        return PALETTE[self.role].icon if self.icon is None else self.icon


@dataclass(frozen=True)
class Edge:
    """From one node to another. ``implements`` and ``configures`` need no label: they read as what they are."""

    source: str
    target: str
    kind: EdgeKind = EdgeKind.FLOW
    label: str = ""


@dataclass(frozen=True)
class Group:
    """A frame around nodes; ``parent`` is the group around it, "" for none."""

    id: str
    label: str
    parent: str = ""


@dataclass(frozen=True)
class Graph:
    """A picture of boxes and arrows. Order is that of drawing, and the same input gives the same text.

    Raises:
        ValueError: ids that occur twice, edges to nodes that are not there, groups that are missing or go round.
    """

    title: str = ""
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    groups: tuple[Group, ...] = ()
    direction: Direction = "TB"

    def __post_init__(self) -> None:
        known = _unique("node", (node.id for node in self.nodes))
        frames = _unique("group", (group.id for group in self.groups))
        for edge in self.edges:
            for end in (edge.source, edge.target):
                if end not in known:
                    raise ValueError(f"an edge names the node {end!r}, which is not in the graph")
        for name, owner in [(node.group, node.id) for node in self.nodes] + [(g.parent, g.id) for g in self.groups]:
            if name and name not in frames:
                raise ValueError(f"{owner!r} is in the group {name!r}, which is not in the graph")
        parents = {group.id: group.parent for group in self.groups}
        for start in parents:
            self._ends(start, parents)

    @staticmethod
    def _ends(start: str, parents: dict[str, str]) -> None:
        seen, here = set[str](), start
        while here:
            if here in seen:
                raise ValueError(f"the group {start!r} lies within itself")
            seen.add(here)
            here = parents[here]

    def node(self, id_: str) -> Node:
        """The node of that id. Raises KeyError."""
        for node in self.nodes:
            if node.id == id_:
                return node
        raise KeyError(id_)

    def turned(self, direction: Direction) -> Graph:
        return replace(self, direction=direction)


def _unique(what: str, ids: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    for one in ids:
        if one in seen or not one:
            raise ValueError(f"the {what} id {one!r} is empty or occurs twice")
        seen.add(one)
    return seen
