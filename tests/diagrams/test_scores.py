"""The page of scores over time: what each run measured, and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.diagrams.shop import write_shop
from tests.diagrams.test_site import EVIL, Tags, text_of

from headgate.api.project import Project
from headgate.core.runs import CheckResult, Receipt, Rows, Status
from headgate.diagrams.pages.scores import scores_page
from headgate.diagrams.pipelines.chain import Chain, chain_of
from headgate.execute.workspace import Workspace

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    with Workspace.load(write_shop(tmp_path_factory.mktemp("shop")), variables={"SLACK_URL": "x"}) as workspace:
        return chain_of(workspace.project, "orders")


def run(number: int, scores: dict[str, Any] | None, held: int = 0, *checks: CheckResult) -> Receipt:
    found = None if scores is None else {"record_count": 1000, **{f"{name}_score": at for name, at in scores.items()}}
    at = NOON + timedelta(days=number)
    rows = Rows(quarantined=held)
    return Receipt(f"{number:08}x", "e", "orders", Status.SUCCESS, at, at, rows=rows, checks=checks, quality=found)


def written(folder: Path, chain: Chain, *receipts: Receipt) -> Path:
    page = folder / "quality.html"
    page.write_bytes(scores_page("shop", [chain], {"orders": receipts}))
    return page


def test_each_run_has_its_scores_and_the_rules_that_rows_broke(tmp_path: Path, chain: Chain) -> None:
    broken = CheckResult("paid", "warning", False, 1234, on_fail="quarantine", kind="not_null")
    held = CheckResult("sane", "error", True, 0, kind="range")
    page = written(
        tmp_path, chain, run(0, {"overall": 1.0, "accuracy": 1}), run(1, {"overall": 0.99999}, 1234, broken, held)
    )
    shown = text_of(page)
    assert "2024-03-02 12:00 00000001 success 1,000 1,234 0.9999 paid (1,234)" in shown
    assert "2024-03-01 12:00 00000000 success 1,000 0 1 1 none" in shown
    assert shown.index("00000001") < shown.index("00000000")


def test_the_chart_has_a_point_for_each_score_and_joins_runs_that_were_measured(tmp_path: Path, chain: Chain) -> None:
    receipts = [run(0, {"overall": 1.0}), run(1, {"overall": 0.5}), run(2, {"overall": None}), run(3, {"overall": 0.0})]
    markup = written(tmp_path, chain, *receipts).read_text()
    assert [float(y) for y in re.findall(r'<circle fill="#1d2330" cx="[\d.]+" cy="([\d.]+)"', markup)] == [20, 85, 150]
    assert markup.count('stroke="#1d2330"') == 1
    assert re.findall(r"<title>2024-03-02 12:00 overall: ([\d.]+)</title>", markup) == ["0.5"]


def test_the_scale_begins_so_that_small_changes_are_seen(tmp_path: Path, chain: Chain) -> None:
    markup = written(tmp_path, chain, run(0, {"overall": 1.0}), run(1, {"overall": 0.9})).read_text()
    assert re.findall(r'text-anchor="end"[^>]*>([\d.]+)<', markup) == ["0.9", "0.95", "1"]
    assert re.findall(r'cy="([\d.]+)"', markup) == ["20.0", "150.0"]


def test_bars_show_the_rows_that_were_held_back(tmp_path: Path, chain: Chain) -> None:
    markup = written(tmp_path, chain, run(0, {}, 10), run(1, {}, 0), run(2, {}, 40)).read_text()
    bars = re.findall(r'<rect fill="#dc143c" width="[\d.]+" height="([\d.]+)" x="[\d.]+" y="([\d.]+)">', markup)
    assert [tuple(map(float, bar)) for bar in bars] == [(9, 191), (36, 164)]


def test_without_a_run_it_says_so(tmp_path: Path, chain: Chain) -> None:
    page = written(tmp_path, chain, run(0, None))
    assert "No run has been measured yet." in text_of(page)
    assert "<svg" not in page.read_text()


@pytest.mark.parametrize("text", EVIL)
def test_names_of_rules_never_become_markup(tmp_path: Path, chain: Chain, text: str) -> None:
    page = written(tmp_path, chain, run(0, {"overall": 1}, 1, CheckResult(text, "error", False, 1)))
    tags = Tags()
    tags.feed(page.read_text())
    assert not tags.found & {"b", "img", "i"}
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert page.read_text().count("<script") == 3  # those of every page
    assert unescape(text) in text_of(page)


def test_pages_lead_to_it_and_real_runs_are_on_it(tmp_path: Path) -> None:
    from tests.diagrams.conftest import Shop

    shop = Shop(write_shop(tmp_path))
    Project(tmp_path, variables={"SLACK_URL": "https://example.com"}).run("orders")
    shop.call("docs")
    page = tmp_path / "site" / "history" / "quality.html"
    assert 'href="../history/quality.html#orders"' in (tmp_path / "site" / "pipelines" / "orders.html").read_text()
    assert 'href="history/quality.html"' in (tmp_path / "site" / "index.html").read_text()
    assert re.search(r"success \S+ 1 \S+ \S+ \S+ not_null customer \(1\)|success 2 1 ", text_of(page))
    assert page.read_text().count("<svg") == 1
