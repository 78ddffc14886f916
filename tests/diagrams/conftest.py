"""A project with runs of every outcome; and any diagram at all, with hostile names and labels."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from tests.diagrams.shop import write_shop
from typer.testing import CliRunner

from headgate.cli.main import app
from headgate.diagrams.commits import MAIN, Branch, Commit, Commits, Merge, Step
from headgate.diagrams.document import Diagram
from headgate.diagrams.graph import Edge, EdgeKind, Graph, Group, Node
from headgate.diagrams.mermaid.words import RESERVED
from headgate.diagrams.palette import Role, Shape
from headgate.diagrams.sequence import Block, Item, Message, Note, Participant, Sequence
from headgate.diagrams.states import END, START, State, States, Transition
from headgate.diagrams.tables import Relation, Table, TableColumn, Tables

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large]
HOSTILE = (
    "", " ", "end", "End", "graph", "subgraph x", "class a b", "click a href \"javascript:alert(1)\"", "a --> b",
    "%% x", "%%{init: {\"theme\": \"x\"}}%%", "---", "---\ntitle: x\n---", "\"", "'", "`", "`**md**`", "#quot;",
    "#35;", "#", ";", "style a:#fff;", "classDef x:#fff;", "\\", "\\n", "\n", "a\nb", "a\r\nb", "<br/>",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "&lt;", "&amp;", "&#60;", "$$x^2$$", "$x", "1. one",
    "- x", "* x", "+ x", "> x", "# x", "_x_", "**x**", "[x](javascript:alert(1))", "~~x~~", "![x](http://x)", "]",
    "[", "}", "{", ")", "(", "|", "([", "[(", "@{ shape: x }", "a@{", ":::x", "::", ":", "wrap: x", "nowrap:x",
    "->>", "-->>", "~", "x--x", "o--o", "fa:fa-ban", "fa:fa-car x", "\u200b", "\u202eabc", "\ufeff", "\ufffe",
    "\U0001f525", "é", "\u0301", "\u2028", "\x00", "\x1b[31m", "\ud800", "日本語", "עברית", "a" * 500, "TB", "o", "x",
    "[*]", "<<fork>>", "SUM(amount)", "Rate Limited)", "É", "ª", "COUNT(*) > 0", "a,b", "a&b", "ﬂ°°35¶ß",
)  # fmt: skip
SPECIAL = "\"'`#;:%&<>{}[]()|\\/$@*_~^-=+.,!?\n\r\t "
text = (
    st.sampled_from(HOSTILE)
    | st.sampled_from(sorted(RESERVED))
    | st.text(st.sampled_from(SPECIAL) | st.characters(), max_size=20)
    | st.lists(st.sampled_from(HOSTILE), max_size=3).map("".join)
)
name = text.filter(bool)
names = st.lists(name, min_size=1, max_size=8, unique=True)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    frames = draw(st.lists(name, max_size=4, unique=True))
    groups = tuple(
        Group(one, draw(text), draw(st.sampled_from(["", *frames[:number]]))) for number, one in enumerate(frames)
    )
    nodes = tuple(
        Node(
            one,
            draw(text),
            draw(st.sampled_from(Role)),
            tuple(draw(st.lists(text, max_size=2))),
            draw(st.sampled_from(["", *frames])),
            draw(st.none() | st.sampled_from(Shape)),
        )
        for one in draw(names)
    )
    end = st.sampled_from([node.id for node in nodes])
    edges = draw(st.lists(st.builds(Edge, end, end, st.sampled_from(EdgeKind), text), max_size=8))
    return Graph(draw(text), nodes, tuple(edges), groups, draw(st.sampled_from(["TB", "BT", "LR", "RL"])))


@st.composite
def sequences(draw: st.DrawFn) -> Sequence:
    people = draw(names)
    one = st.sampled_from(people)
    message: st.SearchStrategy[Item] = st.builds(Message, one, one, text, st.booleans(), st.booleans())
    note: st.SearchStrategy[Item] = st.builds(Note, st.lists(one, min_size=1, max_size=2).map(tuple), text)

    def blocks(inner: st.SearchStrategy[Item]) -> st.SearchStrategy[Item]:
        section = st.tuples(text, st.lists(inner, max_size=3).map(tuple))
        many = st.builds(Block, st.just("alt"), st.lists(section, min_size=1, max_size=3).map(tuple))
        return many | st.builds(Block, st.sampled_from(["loop", "opt", "break"]), st.tuples(section))

    items = draw(st.lists(st.recursive(message | note, blocks, max_leaves=4), max_size=6))
    participants = tuple(Participant(person, draw(text), icon=draw(st.sampled_from(["", "📥"]))) for person in people)
    return Sequence(draw(text), participants, tuple(items))


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    column = st.builds(
        TableColumn, text, text, st.lists(st.sampled_from(["PK", "FK", "UK"]), unique=True).map(tuple), text
    )
    found = tuple(Table(one, draw(text), tuple(draw(st.lists(column, max_size=4)))) for one in draw(names))
    end = st.sampled_from([table.id for table in found])
    many = st.sampled_from(["one", "zero_or_one", "many", "one_or_many"])
    return Tables(
        draw(text), found, tuple(draw(st.lists(st.builds(Relation, end, end, text, many, many, st.booleans()))))
    )


@st.composite
def states(draw: st.DrawFn) -> States:
    found = tuple(
        State(one, draw(text), draw(st.sampled_from(Role)), draw(text))
        for one in draw(names)
        if one not in (START, END)
    )
    ids = [state.id for state in found]
    edge = st.builds(Transition, st.sampled_from([START, *ids]), st.sampled_from([END, *ids]), text)
    return States(draw(text), found, tuple(draw(st.lists(edge, max_size=6))), draw(st.sampled_from(["TB", "LR"])))


@st.composite
def commits(draw: st.DrawFn) -> Commits:
    labels = iter(draw(st.lists(name, min_size=12, max_size=12, unique_by=lambda one: " ".join(one.split()))))
    steps: list[Step] = [Commit(next(labels))]
    ahead = {MAIN: 1}
    for _ in range(draw(st.integers(0, 8))):
        branch = draw(st.sampled_from(sorted(ahead)))
        match draw(st.sampled_from(["commit", "branch", "merge"])):
            case "commit":
                steps.append(
                    Commit(next(labels), branch, draw(text), draw(st.sampled_from(["normal", "reverse", "highlight"])))
                )
                ahead[branch] += 1
            case "branch":
                new = draw(name.filter(lambda one: one not in ahead))
                steps.append(Branch(new, branch))
                ahead[new] = 0
            case "merge" if branch != MAIN and ahead[branch]:
                steps.append(Merge(branch, MAIN, next(labels), draw(text)))
                ahead[MAIN] += 1
                ahead[branch] = 0
    return Commits(draw(text), tuple(steps))


diagrams: st.SearchStrategy[Diagram] = graphs() | sequences() | tables() | states() | commits()


@dataclass(frozen=True)
class Shop:
    """The project's folder, and the id of the run of each pipeline."""

    root: Path
    runs: dict[str, str] = field(default_factory=dict)

    def call(self, *arguments: str) -> str:
        """What the program prints. Fails unless it exits with 0."""
        done = CliRunner().invoke(app, ["-C", str(self.root), *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    def error(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["-C", str(self.root), *arguments])
        return done.exit_code, done.stderr


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Runs that published, were refused and failed; whoever draws them needs no secret."""
    found = Shop(write_shop(tmp_path_factory.mktemp("shop")))
    os.environ["SLACK_URL"] = "https://example.com/hook"
    try:
        for name in ("orders", "daily_sales", "strict", "broken"):
            done = CliRunner().invoke(app, ["-C", str(found.root), "run", name, "-o", "json", "--quiet"])
            found.runs[name] = json.loads(done.stdout)["run_id"]
    finally:
        del os.environ["SLACK_URL"]
    return found
