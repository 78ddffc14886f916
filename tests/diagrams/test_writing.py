"""Diagrams in every format, those that a browser draws too; the Mermaid that ships is the one published."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from tests.diagrams.conftest import RELAXED, Shop, diagrams
from tests.mermaid.needed import needs_browser
from tests.mermaid.parser import packages

from headgate.diagrams.commits import Commit, Commits
from headgate.diagrams.document import Diagram
from headgate.diagrams.graph import Edge, EdgeKind, Graph, Group, Node
from headgate.diagrams.palette import Role
from headgate.diagrams.render import render
from headgate.diagrams.sequence import Message, Note, Participant, Sequence
from headgate.diagrams.states import State, States
from headgate.diagrams.tables import Table, Tables
from headgate.diagrams.writing import mermaid_script, written
from headgate.io import chromium

SMALL = Graph(
    "Small",
    (Node("a", 'say "hi"', Role.SOURCE), Node("b", "b", Role.ERROR, ("detail",))),
    (Edge("a", "b", EdgeKind.FAILURE, "x"), Edge("a", "b", EdgeKind.CONFIGURES)),
)


def test_the_script_that_ships_is_the_package_of_the_registry_that_is_locked() -> None:
    published = packages() / "@mermaid-js" / "tiny"
    assert mermaid_script() == (published / "dist" / "mermaid.tiny.js").read_bytes()
    shipped = Path("src/headgate/diagrams/vendor/mermaid.LICENSE")
    assert shipped.read_bytes() == (published / "LICENSE").read_bytes()


def test_dot_has_the_same_nodes_edges_and_colours() -> None:
    text = render(SMALL, "dot")
    assert (
        '"a" [label="📥 say \\"hi\\"", shape=cylinder, fillcolor="#87CEEB", color="#333", fontcolor=darkblue];' in text
    )
    assert '"a" -> "b" [style=solid, label="x", color="#DC143C"];' in text
    assert '"a" -> "b" [style=dashed, label="configures"];' in text
    assert 'label="❌ b\\ndetail"' in text


@settings(max_examples=100, deadline=None, suppress_health_check=RELAXED)
@given(diagram=diagrams)
def test_any_diagram_has_a_text_and_a_document(diagram: Diagram) -> None:
    found = json.loads(render(diagram, "json"))
    assert found["type"] == type(diagram).__name__.lower()
    lines = render(diagram, "text").splitlines()
    assert all(line == line.rstrip("\n") for line in lines)
    if isinstance(diagram, Graph):
        assert render(diagram, "text").count("--> ") >= len(diagram.edges)
        _quoted_well(render(diagram, "dot"))


def _quoted_well(text: str) -> None:
    """Outside of quoted texts, dot has only its own words and signs."""
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    assert re.fullmatch(r"[a-zA-Z_=\-> \n{}\[\];,]*", rest), rest


def test_text_chains_what_follows_one_another() -> None:
    nodes = tuple(Node(name, name) for name in "abcd")
    graph = Graph(nodes=nodes, edges=(Edge("a", "b"), Edge("b", "c", label="7 rows"), Edge("b", "d")))
    assert render(graph, "text") == "a --> b\nb --7 rows--> c\nb --> d\n"
    assert render(Graph(nodes=nodes[:3], edges=graph.edges[:2]), "text") == "a --> b --7 rows--> c\n"


@needs_browser
def test_a_browser_draws_svg_and_png() -> None:
    svg = written(SMALL, "svg").decode()
    assert svg.startswith("<svg")
    assert "foreignObject" not in svg  # labels are text, as every program can show it
    assert "hi" in svg
    assert written(SMALL, "png").startswith(b"\x89PNG")


LABELS = (
    "<b>bold</b>", "1. one", "- x", "`code`", "**x**", "_x_", "~x~", "a & b", "#35;", "$$x$$", "SUM(amount)",
    "Rate Limited)", "end", "a: b", "wrap: x", "{x}", "a|b", 'say "x"', "it's", "50 % of x", "x;y", "日本", "\\n",
)  # fmt: skip
NODES = tuple(Node(label, label, group=label) for label in LABELS)
SHOWN: dict[str, tuple[Diagram, str]] = {
    "nodes": (Graph(nodes=tuple(Node(label, label) for label in LABELS)), ".nodeLabel"),
    "groups": (Graph(nodes=NODES, groups=tuple(Group(label, label) for label in LABELS)), ".cluster-label"),
    "edges": (
        Graph(nodes=(Node("a", "a"), Node("b", "b")), edges=tuple(Edge("a", "b", label=label) for label in LABELS)),
        ".edgeLabel .edgeLabel",
    ),
    "messages": (
        Sequence("", (Participant("a", "a"), Participant("b", "b")), tuple(Message("a", "b", one) for one in LABELS)),
        ".messageText",
    ),
    "participants": (Sequence("", tuple(Participant(label, label) for label in LABELS)), "text.actor-box"),
    "notes": (Sequence("", (Participant("a", "a"),), tuple(Note(("a",), one) for one in LABELS)), ".noteText"),
    "states": (States("", tuple(State(label, label) for label in LABELS)), ".nodeLabel"),
    "tables": (Tables("", tuple(Table(label, label) for label in LABELS)), ".nodeLabel"),
    "commits": (Commits("", tuple(Commit(label) for label in LABELS)), ".commit-label"),
    "tags": (Commits("", tuple(Commit(str(n), tag=label) for n, label in enumerate(LABELS))), ".tag-label"),
}


@needs_browser
def test_what_is_shown_is_what_the_label_says() -> None:
    with chromium.chromium() as page:
        page.open("about:blank")
        page.evaluate(mermaid_script().decode() + "; globalThis.mermaid = mermaid; void 0")
        page.evaluate("mermaid.initialize({startOnLoad: false, securityLevel: 'strict'})")
        for name, (diagram, selector) in SHOWN.items():
            text = json.dumps(render(diagram))
            page.evaluate(f"mermaid.render('x', {text}).then(r => void (document.body.innerHTML = r.svg))")
            found = f"[...document.querySelectorAll({json.dumps(selector)})].map(one => one.textContent.trim())"
            shown = {one.replace("\u2060", "") for one in page.evaluate(found)}  # stands between what would be read
            assert set(LABELS) <= shown, (name, set(LABELS) - shown)
            assert page.evaluate("document.querySelectorAll('b, code, strong, em, ol, ul').length") == 0, name


@needs_browser
@pytest.mark.parametrize(
    "kind", ["architecture", "activity", "lineage", "sequence", "dag", "er", "run", "branch", "state"]
)
def test_every_kind_is_drawn_by_a_browser(shop: Shop, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"{kind}.png"
    shop.call("diagram", "orders", "--kind", kind, "-o", str(file))
    assert len(file.read_bytes()) > 5_000
