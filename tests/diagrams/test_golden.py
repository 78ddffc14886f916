"""Diagrams word for word. ``GOLDEN=write pytest tests/diagrams/test_golden.py`` writes them again."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from tests.diagrams.conftest import Shop
from tests.mermaid.parser import Parser

from headgate.diagrams.pipelines.chain import chain_of
from headgate.diagrams.render import mermaid
from headgate.execute.workspace import Workspace
from headgate.queries.diagrams import Wanted, diagram

FOLDER = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]


def compare(name: str, text: str) -> None:
    file = FOLDER / f"{name}.mmd"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(text)
    assert text == file.read_text(), f"{file} (GOLDEN=write writes it again)"


@pytest.mark.parametrize("kind", ["architecture", "activity", "lineage", "sequence", "dag", "er", "state"])
def test_the_shop(shop: Shop, kind: str) -> None:
    compare(f"shop-{kind}", shop.call("diagram", "orders", "--kind", kind))


@pytest.mark.parametrize("kind", ["architecture", "activity", "dag"])
def test_the_example_of_flights_is_drawn_from_its_configuration_alone(mermaid_parser: Parser, kind: str) -> None:
    with Workspace.load(ROOT / "examples" / "flights", environment={}) as workspace:
        names = [""] if kind == "dag" else list(workspace.project.pipelines)
        for name in names:
            text = mermaid(diagram(workspace, Wanted(name, kind)))
            mermaid_parser.kind(text)
            compare(f"flights-{kind}{f'-{name}' if name else ''}", text)
            assert not name or chain_of(workspace.project, name).name == name


def test_the_guide_shows_what_the_program_draws() -> None:
    """Every Mermaid block of the guide is one of these."""
    guide = (ROOT / "docs" / "guide" / "diagrams.md").read_text()
    shown = re.findall(r"```mermaid\n(.*?)```", guide, re.DOTALL)
    assert len(shown) >= 2
    known = {file.read_text() for file in FOLDER.glob("*.mmd")}
    assert [text for text in shown if text not in known] == []
