"""A graph says what is wrong with it when it is made."""

from __future__ import annotations

import pytest

from headgate.diagrams.graph import Edge, Graph, Group, Node


def test_an_edge_to_a_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="'b', which is not in the graph"):
        Graph(nodes=(Node("a", "A"),), edges=(Edge("a", "b"),))


def test_two_nodes_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="'a' is empty or occurs twice"):
        Graph(nodes=(Node("a", "A"), Node("a", "B")))


def test_a_group_that_is_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is in the group 'g', which is not in the graph"):
        Graph(nodes=(Node("a", "A", group="g"),))


def test_groups_within_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="lies within itself"):
        Graph(groups=(Group("a", "A", "b"), Group("b", "B", "a")))
