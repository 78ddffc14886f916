"""``source_columns`` of a record whose options say the columns elsewhere: they are looked up all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import SmallProject, with_orders

from headgate.core.results import Result
from headgate.execute.workspace import Workspace
from headgate.queries.plans import check

METRICS = {"group_by": ["city"], "metrics": {"n": "SUM(total)"}}
RECORDS: dict[str, dict[str, Any]] = {
    "filter": {"rule_type": "filter", "condition": "total > 0"},
    "pivot": {
        "rule_type": "pivot",
        "parameters": {"index": ["id"], "columns": "city", "values": ["Bonn"], "from": "total"},
    },
    "aggregate": {"rule_type": "aggregation", "parameters": METRICS},
    "calculate": {"rule_type": "calculation", "target_column": "twice", "parameters": {"expression": "total * 2"}},
    "clean": {"rule_type": "clean", "parameters": {"trim": ["city"]}},
}


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return with_orders(tmp_path)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_column_that_a_record_reads_and_that_is_not_there_is_found(project: SmallProject, kind: str) -> None:
    project.define(steps=[{**RECORDS[kind], "source_columns": ["total", "towm"]}])
    (problem,) = check(lambda: Workspace.load(project.root, set_aside=True)).problems
    assert problem.path == "pipelines.small.transformations.0.source_columns"
    assert problem.line > 0
    assert "towm" in problem.message


@pytest.mark.parametrize("kind", RECORDS)
def test_columns_that_are_there_are_no_mistake(project: SmallProject, kind: str) -> None:
    assert not project.define(steps=[{**RECORDS[kind], "source_columns": ["TOTAL", "*"]}]).attempt().is_failure


def test_a_calculation_may_read_what_it_makes(project: SmallProject) -> None:
    columns = {"twice": "total * 2", "more": "twice + 1"}
    step = {"rule_type": "calculation", "source_columns": ["total", "twice"], "parameters": {"columns": columns}}
    done: Result[Any] = project.define(steps=[step]).attempt()
    assert not done.is_failure
