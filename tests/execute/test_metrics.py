"""Scores of a run: documented formulas, each between 0 and 1, all keys always there."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan.projects import SmallProject, with_orders

from headgate.core.runs import CheckResult
from headgate.execute.metrics import score, status

KEYS = {
    *("dataset_name", "timestamp", "status", "record_count", "total_records", "passed_records", "failed_records"),
    *("completeness_score", "accuracy_score", "consistency_score", "timeliness_score", "overall_score"),
    *("null_percentage", "duplicate_percentage", "schema_violations"),
}
WARN: dict[str, Any] = {"severity": "warning"}


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return with_orders(tmp_path)


def check(severity: str, *, passed: bool, **more: Any) -> CheckResult:
    return CheckResult("r", severity, passed, **more)


@pytest.mark.parametrize("broken", list(itertools.product([True, False], repeat=3)))
def test_status_is_that_of_the_worst_broken_rule(broken: tuple[bool, bool, bool]) -> None:
    error, warning, info = broken
    checks = [check("error", passed=not error), check("warning", passed=not warning), check("info", passed=not info)]
    assert status(checks) == ("failed" if error else "warning" if warning else "passed")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.one_of(st.none(), st.floats(-1, 2))), max_size=6))
def test_every_score_lies_between_0_and_1(found: list[Any]) -> None:
    checks = [
        check("error", passed=not failed, failed_rows=failed, judged=judged, score=s) for failed, judged, s in found
    ]
    value = score(checks)
    assert value is None if not checks else value is not None and 0 <= value <= 1


def test_a_known_table_has_known_scores(project: SmallProject) -> None:
    rules = [
        {"type": "range", "column": "total", "min": 0, **WARN},
        {"type": "accepted_values", "column": "city", "values": ["Bonn", "Ulm"], **WARN},
        {"type": "unique", "columns": ["city"], **WARN},
        {"type": "schema", "properties": {"total": {"minimum": 15}}, **WARN},
    ]
    quality = project.define(rules=rules).run().quality
    assert quality is not None
    assert set(quality) == KEYS
    assert quality["completeness_score"] == 0.9, "2 of 20 cells are NULL"
    assert quality["null_percentage"] == 10.0
    assert quality["accuracy_score"] == pytest.approx((4 / 5 + 4 / 5 + 3 / 5) / 3, abs=1e-6)
    assert (quality["consistency_score"], quality["duplicate_percentage"]) == (0.2, 80.0)
    assert quality["timeliness_score"] is None
    assert quality["overall_score"] == pytest.approx((0.9 + 2.2 / 3 + 0.2) / 3, abs=1e-6)
    assert quality["schema_violations"] == 2
    assert (quality["status"], quality["failed_records"]) == ("warning", 5), "four share a city, the fifth is negative"


def test_no_rows_are_complete_and_break_nothing(project: SmallProject) -> None:
    quality = project.define(steps=[{"type": "filter", "condition": "id > 9"}]).run().quality
    assert quality is not None
    assert (quality["completeness_score"], quality["null_percentage"], quality["record_count"]) == (1.0, 0.0, 0)
    assert quality["passed_records"] + quality["failed_records"] == quality["total_records"] == 0


def test_scores_stay_in_the_history(project: SmallProject) -> None:
    from headgate.execute.workspace import Workspace

    receipt = project.run()
    with Workspace.load(project.root) as workspace:
        assert workspace.history.get("small", receipt.run_id).quality == receipt.quality
        published = workspace.stores_of(workspace.project.pipeline("small"))[0].published(
            workspace.key("small"), receipt.execution_id
        )
    assert published is not None
    assert published.receipt["quality"] == receipt.quality
