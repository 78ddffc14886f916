"""The checklist: answers that are kept, checks of what a machine can tell, and what to do if one fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.diagrams.conftest import Shop
from typer.testing import CliRunner

from headgate.cli.main import app
from headgate.diagrams.pages.checklist import KEYS, PARTS


@pytest.fixture
def project(shop: Shop, tmp_path: Path) -> Shop:
    """A copy that may be answered in."""
    shutil.copytree(shop.root, tmp_path / "copy")
    return Shop(tmp_path / "copy", shop.runs)


def items(project: Shop, *names: str) -> dict[str, dict[str, Any]]:
    found = json.loads(project.call("checklist", "show", *names, "-o", "json"))
    return {item["key"]: item for item in found["items"]}


def test_there_are_questions_prerequisites_eight_steps_and_a_final_list_of_twelve() -> None:
    titles = [part.title for part in PARTS]
    assert titles[:4] == ["Data sources", "Business", "Technical constraints", "Prerequisites"]
    assert [title.split(":")[0] for title in titles if title.startswith("Step")] == [f"Step {n}" for n in range(1, 9)]
    assert len(PARTS[-1].items) == 12
    assert len(set(KEYS)) == len(KEYS)


@pytest.mark.parametrize(
    ("title", "keys"),
    [
        ("Data sources", {"systems", "volume", "velocity", "format"}),
        ("Business", {"sla", "transformations", "latency", "quality"}),
        ("Technical constraints", {"compute", "bandwidth", "storage", "compliance"}),
        ("Prerequisites", {"source_schema", "target_schema", "sql", "python", "modelling", "access"}),
    ],
)
def test_questions(title: str, keys: set[str]) -> None:
    assert {item.key for part in PARTS if part.title == title for item in part.items} == keys


def test_every_item_says_what_to_do_if_it_fails() -> None:
    assert all(item.unless for part in PARTS for item in part.items)


def test_answers_are_kept_in_a_file_of_the_project(project: Shop) -> None:
    assert items(project)["compliance"]["state"] == "open"
    project.call("checklist", "answer", "compliance", "GDPR: names are masked")
    assert "compliance: 'GDPR: names are masked'" in (project.root / "requirements.yml").read_text()
    assert items(project)["compliance"]["said"] == "GDPR: names are masked"
    project.call("checklist", "answer", "compliance", "")
    assert items(project)["compliance"]["state"] == "open"


def test_what_can_be_checked_is_checked_and_a_failure_says_what_to_do(project: Shop) -> None:
    found = items(project, "orders")
    assert found["owned"]["state"] == found["retrying"]["state"] == found["repeatable"]["state"] == "done"
    assert found["final_quarantine"]["state"] == "wrong"
    assert found["final_quarantine"]["hint"] == "headgate quarantine list"
    others = items(project)
    assert (
        others["owned"]["said"] == "daily_sales: owner is missing; strict: owner is missing; broken: owner is missing"
    )
    assert others["succeeded"]["state"] == "wrong"
    assert "broken" in others["succeeded"]["said"]


def test_people_can_overrule_a_check_and_it_stays_visible(project: Shop) -> None:
    project.call("checklist", "answer", "owned", "the platform team owns all")
    item = items(project)["owned"]
    assert item["state"] == "done"
    assert "though daily_sales: owner is missing" in item["said"]


def test_open_items_warn_and_block_if_that_is_wanted(project: Shop) -> None:
    assert "items are open" in project.call("checklist", "show")
    done = CliRunner().invoke(app, ["-C", str(project.root), "checklist", "show", "--strict"])
    assert done.exit_code == 1
    for key in KEYS:
        project.call("checklist", "answer", key, "yes")
    assert "nothing is open" in project.call("checklist", "show", "--strict")


def test_an_item_that_is_not_there_is_refused_with_the_nearest(project: Shop) -> None:
    code, text = project.error("checklist", "answer", "complience", "x")
    assert code == 2
    assert 'did you mean "compliance"?' in text


def test_a_damaged_file_of_answers_is_told(project: Shop) -> None:
    (project.root / "requirements.yml").write_text("volume: [1, 2]\n")
    code, text = project.error("checklist", "show")
    assert code == 2
    assert "requirements.yml" in text


def test_recommend_knows_sources_and_target_of_a_pipeline(project: Shop) -> None:
    given = ["--volume", "10", "--latency", "batch", "--complexity", "complex"]
    found = json.loads(project.call("recommend", "orders", *given, "-o", "json"))
    assert found["requirements"]["source_count"] == 2
    assert found["requirements"]["target_system_compute_power"] == "limited"
    assert found["pattern"] == "ETL"
    assert "because" in project.call("recommend", "orders", *given)
