"""One entry to all renderers: a diagram, a format, and how it is to look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, assert_never

from headgate.diagrams.commits import Commits
from headgate.diagrams.document import Diagram, document
from headgate.diagrams.dot import dot
from headgate.diagrams.graph import Graph
from headgate.diagrams.mermaid.commits import git_graph
from headgate.diagrams.mermaid.flowchart import flowchart
from headgate.diagrams.mermaid.sequence import sequence_diagram
from headgate.diagrams.mermaid.states import state_diagram
from headgate.diagrams.mermaid.tables import er_diagram
from headgate.diagrams.sequence import Sequence
from headgate.diagrams.states import States
from headgate.diagrams.tables import Tables

Format = Literal["mermaid", "markdown", "json", "dot"]


@dataclass(frozen=True)
class Look:
    icons: bool = True


def mermaid(diagram: Diagram, look: Look = Look()) -> str:
    """The diagram in Mermaid's language."""
    match diagram:
        case Graph():
            return flowchart(diagram, icons=look.icons)
        case Sequence():
            return sequence_diagram(diagram, icons=look.icons)
        case Tables():
            return er_diagram(diagram)
        case States():
            return state_diagram(diagram)
        case Commits():
            return git_graph(diagram)
        case _:
            assert_never(diagram)


def render(diagram: Diagram, format_: Format = "mermaid", look: Look = Look()) -> str:
    """The diagram's text.

    Raises:
        ValueError: ``dot`` of what is no graph.
    """
    match format_:
        case "mermaid":
            return mermaid(diagram, look)
        case "markdown":
            return f"```mermaid\n{mermaid(diagram, look)}```\n"
        case "json":
            return json.dumps(document(diagram), ensure_ascii=False, indent=2) + "\n"
        case "dot":
            if not isinstance(diagram, Graph):
                raise ValueError(f"only graphs can be drawn as dot, not {type(diagram).__name__.lower()}")
            return dot(diagram, icons=look.icons)
        case _:
            assert_never(format_)
