"""Rules stop a run, hold rows back or only tell, at the step that they name."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import NAME, SmallProject

from headgate.core.errors import Code, HeadgateError

FIRST: dict[str, Any] = {"type": "filter", "name": "first", "condition": "id < 5"}
AGGREGATE: dict[str, Any] = {"type": "aggregate", "group_by": ["city"], "metrics": {"n": "COUNT(*)", "s": "SUM(total)"}}


def rule(**options: Any) -> dict[str, Any]:
    return {"type": "not_null", "column": "total", **options}


def refused(project: SmallProject) -> HeadgateError:
    with pytest.raises(HeadgateError) as caught:
        project.plan()
    return caught.value


def test_a_rule_that_fails_refuses_the_run_and_keeps_evidence(project: SmallProject) -> None:
    result = project.define(rules=[rule(name="priced")]).attempt()
    assert result.error_code is Code.QUALITY_CHECK_FAILED
    assert "priced" in (result.error or "")
    assert "id=4" in (result.error or "")
    receipt = result.value
    assert receipt is not None
    assert (receipt.status.value, receipt.published) == ("refused", False)
    (entry,) = receipt.quarantine
    assert [row["id"] for row in project.held(entry)] == [4]


@pytest.mark.parametrize("options", [{"severity": "warning"}, {"severity": "info"}, {"on_fail": "record"}])
def test_a_rule_that_only_tells_stops_no_row(project: SmallProject, options: dict[str, str]) -> None:
    receipt = project.define(rules=[rule(**options)]).run()
    assert (receipt.rows.loaded, receipt.rows.quarantined) == (5, 0)
    assert [(check.passed, check.failed_rows) for check in receipt.checks] == [(False, 1)]
    assert project.entries() == []


def test_a_row_held_at_a_named_step_is_kept_out_of_the_aggregate(project: SmallProject) -> None:
    held = rule(step="first", on_fail="quarantine")
    receipt = project.define(steps=[FIRST, AGGREGATE], rules=[held]).run()
    assert project.out("SELECT city, n FROM out") == [("Bonn", 2), ("Ulm", 1)]
    assert (receipt.rows.filtered, receipt.rows.quarantined) == (1, 1)


def test_a_rule_at_a_named_step_sees_that_steps_columns(project: SmallProject) -> None:
    late = {"type": "rename", "columns": {"total": "amount"}}
    assert project.define(steps=[FIRST, late], rules=[rule(step="first", on_fail="warn")]).run().rows.loaded == 4
    error = refused(project.define(steps=[FIRST, late], rules=[rule(on_fail="warn")]))
    assert 'column "total" not found' in error.message


def test_a_rule_over_all_rows_sees_good_rows_only(project: SmallProject) -> None:
    unique = {"type": "unique", "columns": ["city"], "on_fail": "warn"}
    held = {"type": "expression", "condition": "id IN (1, 3)", "on_fail": "quarantine"}
    receipt = project.define(rules=[unique]).run()
    assert [check.failed_rows for check in receipt.checks] == [4]
    receipt = project.define(rules=[unique, held], target={"table": "other"}).run()
    assert [check.failed_rows for check in receipt.checks] == [0, 3]


def test_results_stand_in_the_order_in_which_rules_are_written(project: SmallProject) -> None:
    rules = [
        {"type": "row_count", "min": 1, "name": "set"},
        rule(name="row", on_fail="warn"),
        rule(name="early", step="first", on_fail="warn"),
        {"type": "unique", "columns": "id", "scope": "table", "name": "table"},
    ]
    receipt = project.define(steps=[FIRST, {"type": "filter", "condition": "id > 0"}], rules=rules).run()
    assert [check.rule for check in receipt.checks] == ["set", "row", "early", "table"]


def test_rules_of_one_kind_get_numbers(project: SmallProject) -> None:
    receipt = project.define(rules=[rule(on_fail="warn"), rule(column="note", on_fail="warn")]).run()
    assert [check.rule for check in receipt.checks] == ["not_null", "not_null_2"]


def test_members_of_a_group_that_repeats_are_all_held(project: SmallProject) -> None:
    project.define(rules=[{"type": "unique", "columns": ["city"], "on_fail": "quarantine"}])
    assert project.run().rows.quarantined == 4
    assert [row[0] for row in project.out()] == [5]


@pytest.mark.parametrize(
    "options",
    [
        {"type": "row_count", "min": 1},
        {"type": "unique", "columns": "id", "scope": "table"},
    ],
)
def test_a_rule_over_all_rows_cannot_hold_single_ones(project: SmallProject, options: dict[str, Any]) -> None:
    error = refused(project.define(rules=[{**options, "on_fail": "quarantine"}]))
    assert error.code is Code.CONFIG_INVALID
    assert error.problems[0].path == f"pipelines.{NAME}.quality_rules.0"


def test_the_table_is_checked_as_it_will_be(project: SmallProject) -> None:
    unique = {"type": "unique", "columns": "id", "scope": "table"}
    assert project.define(rules=[unique]).run().rows.loaded == 5
    result = project.define(rules=[unique]).attempt()
    assert result.error_code is Code.QUALITY_CHECK_FAILED
    assert len(project.out()) == 5
    upsert = {"table": "out", "mode": "upsert", "keys": "id"}
    assert project.define(rules=[unique], target=upsert).run().rows.updated == 5


def test_a_rule_over_the_table_needs_a_target_of_its_step(project: SmallProject) -> None:
    unique = {"type": "unique", "columns": "id", "scope": "table", "step": "first"}
    steps = [FIRST, {"type": "filter", "condition": "id > 1"}]
    error = refused(project.define(steps=steps, rules=[unique]))
    assert error.code is Code.PLAN_INVALID
    assert 'needs a target that is written from "first"' in error.message
    assert error.problems[0].path == f"pipelines.{NAME}.quality_rules.0"
    both = [{"table": "out"}, {"table": "early", "from": "first"}]
    assert project.define(steps=steps, rules=[unique], targets=both).run().checks[0].passed
