"""Graphs that nobody could read become smaller: groups become one node each, the deepest and fullest first."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from headgate.diagrams.graph import Edge, Graph, Node
from headgate.diagrams.palette import Role

NODES, EDGES = 120, 200
"""What a picture holds by default. The time of Mermaid's layout grows with the square of the edges: 400 take a browser
some 15 s, 200 a few, and it refuses more than 500."""
REST = "(rest)"


def fits(graph: Graph) -> bool:
    """Whether a picture holds all of it."""
    return len(graph.nodes) <= NODES and len(graph.edges) <= EDGES


def to_depth(graph: Graph, depth: int) -> Graph:
    """Groups are drawn ``depth`` levels deep: what lies deeper, and at 1 every group itself, becomes one node."""
    parents = {group.id: group.parent for group in graph.groups}
    deep = {group.id for group in graph.groups if _level(group.id, parents) >= depth}
    return _folded(graph, {one for one in deep if parents[one] not in deep})


def fold(graph: Graph, nodes: int = NODES, edges: int = EDGES) -> Graph:
    """The graph, folded until it holds at most so many nodes and edges."""
    while len(graph.nodes) > nodes or len(graph.edges) > edges:
        inside = Counter(node.group for node in graph.nodes if node.group)
        parents = {group.parent for group in graph.groups}
        leaves = [group.id for group in graph.groups if group.id not in parents and inside[group.id]]
        if not leaves:
            return _cut(graph, nodes, edges)
        leaves.sort(key=lambda one: (-inside[one], one))
        if inside[leaves[0]] == 1 and len(graph.nodes) <= nodes:
            return _cut(graph, nodes, edges)
        graph = _folded(graph, _enough(leaves, inside, len(graph.nodes) - nodes))
    return graph


def _enough(leaves: list[str], inside: Counter[str], surplus: int) -> set[str]:
    """The fullest groups, as many as it takes; some at least, when it is edges that are too many."""
    chosen: set[str] = set()
    for group in leaves:
        if surplus <= 0 and len(chosen) >= max(1, len(leaves) // 8):
            break
        chosen.add(group)
        surplus -= inside[group] - 1
    return chosen


def _level(group: str, parents: dict[str, str]) -> int:
    level = 1
    while parents[group]:
        group, level = parents[group], level + 1
    return level


def _folded(graph: Graph, groups: set[str]) -> Graph:
    """Each of the groups becomes one node in the place of all that lies within it."""
    parents = {group.id: group.parent for group in graph.groups}

    def outermost(group: str) -> str:
        found = ""
        while group:
            found = group if group in groups else found
            group = parents[group]
        return found

    within = {node.id: outermost(node.group) for node in graph.nodes}
    counts = Counter(group for group in within.values() if group)
    labels = {group.id: group.label for group in graph.groups}
    roles = {
        group: Counter(n.role for n in graph.nodes if within[n.id] == group).most_common(1)[0][0] for group in counts
    }
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        group = within[node.id]
        one = node if not group else _folder(group, labels[group], counts[group], roles[group], parents[group])
        nodes.setdefault(one.id, one)
    names = {node.id: _folder_id(within[node.id]) if within[node.id] else node.id for node in graph.nodes}
    kept = tuple(group for group in graph.groups if not outermost(group.id))
    return replace(graph, nodes=tuple(nodes.values()), edges=_joined(graph.edges, names), groups=kept)


def _folder_id(group: str) -> str:
    return f"folded {group}"


def _folder(group: str, label: str, count: int, role: Role, parent: str) -> Node:
    detail = (f"{count} within",) if count > 1 else ()
    return Node(_folder_id(group), label, role, detail, parent)


def _joined(edges: tuple[Edge, ...], names: dict[str, str]) -> tuple[Edge, ...]:
    """Edges between what is left, each once; those within one node are gone."""
    counts: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], Edge] = {}
    for edge in edges:
        source, target = names[edge.source], names[edge.target]
        if source == target and edge.source != edge.target:
            continue
        key = (source, target, edge.kind)
        counts[key] += 1
        if key not in first:
            first[key] = replace(edge, source=source, target=target)
    return tuple(edge if counts[key] == 1 else replace(edge, label=f"{counts[key]} ×") for key, edge in first.items())


def _cut(graph: Graph, nodes: int, edges: int) -> Graph:
    """What cannot be folded is counted: nodes beyond the limit become one that says how many."""
    shown, rest = graph.nodes[: max(1, nodes - 1)], graph.nodes[max(1, nodes - 1) :]
    if len(rest) > 1:
        names = {node.id: node.id for node in shown} | {node.id: REST for node in rest}
        more = Node(REST, f"and {len(rest):,} more", Role.UTILITY, icon="")
        graph = replace(graph, nodes=(*shown, more), edges=_joined(graph.edges, names))
    if len(graph.edges) > edges:
        title = f"{graph.title} ({edges:,} of {len(graph.edges):,} edges)".strip()
        graph = replace(graph, edges=graph.edges[:edges], title=title)
    return graph
