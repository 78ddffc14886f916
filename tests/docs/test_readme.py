"""The README: its figures come from a benchmark's report, its pipeline is valid."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headgate.config.load import load_project
from headgate.core.registry import PackageRegistry

README = Path(__file__).resolve().parents[2] / "README.md"
ROW = {"name": "headgate: filter, 3 columns, 20 rules", "ratio": 2.449, "peak_mb": 1432.7}

PROJECT = """
version: 1
project: shop
connections:
  shop_db: {type: postgres, url: "${SHOP_DB_URL:-postgresql://shop}"}
  warehouse: {type: postgres, url: "${WAREHOUSE_URL:-postgresql://warehouse}"}
"""

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def filled(module_at: Callable[[str], Any]) -> Callable[..., str]:
    fill: Callable[..., str] = module_at("benchmarks/figures.py").filled
    return fill


def row(text: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith("| **headgate**")]
    return re.sub(r"<!--.*?-->", "", found)


def test_figures_are_put_into_their_places_again_and_again(filled: Callable[..., str]) -> None:
    before = README.read_text(encoding="utf-8")
    once = filled(before, {"rows": [{"name": "limit: COPY", "ratio": 1.0, "peak_mb": 20.0}, ROW]})
    assert row(once).endswith("| 2.4 | 1,433 MB |")
    again = filled(once, {"rows": [{**ROW, "ratio": 2.0}]})
    assert row(again).endswith("| 2.0 | 1,433 MB |")
    assert [line for line in again.splitlines() if "headgate**" not in line] == [
        line for line in before.splitlines() if "headgate**" not in line
    ]


@pytest.mark.parametrize("rows", [[], [{**ROW, "ratio": None}], [ROW, ROW]])
def test_a_report_without_headgate_changes_nothing(filled: Callable[..., str], rows: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="no ratio of headgate"):
        filled(README.read_text(encoding="utf-8"), {"rows": rows})


def test_the_pipeline_shown_is_valid(pages: Any, tmp_path: Path) -> None:
    (block,) = [block for block in pages.blocks(README) if block.language == "yaml"]
    (tmp_path / "headgate.yml").write_text(PROJECT)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "orders.yml").write_text(block.text)
    project = load_project(tmp_path, PackageRegistry(), environment={})
    assert project.problems() == ()
    assert list(project.pipelines) == ["orders"]
