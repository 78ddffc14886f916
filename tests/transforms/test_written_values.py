"""Values in YAML are the values that are written: to the last digit, and no variable is taken for a text."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.plan.projects import NAME, SmallProject

from headgate.core.errors import Code, FatalError

LONG = "1234567890123456.78"


def written(project: SmallProject, step: str) -> SmallProject:
    """The step stands in the file as it is given, since writing it from Python would round numbers."""
    project.define(steps=[{"type": "filter", "condition": "STEP"}], target={"table": "out", "mode": "overwrite"})
    file = project.root / "headgate.yml"
    lines = [line for line in file.read_text().splitlines() if "condition: STEP" not in line]
    place = next(number for number, line in enumerate(lines) if line.strip() == "- type: filter")
    lines[place] = lines[place].replace("type: filter", step)
    file.write_text("\n".join(lines))
    assert len(yaml.safe_load(file.read_text())["pipelines"][NAME]["transformations"]) == 1
    return project


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (f"{{type: calculate, columns: {{x: {LONG}}}}}", LONG),
        (f"{{type: map, columns: {{x: {LONG}}}}}", LONG),
        (f"{{type: map, columns: {{x: {{from: id, values: {{1: {LONG}}}, else: 0}}}}}}", LONG),
        ("{type: map, columns: {x: true}}", "true"),
        ("{type: map, columns: {x: 2.0}}", "2.0"),
        ("{type: map, columns: {x: 3}}", "3"),
    ],
)
def test_numbers_and_truth_values_are_what_is_written(project: SmallProject, step: str, expected: str) -> None:
    project.table("orders", {"id": "INTEGER"}, [(1,)])
    plan = written(project, step).plan()
    sql = " ".join(str(getattr(stage, "sql", "")) for stage in plan.stages)
    assert expected in sql.lower()


def test_a_long_number_does_not_stand_among_doubles(project: SmallProject) -> None:
    step = f"{{type: map, columns: {{x: {{from: id, values: {{1: {LONG}, 2: 0.1}}}}}}}}"
    with pytest.raises(FatalError, match=f"{LONG} cannot stand among fractions exactly"):
        written(project, step).plan()


@pytest.mark.parametrize(
    "step",
    [
        {"type": "filter", "field": "city", "operator": "eq", "value": "{{ ds }}"},
        {"type": "filter", "field": "city", "operator": "in", "value": ["Bonn", "{{ var.city }}"]},
        {"type": "filter", "field": "city", "operator": "like", "value": "%{{ ds }}"},
        {"type": "filter", "field": "city", "operator": "gt", "value": "{{ds}}"},
        {"type": "clean", "fill": {"city": "{{ ds }}"}},
        {"type": "map", "columns": {"x": {"from": "city", "values": {"Bonn": "{{ ds }}"}}}},
        {"type": "map", "columns": {"x": {"from": "city", "values": {"{{ ds }}": "a"}}}},
        {"type": "categorize", "column": "city", "categories": [{"name": "a", "values": ["{{ ds }}"]}]},
        {"type": "pivot", "keys": ["id"], "column": "city", "values": {"x": "{{ ds }}"}, "from": "total"},
    ],
    ids=str,
)
def test_a_variable_is_not_compared_as_its_text(project: SmallProject, step: dict[str, Any]) -> None:
    with pytest.raises(FatalError, match="stands in a value, which is taken as it is written") as refused:
        project.define(steps=[step]).plan()
    assert refused.value.code is Code.PLAN_INVALID
    assert "write a condition or an expression instead" in refused.value.hint
