"""A graph in the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.diagrams.graph import Edge, EdgeKind, Graph, Node
from headgate.diagrams.mermaid.words import clean
from headgate.diagrams.palette import PALETTE, Role, Shape

INDENT = "    "
_SHAPE = {Shape.BOX: "box", Shape.DIAMOND: "diamond", Shape.ROUND: "oval", Shape.STORE: "cylinder"}
_LINE = {
    EdgeKind.FLOW: "solid",
    EdgeKind.USES: "dashed",
    EdgeKind.IMPLEMENTS: "dashed",
    EdgeKind.CONFIGURES: "dashed",
    EdgeKind.DEPENDS: "bold",
    EdgeKind.RETRY: "dashed",
    EdgeKind.FAILURE: "solid",
}


def dot(graph: Graph, *, icons: bool = True) -> str:
    """The graph's text, with a newline at its end."""
    return "\n".join(_lines(graph, icons)) + "\n"


def _lines(graph: Graph, icons: bool) -> Iterator[str]:
    yield "digraph {"
    yield f"{INDENT}rankdir={graph.direction};"
    if graph.title:
        yield f"{INDENT}label={_quoted(graph.title)}; labelloc=t;"
    yield f'{INDENT}node [style=filled, fontname="sans-serif"];'
    yield from _framed(graph, "", INDENT, icons)
    for edge in graph.edges:
        yield INDENT + _edge(edge)
    yield "}"


def _framed(graph: Graph, group: str, indent: str, icons: bool) -> Iterator[str]:
    for node in graph.nodes:
        if node.group == group:
            yield indent + _node(node, icons)
    for inner in graph.groups:
        if inner.parent == group:
            yield f"{indent}subgraph {_quoted(f'cluster {inner.id}')} {{"
            yield f"{indent}{INDENT}label={_quoted(inner.label)};"
            yield from _framed(graph, inner.id, indent + INDENT, icons)
            yield f"{indent}}}"


def _node(node: Node, icons: bool) -> str:
    style = PALETTE[node.role]
    label = f"{node.emoji} {node.label}" if icons and node.emoji else node.label
    shown = "\n".join((label, *node.detail))
    return (
        f"{_quoted(node.id)} [label={_quoted(shown)}, shape={_SHAPE[node.drawn]},"
        f' fillcolor="{style.fill}", color="{style.stroke}", fontcolor={style.text}];'
    )


def _edge(edge: Edge) -> str:
    fixed = edge.kind in (EdgeKind.IMPLEMENTS, EdgeKind.CONFIGURES)
    label = edge.label or (edge.kind.value if fixed else "")
    marks = [f"style={_LINE[edge.kind]}"]
    marks += [f"label={_quoted(label)}"] if label else []
    marks += [f'color="{PALETTE[Role.ERROR].stroke}"'] if edge.kind is EdgeKind.FAILURE else []
    return f"{_quoted(edge.source)} -> {_quoted(edge.target)} [{', '.join(marks)}];"


def _quoted(value: str) -> str:
    lines = [clean(line).replace("\\", "\\\\").replace('"', '\\"') for line in value.splitlines()]
    return '"' + "\\n".join(lines) + '"'
