"""Graphs that are too large are folded until people, and Mermaid, can take them."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.diagrams.conftest import RELAXED, graphs
from tests.mermaid.parser import Parser

from headgate.diagrams.fold import EDGES, NODES, fold, to_depth
from headgate.diagrams.graph import Edge, Graph, Group, Node
from headgate.diagrams.render import LARGEST, mermaid


def large(groups: int, each: int) -> Graph:
    frames = tuple(Group(f"g{number}", f"Group {number}") for number in range(groups))
    nodes = tuple(
        Node(f"{group.id} {n}", f"node {n} " + "x" * 100, group=group.id) for group in frames for n in range(each)
    )
    edges = tuple(Edge(one.id, other.id) for one, other in itertools.pairwise(nodes))
    return Graph("large", nodes, edges, frames)


def test_groups_of_a_large_graph_become_nodes_that_say_how_much_is_within() -> None:
    folded = fold(large(20, 50))
    assert len(folded.nodes) <= NODES
    assert Node("folded g19", "Group 19", folded.nodes[0].role, ("50 within",)) in folded.nodes
    assert Edge("folded g18", "folded g19") in folded.edges


def test_a_graph_that_fits_stays_as_it_is() -> None:
    graph = large(3, 10)
    assert fold(graph) is graph


def test_what_has_no_groups_is_cut_and_counted() -> None:
    nodes = tuple(Node(str(number), str(number)) for number in range(5_000))
    folded = fold(Graph(nodes=nodes))
    assert len(folded.nodes) == NODES
    assert folded.nodes[-1].label == "and 4,881 more"


def test_edges_that_are_too_many_are_cut_and_the_title_says_so() -> None:
    nodes = tuple(Node(str(number), str(number)) for number in range(40))
    edges = tuple(Edge(one.id, other.id) for one in nodes for other in nodes)
    folded = fold(Graph("all", nodes, edges))
    assert len(folded.edges) == EDGES
    assert folded.title == "all (400 of 1,600 edges)"


def test_mermaid_takes_the_largest(mermaid_parser: Parser) -> None:
    text = mermaid(large(200, 40))
    assert len(text) <= LARGEST
    mermaid_parser.kind(text)
    mermaid_parser.kind(mermaid(large(1, 3_000)))


def test_groups_are_drawn_as_deep_as_asked() -> None:
    graph = Graph(
        nodes=(Node("a", "A", group="outer"), Node("b", "B", group="inner"), Node("c", "C")),
        edges=(Edge("a", "b"), Edge("b", "c")),
        groups=(Group("outer", "Outer"), Group("inner", "Inner", "outer")),
    )
    assert [node.id for node in to_depth(graph, 1).nodes] == ["folded outer", "c"]
    assert [node.id for node in to_depth(graph, 2).nodes] == ["a", "folded inner", "c"]
    assert to_depth(graph, 3) == graph
    assert to_depth(graph, 1).edges == (Edge("folded outer", "c"),)


@settings(max_examples=100, deadline=None, suppress_health_check=RELAXED)
@given(graph=graphs(), nodes=st.integers(1, 8), edges=st.integers(1, 8))
def test_any_graph_can_be_folded(graph: Graph, nodes: int, edges: int) -> None:
    folded = fold(graph, nodes, edges)
    assert len(folded.nodes) <= max(nodes, 2)
    assert len(folded.edges) <= edges
    mermaid(to_depth(folded, 1))
