"""The picture of a whole project stays one that people can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.mermaid.parser import Parser

from headgate.diagrams.fold import NODES, fold
from headgate.diagrams.graph import Edge, EdgeKind, Graph
from headgate.diagrams.render import mermaid
from headgate.execute.workspace import Workspace
from headgate.queries.diagrams import Wanted, diagram


def drawn(root: Path, pipelines: dict[str, Any], wanted: Wanted = Wanted(kind="dag")) -> Graph:  # noqa: B008 - frozen
    root.joinpath("headgate.yml").write_text(json.dumps({"version": 1, "project": "big", "pipelines": pipelines}))
    with Workspace.load(root, environment={}) as workspace:
        found = diagram(workspace, wanted)
    assert isinstance(found, Graph)
    return found


def chained(count: int, **more: Any) -> dict[str, Any]:
    """Each reads what the one before wrote."""
    return {
        f"p{number}": {"source": {"table": f"t{number}"}, "target": {"table": f"t{number + 1}"}, **more}
        for number in range(count)
    }


def test_tables_of_a_large_project_stand_on_the_ways_between_pipelines(tmp_path: Path) -> None:
    graph = drawn(tmp_path, chained(100))
    assert len(graph.nodes) == 100
    assert Edge("p0", "p1", EdgeKind.FLOW, "t1") in graph.edges


def test_tables_of_a_small_project_are_drawn(tmp_path: Path) -> None:
    graph = drawn(tmp_path, chained(3))
    assert [node.label for node in graph.nodes] == ["p0", "p1", "p2", "t0", "t1", "t2", "t3"]


def test_pipelines_are_framed_by_their_first_tag_and_folded_by_it(tmp_path: Path, mermaid_parser: Parser) -> None:
    pipelines = chained(150, tags=["daily"]) | {"alone": {"source": {"table": "t150"}, "target": {"table": "end"}}}
    graph = drawn(tmp_path, pipelines)
    folded = fold(graph)
    assert len(folded.nodes) <= NODES
    assert [(node.label, node.detail) for node in folded.nodes] == [("daily", ("150 within",)), ("alone", ())]
    assert [(edge.source, edge.target) for edge in folded.edges] == [("folded tag daily", "alone")]
    mermaid_parser.kind(mermaid(graph))


def test_a_pipeline_that_reads_what_it_writes_is_no_loop_to_follow(tmp_path: Path) -> None:
    itself = {"loop": {"source": {"table": "t"}, "target": {"table": "t"}}}
    graph = drawn(tmp_path, itself, Wanted("loop", "dag", depth=3))
    assert {(edge.source, edge.target) for edge in graph.edges} == {
        ("lake (iceberg) t", "loop"),
        ("loop", "lake (iceberg) t"),
    }
