"""A condition is a truth value: what is known to be none is refused by the plan, with its place."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import SmallProject

from headgate.core.errors import Code, FatalError

NO_CONDITIONS = [
    ("id", "id is BIGINT, neither true nor false"),
    ("city", "city is VARCHAR, neither true nor false"),
    ("1", "1 is INTEGER, neither true nor false"),
    ("'yes'", "'yes' is VARCHAR, neither true nor false"),
    ("id + 1", "id + 1 is BIGINT, neither true nor false"),
    ("LENGTH(city)", "LENGTH(city) is BIGINT, neither true nor false"),
    ("CASE WHEN id > 1 THEN 1 ELSE 0 END", "CASE WHEN id > 1 THEN 1 ELSE 0 END is INTEGER, neither true nor false"),
    ("id > 1 AND (city)", "city is VARCHAR, neither true nor false"),
    ("NOT (id OR id > 1)", "id is BIGINT, neither true nor false"),
]
CONDITIONS = [
    "id > 1",
    "TRUE",
    "NULL",
    "id IN (1, 2) OR NOT (city IS NULL)",
    "STARTS_WITH(city, 'B')",
    "CAST(id AS BOOLEAN)",
    "COALESCE(id > 1, FALSE)",
    "CASE WHEN id > 1 THEN TRUE END",
]


def places(condition: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("transformations.0", {"steps": [{"type": "filter", "condition": condition}]}),
        ("transformations.0", {"steps": [{"type": "calculate", "columns": {"x": "1"}, "condition": condition}]}),
        (
            "transformations.0",
            {"steps": [{"type": "categorize", "into": "x", "categories": [{"name": "a", "condition": condition}]}]},
        ),
        ("quality_rules.0", {"rules": [{"type": "expression", "condition": condition}]}),
        (
            "targets.0.delete_when",
            {"target": {"table": "out", "mode": "merge", "keys": ["id"], "delete_when": condition}},
        ),
    ]


@pytest.mark.parametrize(("condition", "told"), NO_CONDITIONS)
def test_what_is_no_truth_value_is_refused_wherever_a_condition_stands(
    project: SmallProject, condition: str, told: str
) -> None:
    for place, pipeline in places(condition):
        with pytest.raises(FatalError) as refusal:
            project.define(**pipeline).plan()
        assert refusal.value.code is Code.PLAN_INVALID
        (problem,) = refusal.value.problems
        assert problem.message == told, place
        assert problem.path == f"pipelines.small.{place}"
        assert "CAST(" in problem.hint


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_truth_value_is_a_condition(project: SmallProject, condition: str) -> None:
    for _, pipeline in places(condition):
        project.define(**pipeline).plan()


def test_aggregates_that_are_no_truth_values_are_no_conditions(project: SmallProject) -> None:
    group = {"type": "aggregate", "group_by": ["city"], "metrics": {"n": "COUNT(*)"}}
    for having in ("n", "COUNT(*)", "n > 1 AND SUM(id)"):
        with pytest.raises(FatalError, match="neither true nor false"):
            project.define(steps=[{**group, "having": having}]).plan()
    with pytest.raises(FatalError, match="neither true nor false"):
        project.define(rules=[{"type": "aggregate", "condition": "SUM(id)"}]).plan()
    for holds in ("BOOL_AND(id > 0)", "SUM(id) > 3"):
        project.define(
            steps=[{**group, "having": holds}], rules=[{"type": "aggregate", "condition": "MAX(n) > 0"}]
        ).plan()
