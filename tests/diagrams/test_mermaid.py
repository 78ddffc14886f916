"""Whatever stands in names and labels: Mermaid's own parser takes every diagram."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.diagrams.conftest import RELAXED, diagrams
from tests.mermaid.parser import Parser

from headgate.diagrams.commits import Commits
from headgate.diagrams.document import Diagram
from headgate.diagrams.graph import Edge, EdgeKind, Graph, Node
from headgate.diagrams.render import mermaid
from headgate.diagrams.sequence import Sequence
from headgate.diagrams.states import States
from headgate.diagrams.tables import Table, Tables

KINDS = {Graph: "flowchart-v2", Sequence: "sequence", Tables: "er", States: "stateDiagram", Commits: "gitGraph"}


def parses(parser: Parser, diagram: Diagram) -> None:
    assert parser.kind(mermaid(diagram)) == KINDS[type(diagram)]


@settings(max_examples=150, deadline=None, suppress_health_check=RELAXED)
@given(diagram=diagrams)
def test_any_diagram_parses(mermaid_parser: Parser, diagram: Diagram) -> None:
    parses(mermaid_parser, diagram)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None, suppress_health_check=RELAXED)
@given(diagram=diagrams)
def test_ten_thousand_diagrams_parse(mermaid_parser: Parser, diagram: Diagram) -> None:
    parses(mermaid_parser, diagram)


@settings(max_examples=50, deadline=None, suppress_health_check=RELAXED)
@given(diagram=diagrams)
def test_the_same_diagram_gives_the_same_text(diagram: Diagram) -> None:
    assert mermaid(diagram) == mermaid(diagram)


def test_edges_from_a_thing_to_itself_are_all_told() -> None:
    """Mermaid draws only the last of several: the labels stand on one edge, and the browser is asked for each."""
    loops = (Edge("a", "a", EdgeKind.RETRY, "try again"), Edge("a", "b"), Edge("a", "a", label="next page"))
    text = mermaid(Graph(nodes=(Node("a", "a"), Node("b", "b")), edges=loops))
    assert 'a -.->|"try again<br/>next page"| a' in text


def test_labels_that_mermaid_would_take_for_its_own_are_shown() -> None:
    """Within labels of several lines it finds icons, formulas and breaks even behind escapes; and its own marks."""
    hostile = ("fa:fa-car", "$$x$$", "C:\\new", "\ufb02\xb0\xb035\xb6\xdf", "<b>&amp;#quot;")
    mermaid(Graph("\n".join(hostile), tuple(Node(one, f"one\n{one}\nthree") for one in hostile)))
    mermaid(Tables("", (Table("a", " "), Table("b", "\u200b"))))
