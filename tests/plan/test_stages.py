"""A plan is plain data, which shows its SQL and counts its scans."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.plan.projects import SmallProject

from headgate.plan.stages import Transform


def test_a_plan_cannot_be_changed(project: SmallProject) -> None:
    plan = project.plan()
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.hash = "other"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        next(s for s in plan.stages if isinstance(s, Transform)).sql = ""  # type: ignore[misc]


def test_a_plan_shows_its_sql_and_counts_its_scans(project: SmallProject) -> None:
    first = {"type": "filter", "name": "first", "condition": "id > 1"}
    aggregate = {"type": "aggregate", "group_by": ["city"], "metrics": {"n": "COUNT(*)"}}
    assert project.plan().scans == 1
    plan = project.define(steps=[first, aggregate]).plan()
    assert plan.scans == 2
    assert plan.sql.count("-- ") == 2
    assert 'GROUP BY\n    "city"' in plan.sql
    rules: list[dict[str, Any]] = [{"type": "row_count", "min": 1}, {"type": "unique", "columns": "city"}]
    assert project.define(steps=[first, aggregate], rules=rules).plan().scans == 3, "rows are counted as they pass"


def test_sql_that_joins_the_rows_with_themselves_counts_as_two_scans(project: SmallProject) -> None:
    twice = "SELECT a.id FROM input AS a JOIN input AS b ON a.id = b.id - 1"
    assert project.define(steps=[{"type": "sql", "query": twice}]).plan().scans == 3, "the rows before it, and two"
    assert project.define(rules=[{"type": "sql", "query": twice}]).plan().scans == 3, "the pass, and two of the rule"
