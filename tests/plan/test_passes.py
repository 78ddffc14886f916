"""Where passes end, and what one pass makes of rows that are wrong in several ways."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import SmallProject

from headgate.plan.flags import BITS
from headgate.plan.stages import Keep, Transform

QUARANTINE = {"on_row_error": "quarantine"}
FILTER: dict[str, Any] = {"type": "filter", "condition": "total > 0"}
CAST: dict[str, Any] = {"type": "cast", "columns": {"note": "BIGINT"}}
AGGREGATE: dict[str, Any] = {"type": "aggregate", "group_by": ["city"], "metrics": {"n": "COUNT(*)"}}
PYTHON: dict[str, Any] = {"type": "python", "function": "mine:same"}


def passes(project: SmallProject, *steps: dict[str, Any], **others: Any) -> list[tuple[str, ...]]:
    """The steps of each pass."""
    return [stage.steps for stage in project.define(steps=steps, **others).passes()]


def ctes(transform: Transform) -> int:
    """How many CTEs stand in a pass."""
    return transform.sql.count(" AS (\n  SELECT")


def test_a_pipeline_without_steps_is_one_pass(project: SmallProject) -> None:
    assert passes(project) == [()]


def test_steps_row_by_row_share_one_pass(project: SmallProject) -> None:
    steps = [
        FILTER,
        CAST,
        {"type": "deduplicate", "keys": ["city"], "order_by": ["id"]},
        {"type": "rename", "columns": {"id": "nr"}},
    ]
    assert passes(project, *steps, error_handling=QUARANTINE) == [("filter", "cast", "deduplicate", "rename")]


def test_a_pass_ends_before_an_aggregate_only_if_rows_may_be_held_or_dropped(project: SmallProject) -> None:
    calculate = {"type": "calculate", "columns": {"more": "total + 1"}}
    rename = {"type": "rename", "columns": {"note": "remark"}}
    assert passes(project, AGGREGATE) == [("aggregate",)]
    assert passes(project, rename, AGGREGATE) == [("rename", "aggregate")]
    assert passes(project, FILTER, AGGREGATE) == [("filter",), ("aggregate",)]
    assert passes(project, CAST, AGGREGATE) == [("cast",), ("aggregate",)]
    assert passes(project, calculate, AGGREGATE)[-1] == ("aggregate",)


def test_steps_after_an_aggregate_stay_in_its_pass(project: SmallProject) -> None:
    large = {"type": "filter", "condition": "n > 1"}
    assert passes(project, AGGREGATE, large) == [("aggregate", "filter")]
    assert passes(project, AGGREGATE, large, {**AGGREGATE, "group_by": [], "metrics": {"m": "SUM(n)"}}) == [
        ("aggregate", "filter"),
        ("aggregate_2",),
    ]


def test_a_pass_ends_after_a_step_that_a_target_or_rule_names(project: SmallProject) -> None:
    first = {**FILTER, "name": "first"}
    rule = {"type": "not_null", "column": "id"}
    assert passes(project, first, CAST) == [("first", "cast")]
    assert passes(project, first, CAST, rules=[{**rule, "step": "first"}]) == [("first",), ("cast",)]
    targets = [{"table": "out"}, {"table": "early", "from": "first"}]
    assert passes(project, first, CAST, targets=targets) == [("first",), ("cast",)]
    assert passes(project, CAST, first, targets=targets) == [("cast", "first")]


def test_a_python_step_is_a_pass_between_two_spools(project: SmallProject) -> None:
    (project.root / "mine.py").write_text("def same(rows):\n    return rows\n")
    plan = project.define(steps=[FILTER, PYTHON, CAST]).plan()
    found = [stage for stage in plan.stages if isinstance(stage, Transform)]
    assert [stage.steps for stage in found] == [("filter",), ("python",), ("cast",)]
    assert [bool(stage.call) for stage in found] == [False, True, False]
    spools = [stage.spool for stage in plan.stages if isinstance(stage, Keep)]
    assert spools == [found[0].relation, found[1].relation]
    assert [stage.reads for stage in found] == ["source", *spools]


def test_a_shape_is_one_cte_and_one_that_finds_row_errors_three(project: SmallProject) -> None:
    rename = {"type": "rename", "columns": {"note": "remark"}}
    counts = []
    for steps in ([FILTER], [FILTER, FILTER], [FILTER, rename], [FILTER, CAST]):
        (only,) = project.define(steps=steps, error_handling=QUARANTINE).passes()
        counts.append(ctes(only))
    assert counts == [1, 2, 2, 4]


@pytest.mark.parametrize("action", ["quarantine", "warn"])
def test_more_rules_than_a_word_has_bits_are_all_judged(project: SmallProject, action: str) -> None:
    count = 2 * BITS + 5
    project.table("numbers", {"n": "INTEGER"}, [(n,) for n in range(-1, count)])
    rules = [
        {"type": "expression", "name": f"not_{n}", "condition": f"n <> {n}", "on_fail": action} for n in range(count)
    ]
    receipt = project.define(source={"connection": "shop", "table": "numbers"}, rules=rules).run()
    assert [(check.rule, check.failed_rows) for check in receipt.checks] == [(f"not_{n}", 1) for n in range(count)]
    if action == "quarantine":
        assert project.out() == [(-1,)]
        assert receipt.rows.quarantined == count
        assert [row["_reasons"] for row in project.held(receipt.quarantine[BITS])] == [
            [f"not_{BITS}: expected n <> {BITS}"]
        ]
    else:
        assert len(project.out()) == count + 1


def test_a_row_that_breaks_rules_of_several_words_is_held_once_with_all_reasons(project: SmallProject) -> None:
    rules = [
        {"type": "expression", "name": f"r{n}", "condition": "id <> 1", "on_fail": "quarantine"}
        for n in range(BITS + 2)
    ]
    receipt = project.define(rules=rules).run()
    assert (receipt.rows.quarantined, receipt.rows.loaded) == (1, 4)
    assert {check.failed_rows for check in receipt.checks} == {1}
    (entry,) = receipt.quarantine
    (row,) = project.held(entry)
    assert [reason.partition(":")[0] for reason in row["_reasons"]] == [f"r{n}" for n in range(BITS + 2)]


def test_a_row_that_was_filtered_is_not_judged_by_later_steps(project: SmallProject) -> None:
    without_x = {"type": "filter", "condition": "note <> 'x' OR note IS NULL"}
    rule = {"type": "not_null", "column": "total", "on_fail": "warn"}
    receipt = project.define(steps=[without_x, FILTER, CAST], rules=[rule]).run()
    assert (receipt.rows.filtered, receipt.rows.quarantined, receipt.rows.loaded) == (3, 0, 2)
    assert [check.failed_rows for check in receipt.checks] == [0]


@pytest.mark.parametrize("action", ["quarantine", "warn"])
def test_a_row_that_left_is_not_judged_by_rules(project: SmallProject, action: str) -> None:
    """Neither one that was filtered (4, 5) nor one that a cast held back (2)."""
    rule = {"type": "expression", "condition": "id NOT IN (2, 3, 4, 5)", "on_fail": action}
    receipt = project.define(steps=[FILTER, CAST], rules=[rule], error_handling=QUARANTINE).run()
    assert [check.failed_rows for check in receipt.checks] == [1]
    assert (receipt.rows.filtered, receipt.rows.quarantined) == (2, 2 if action == "quarantine" else 1)


def test_a_failed_cast_wins_over_a_later_filter(project: SmallProject) -> None:
    small = {"type": "filter", "condition": "id <> 2"}
    receipt = project.define(steps=[CAST, small], error_handling=QUARANTINE).run()
    assert (receipt.rows.quarantined, receipt.rows.filtered) == (1, 0)
    receipt = project.define(steps=[small, CAST], error_handling=QUARANTINE).run()
    assert (receipt.rows.quarantined, receipt.rows.filtered) == (0, 1)


def test_a_held_row_is_kept_as_it_was_before_the_step(project: SmallProject) -> None:
    rename = {"type": "rename", "columns": {"note": "remark"}}
    cast = {"type": "cast", "columns": {"remark": "BIGINT"}}
    receipt = project.define(steps=[rename, cast], error_handling=QUARANTINE).run()
    (row,) = project.held(receipt.quarantine[0])
    assert row == {
        "id": 2,
        "city": "Bonn",
        "total": 20,
        "remark": "x",
        "_reasons": ["cast remark: expected remark is a value of BIGINT"],
    }


def test_a_row_error_refuses_the_run_unless_rows_are_to_be_held(project: SmallProject) -> None:
    result = project.define(steps=[CAST]).attempt()
    assert result.error_code == "ROW_ERROR"
    assert "1 of 5 rows" in (result.error or "")
    assert "note='x'" in (result.error or "")


def test_of_duplicates_only_good_rows_count(project: SmallProject) -> None:
    deduplicate = {"type": "deduplicate", "keys": ["city"], "order_by": ["id"], "keep": "last"}
    project.define(steps=[CAST, deduplicate], error_handling=QUARANTINE)
    receipt = project.run()
    assert (receipt.rows.quarantined, receipt.rows.deduplicated) == (1, 1)
    assert [row[0] for row in project.out()] == [1, 4, 5]


def test_rows_without_a_match_leave_an_inner_join_as_unmatched(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "size": "INTEGER"}, [("Bonn", 1), ("Ulm", 2)])
    join = {"type": "join", "connection": "shop", "table": "towns", "on": ["city"], "how": "inner"}
    receipt = project.define(steps=[FILTER, join]).run()
    assert (receipt.rows.filtered, receipt.rows.unmatched, receipt.rows.loaded) == (2, 0, 3)
    receipt = project.define(steps=[join], target={"table": "joined"}).run()
    assert (receipt.rows.unmatched, receipt.rows.loaded) == (1, 4)
