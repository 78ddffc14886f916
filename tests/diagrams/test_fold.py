"""Graphs that are too large are folded until people, and Mermaid, can take them."""

from __future__ import annotations

import itertools
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.diagrams.conftest import RELAXED, graphs
from tests.mermaid.parser import Parser

from headgate.diagrams.fold import EDGES, NODES, fold, to_depth
from headgate.diagrams.graph import Edge, EdgeKind, Graph, Group, Node
from headgate.diagrams.palette import Role
from headgate.diagrams.render import LARGEST, mermaid
from headgate.diagrams.sequence import Block, Message, Participant, Sequence
from headgate.diagrams.tables import Table, TableColumn, Tables


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
    assert folded.title == "all (200 of 1,600 edges)"


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


def test_a_large_project_of_layers_stores_and_calls_is_drawn() -> None:
    """The shape of the largest public project: many stores outside of layers, each with several edges to parts."""
    seed = Random(7)  # noqa: S311 - a shape, not a secret
    layers = tuple(Group(name, name) for name in ("orchestration", "extract", "transform", "load", "utilities"))
    parts = [Node(f"part {n}", f"Part {n}\nrun()\nread()", group=seed.choice(layers).id) for n in range(60)]
    stores = [Node(f"store {n}", f"folder/of/files/table {n}.csv", Role.SOURCE) for n in range(90)]
    ends = [(seed.choice(stores).id, seed.choice(parts).id) for _ in range(300)]
    flow = [Edge(*(end if seed.random() < 0.5 else end[::-1])) for end in dict.fromkeys(ends)]
    uses = [Edge(one.id, other.id, EdgeKind.USES) for one, other in itertools.pairwise(parts)]
    graph = Graph("Large", (*parts, *stores), (*flow, *uses), layers, "LR")
    assert len(graph.edges) > EDGES
    mermaid(graph)


def test_messages_and_tables_that_are_too_many_are_counted() -> None:
    people = (Participant("a", "A"), Participant("b", "B"), Participant("c", "C"))
    inside = tuple(Message("a", "b", f"message {n} " + "x" * 80) for n in range(2_000))
    text = mermaid(Sequence("Many", people, (Block("loop", (("each", inside),)), Message("b", "c", "last"))))
    assert len(text) <= LARGEST
    assert "and 1,602 more" in text
    assert "participant c" not in text
    columns = tuple(TableColumn(f"column_{n}", "VARCHAR") for n in range(100))
    text = mermaid(Tables("Many", tuple(Table(str(n), f"table {n}", columns) for n in range(300))))
    assert len(text) <= LARGEST
    assert "and_60_more" in text
    assert 'more"]' in text
