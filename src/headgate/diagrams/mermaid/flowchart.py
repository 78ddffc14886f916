"""A graph as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headgate.diagrams.graph import Edge, EdgeKind, Graph, Group, Node
from headgate.diagrams.mermaid.loops import joined
from headgate.diagrams.mermaid.words import Names, header, lines
from headgate.diagrams.palette import PALETTE, Role, Shape

INDENT = "    "
WIDTH = 320
"""Pixels after which a line of a label is broken; Mermaid's own default breaks short ones already."""
_OPEN = {Shape.BOX: ("[", "]"), Shape.DIAMOND: ("{", "}"), Shape.ROUND: ("([", "])"), Shape.STORE: ("[(", ")]")}
_ARROW = {
    EdgeKind.FLOW: "-->",
    EdgeKind.USES: "-.->",
    EdgeKind.IMPLEMENTS: "-.implements.->",
    EdgeKind.CONFIGURES: "-.configures.->",
    EdgeKind.DEPENDS: "==>",
    EdgeKind.RETRY: "-.->",
    EdgeKind.FAILURE: "-->",
}


def flowchart(graph: Graph, *, icons: bool = True) -> str:
    """The diagram's text, with a newline at its end."""
    return "\n".join(_lines(graph, icons)) + "\n"


def _lines(graph: Graph, icons: bool) -> Iterator[str]:
    names = Names()
    yield from header(graph.title, "flowchart:", f"  wrappingWidth: {WIDTH}")
    yield f"flowchart {graph.direction}"
    nodes: dict[str, list[Node]] = {}
    for node in graph.nodes:
        nodes.setdefault(node.group, []).append(node)
    frames: dict[str, list[Group]] = {}
    for group in graph.groups:
        frames.setdefault(group.parent, []).append(group)
    yield from _framed("", nodes, frames, names, icons, INDENT)
    edges = joined(graph.edges, lambda edge: (edge.source, edge.target), "\n")
    for edge in edges:
        yield INDENT + _edge(edge, names)
    yield from classes(((node.role, names[node.id]) for node in graph.nodes), INDENT)
    failures = [str(number) for number, edge in enumerate(edges) if edge.kind is EdgeKind.FAILURE]
    if failures:
        yield f"{INDENT}linkStyle {','.join(failures)} stroke:{PALETTE[Role.ERROR].stroke}"


def _framed(
    group: str, nodes: dict[str, list[Node]], frames: dict[str, list[Group]], names: Names, icons: bool, indent: str
) -> Iterator[str]:
    """What lies within one group (or outside of all): its nodes, then the groups within."""
    for node in nodes.get(group, ()):
        yield indent + _node(node, names, icons)
    for inner in frames.get(group, ()):
        if not _holds(inner.id, nodes, frames):
            continue  # a frame around nothing would be drawn as a node
        yield f'{indent}subgraph {names.group(inner.id)}["{lines([inner.label])}"]'
        yield from _framed(inner.id, nodes, frames, names, icons, indent + INDENT)
        yield f"{indent}end"


def _holds(group: str, nodes: dict[str, list[Node]], frames: dict[str, list[Group]]) -> bool:
    return group in nodes or any(_holds(inner.id, nodes, frames) for inner in frames.get(group, ()))


def _node(node: Node, names: Names, icons: bool) -> str:
    first, last = _OPEN[node.drawn]
    label = f"{node.emoji} {node.label}" if icons and node.emoji else node.label
    return f'{names[node.id]}{first}"{lines([label, *node.detail])}"{last}'


def _edge(edge: Edge, names: Names) -> str:
    arrow, label = _ARROW[edge.kind], edge.label
    if label.strip() and edge.kind in (EdgeKind.IMPLEMENTS, EdgeKind.CONFIGURES):
        arrow = "-.->"
    shown = f'|"{lines([label])}"|' if label.strip() else ""
    return f"{names[edge.source]} {arrow}{shown} {names[edge.target]}"


def classes(roles: Iterable[tuple[Role, str]], indent: str) -> Iterator[str]:
    """The class of each role that occurs, then which nodes are of it."""
    members: dict[Role, list[str]] = {}
    for role, name in roles:
        members.setdefault(role, []).append(name)
    for role in members:
        style = PALETTE[role]
        yield f"{indent}classDef {role} fill:{style.fill},stroke:{style.stroke},stroke-width:2px,color:{style.text}"
    for role, named in members.items():
        yield f"{indent}class {','.join(named)} {role}"
