"""Whatever stands in names and labels: Mermaid's own parser takes every diagram."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.diagrams.conftest import RELAXED, diagrams
from tests.mermaid.parser import Parser

from headgate.diagrams.commits import Commits
from headgate.diagrams.document import Diagram
from headgate.diagrams.graph import Graph
from headgate.diagrams.render import mermaid
from headgate.diagrams.sequence import Sequence
from headgate.diagrams.states import States
from headgate.diagrams.tables import Tables

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
