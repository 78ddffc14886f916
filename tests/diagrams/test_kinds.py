"""Every kind of step, rule, source and target that there is can be drawn, as its example is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mermaid.parser import Parser

from headgate.config.yaml import parse, plain
from headgate.diagrams.pipelines.chain import chain_of
from headgate.diagrams.pipelines.words import rule_text, step_lines
from headgate.diagrams.render import mermaid
from headgate.execute.workspace import Workspace
from headgate.queries.diagrams import Wanted, diagram

ROOT = Path(__file__).parents[2]
EXAMPLES: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "docs" / "texts" / "examples.yml").read_text())


def read(text: str) -> Any:
    """As headgate reads it: ``on`` is no truth value."""
    return plain(parse(text, "examples.yml"))


CONNECTIONS = """
warehouse: {type: postgres, url: "${WAREHOUSE_URL}"}
results: {type: sqlite, path: results.db}
files_out: {type: local, path: out}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A pipeline for each example, of a project none of whose references has a value."""
    root = tmp_path_factory.mktemp("kinds")
    connections: dict[str, Any] = read(CONNECTIONS)
    for text in EXAMPLES["connections"].values():
        connections |= read(text)
    source, target = {"source": {"table": "t", "name": "given"}}, {"target": {"table": "u", "mode": "overwrite"}}
    pipelines: dict[str, Any] = {}
    for part, key in (("steps", "transformations"), ("rules", "quality_rules")):
        for kind, text in EXAMPLES[part].items():
            pipelines[f"{part}-{kind}"] = {**source, key: [read(text)], **target}
    for kind, text in EXAMPLES["sources"].items():
        pipelines[f"source-{kind}"] = {**read(text), **target}
    for kind, text in EXAMPLES["targets"].items():
        pipelines[f"target-{kind}"] = {**source, **read(text)}
    document = {"version": 1, "project": "kinds", "connections": connections, "pipelines": pipelines}
    (root / "headgate.yml").write_text(json.dumps(document, default=str))
    return Workspace.load(root, environment={})


def test_each_is_drawn_and_parses(workspace: Workspace, mermaid_parser: Parser) -> None:
    for name in workspace.project.pipelines:
        for kind in ("architecture", "activity"):
            mermaid_parser.kind(mermaid(diagram(workspace, Wanted(name, kind))))
    mermaid_parser.kind(mermaid(diagram(workspace, Wanted("", "dag"))))


def test_each_step_and_each_rule_says_something_of_its_options(workspace: Workspace) -> None:
    for name in workspace.project.pipelines:
        chain = chain_of(workspace.project, name)
        if name.startswith("steps-"):
            (link,) = chain.links
            assert link.options is not None
            assert step_lines(link.options), name
        elif name.startswith("rules-"):
            assert len(chain.rules) == 1
            assert rule_text(chain.rules[0]).endswith(chain.rules[0].action)
