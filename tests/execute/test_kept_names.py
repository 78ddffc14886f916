"""Columns that are called as those that are kept beside rows: none is lost by it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import FILES, SmallProject

from headgate.core.errors import Code

CAST: dict[str, Any] = {"type": "cast", "columns": {"note": "INTEGER"}}
RULE: dict[str, Any] = {"type": "range", "column": "id", "max": 9, "on_fail": "quarantine"}


@pytest.fixture
def again(project: SmallProject) -> SmallProject:
    """Rows as an export of the quarantine has them."""
    columns = {"id": "INTEGER", "note": "TEXT", "_reasons": "TEXT"}
    return project.table("orders", columns, [(1, "1", "of before"), (2, "x", "of before")])


@pytest.mark.parametrize(
    ("steps", "rules", "policy", "line"),
    [
        ([CAST], [], "quarantine", "transformations.0"),
        ([CAST], [], "log", "transformations.0"),
        ([], [RULE], "fail", "quality_rules.0"),
        ([], [{**RULE, "stage": "extract"}], "fail", "quality_rules.0"),
    ],
)
def test_reasons_of_rows_that_may_be_held_back_need_a_column_of_their_own(
    again: SmallProject, steps: list[Any], rules: list[Any], policy: str, line: str
) -> None:
    failed = again.define(steps=steps, rules=rules, error_handling={"on_row_error": policy}).attempt().failure
    assert failed is not None
    assert failed.code is Code.PLAN_INVALID
    assert '"_reasons" is the column in which they say why' in failed.message
    assert failed.problems[0].path.endswith(line)
    assert again.define(source={"connection": "shop", "table": "orders", "columns": ["id", "note"]}, steps=steps,
                        rules=rules, error_handling={"on_row_error": policy}).run().published  # fmt: skip


def test_a_column_that_was_renamed_or_meets_no_such_step_is_a_column_as_any_other(again: SmallProject) -> None:
    again.define(rules=[{**RULE, "on_fail": "warn"}]).run()
    assert again.out("SELECT _reasons FROM out") == [("of before",)] * 2
    rename = {"type": "rename", "columns": {"_reasons": "why"}}
    handling = {"on_row_error": "quarantine"}
    again.define(steps=[rename, CAST], error_handling=handling, target={"table": "renamed"}).run()
    (entry,) = again.entries()
    assert again.held(entry["id"])[0]["why"] == "of before"


def test_a_line_that_cannot_be_read_is_not_kept_with_another_cell_than_its_own(project: SmallProject) -> None:
    project.file("a.csv", "id,_file\n1,A\n2\n")
    failed = project.define(source=FILES, error_handling={"on_row_error": "quarantine"}).attempt().failure
    assert failed is not None
    assert '"_file"' in failed.message
    project.file("a.csv", "id,_file\n1,A\n2,B\n")
    project.run()
    assert project.out() == [(1, "A"), (2, "B")]
