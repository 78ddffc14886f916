"""A graph while it is drawn: nodes are added in the order of the picture, edges between what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from headgate.diagrams.graph import Direction, Edge, EdgeKind, Graph, Group, Node
from headgate.diagrams.palette import Role, Shape


@dataclass
class Sketch:
    title: str
    direction: Direction = "TB"
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    def node(
        self,
        id_: str,
        label: str,
        role: Role = Role.PROCESS,
        detail: Iterable[str] = (),
        group: str = "",
        shape: Shape | None = None,
        icon: str | None = None,
    ) -> str:
        """Add a node unless it is there; its id."""
        self.nodes.setdefault(id_, Node(id_, label, role, tuple(detail), group, shape, icon))
        return id_

    def group(self, id_: str, label: str, parent: str = "") -> str:
        self.groups.setdefault(id_, Group(id_, label, parent))
        return id_

    def edge(self, source: str, target: str, label: str = "", kind: EdgeKind = EdgeKind.FLOW) -> None:
        """Add an edge, once."""
        self.edges[Edge(source, target, kind, label)] = None

    def mark(self, id_: str, role: Role, detail: Iterable[str] = ()) -> None:
        """Give a node another role, and further lines; its shape stays."""
        node = self.nodes[id_]
        self.nodes[id_] = replace(node, role=role, detail=(*node.detail, *detail), shape=node.drawn)

    def graph(self) -> Graph:
        return Graph(
            self.title, tuple(self.nodes.values()), tuple(self.edges), tuple(self.groups.values()), self.direction
        )
