"""One entry to all renderers: a diagram, a format, and how it is to look."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, assert_never

from headgate.diagrams.commits import Commits
from headgate.diagrams.document import Diagram, document, masked
from headgate.diagrams.dot import dot
from headgate.diagrams.fold import EDGES, NODES, fold, to_depth
from headgate.diagrams.graph import Direction, Graph
from headgate.diagrams.mermaid.commits import git_graph
from headgate.diagrams.mermaid.flowchart import flowchart
from headgate.diagrams.mermaid.sequence import sequence_diagram
from headgate.diagrams.mermaid.states import state_diagram
from headgate.diagrams.mermaid.tables import er_diagram
from headgate.diagrams.sequence import Sequence
from headgate.diagrams.shorten import first_messages, first_tables
from headgate.diagrams.states import States
from headgate.diagrams.tables import Tables
from headgate.diagrams.text import text

Format = Literal["mermaid", "markdown", "json", "dot", "text"]
LARGEST = 45_000
"""Characters of Mermaid text; it refuses more than 50,000."""
MESSAGES, TABLES = 800, 80
"""How many are tried first where a text is too long."""
Some = TypeVar("Some", Sequence, Tables)


@dataclass(frozen=True)
class Look:
    """How a diagram is to look. ``direction`` and ``depth`` (levels of groups) are those of graphs, None as given."""

    icons: bool = True
    direction: Direction | None = None
    depth: int | None = None


PLAIN = Look()


def mermaid(diagram: Diagram, look: Look = PLAIN) -> str:
    """The diagram in Mermaid's language, without the secrets that are known."""
    return _mermaid(masked(diagram), look)


def _mermaid(diagram: Diagram, look: Look) -> str:
    """Every Mermaid text of the product comes out of here: the tests draw each that passes."""
    match diagram:
        case Graph():
            return _readable(diagram, look)
        case Sequence():
            return _short(diagram, lambda one: sequence_diagram(one, icons=look.icons), first_messages, MESSAGES)
        case Tables():
            return _short(diagram, er_diagram, first_tables, TABLES)
        case States():
            return state_diagram(diagram)
        case Commits():
            return git_graph(diagram)
        case _:
            assert_never(diagram)


def render(diagram: Diagram, format_: Format = "mermaid", look: Look = PLAIN) -> str:
    """The diagram's text.

    Raises:
        ValueError: ``dot`` of what is no graph.
    """
    diagram = _looking(masked(diagram), look)
    match format_:
        case "mermaid":
            return mermaid(diagram, look)
        case "markdown":
            return f"```mermaid\n{mermaid(diagram, look)}```\n"
        case "text":
            return text(diagram)
        case "json":
            shown = json.dumps(document(diagram), ensure_ascii=False, indent=2)
            return shown.encode("utf-8", "replace").decode() + "\n"
        case "dot":
            if not isinstance(diagram, Graph):
                raise ValueError(f"only graphs can be drawn as dot, not {type(diagram).__name__.lower()}")
            return dot(diagram, icons=look.icons)
        case _:
            assert_never(format_)


def _looking(diagram: Diagram, look: Look) -> Diagram:
    if isinstance(diagram, Graph):
        diagram = diagram.turned(look.direction) if look.direction else diagram
        return to_depth(diagram, look.depth) if look.depth else diagram
    if isinstance(diagram, States) and look.direction:
        return replace(diagram, direction=look.direction)
    return diagram


def _short(diagram: Some, write: Callable[[Some], str], first: Callable[[Some, int], Some], most: int) -> str:
    """A text that Mermaid takes: the first messages or tables, if there are too many."""
    shown = write(diagram)
    while len(shown) > LARGEST and most > 1:
        shown = write(first(diagram, most))
        most //= 2
    return shown


def _readable(graph: Graph, look: Look) -> str:
    """A flowchart that Mermaid takes: folded if there is too much of it."""
    nodes, edges = NODES, EDGES
    while True:
        shown = flowchart(fold(graph, nodes, edges), icons=look.icons)
        if len(shown) <= LARGEST or nodes == 1:
            return shown
        nodes, edges = max(1, nodes // 2), max(1, edges // 2)
