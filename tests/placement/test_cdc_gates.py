"""Rules at the gates of a pipeline that follows changes: deletes are rows that only name a key."""

from __future__ import annotations

from typing import Any

import pytest
from tests.followed import Followed

CDC = {"connection": "shop", "table": "t", "mode": "cdc"}
LATER = [{"type": "not_null", "column": "name", "severity": "warning"}, {"type": "unique", "columns": ["id"]}]


@pytest.mark.parametrize("steps", [[], [{"type": "rename", "columns": {"n": "amount"}}]], ids=["no step", "a step"])
@pytest.mark.parametrize(
    "rule",
    [
        {"type": "not_null", "column": "name", "severity": "warning"},
        {"type": "sql", "query": "SELECT * FROM input WHERE id < 0"},
    ],
    ids=["of rows", "of all rows"],
)
def test_deletes_pass_the_gate_of_extraction_and_delete(
    followed: Followed, rule: dict[str, Any], steps: list[Any]
) -> None:
    followed.define(steps, [{**rule, "stage": "extract"}, *LATER], source=CDC, target=followed.pipeline["target"])
    assert followed.go().status == 0
    followed.shop(
        "DELETE FROM t WHERE id <= 10", "UPDATE t SET name = NULL WHERE id = 11", "INSERT INTO t VALUES (500, 'x', 1)"
    )
    receipt = followed.run()
    assert [each.deleted for each in receipt.targets] == [10]
    assert followed.rows("SELECT id, name FROM out ORDER BY id") == followed.rows(
        "SELECT id, name FROM t ORDER BY id", followed.source
    )
    assert [check.judged for check in receipt.checks] == [2, 2, 2], "deletes are not judged"


def test_a_rule_after_a_step_in_between_hands_deletes_on(followed: Followed) -> None:
    steps = [{"type": "rename", "name": "renamed", "columns": {"n": "amount"}}, {"type": "clean", "trim": True}]
    rule = {"type": "range", "column": "amount", "min": 0, "step": "renamed", "severity": "warning"}
    followed.define(steps, [rule, *LATER], source=CDC, target=followed.pipeline["target"])
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id <= 10")
    assert [each.deleted for each in followed.run().targets] == [10]


ABOUT_ALL: list[dict[str, Any]] = [
    {"type": "completeness", "columns": ["name"], "threshold": 1},
    {"type": "sql", "query": "SELECT * FROM input WHERE name IS NULL"},
    {"type": "aggregate", "condition": "COUNT(*) = COUNT(name)"},
    {"type": "row_count", "max": 100},
    {"type": "unique", "columns": ["name"]},
]


@pytest.mark.parametrize("stage", ["extract", "transform"])
def test_rules_about_all_rows_and_scores_ask_nothing_of_deletes(followed: Followed, stage: str) -> None:
    rules = [{**rule, "stage": stage} for rule in ABOUT_ALL]
    step = {"type": "clean", "trim": True}
    followed.define([step], [*rules, LATER[0]], source=CDC, target=followed.pipeline["target"])
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id <= 10", "UPDATE t SET n = NULL WHERE id = 11")
    receipt = followed.run()
    assert [(check.failed_rows, check.judged) for check in receipt.checks] == [
        (0, 11 if check.kind == "row_count" else 1) for check in receipt.checks
    ]
    assert (receipt.rows.loaded, [each.deleted for each in receipt.targets]) == (11, [10])
    assert receipt.quality is not None
    assert [receipt.quality[name] for name in ("record_count", "total_records", "null_percentage")] == [1, 1, 33.333333]


@pytest.mark.parametrize("handling", ["fail", "quarantine", "null"])
def test_a_delete_is_no_row_error(followed: Followed, handling: str) -> None:
    followed.shop("UPDATE t SET name = id::text")
    step = {"type": "calculate", "columns": {"name": "CAST(CAST(COALESCE(name, '?') AS INTEGER) + 1 AS VARCHAR)"}}
    followed.define([step], source=CDC, target=followed.pipeline["target"], error_handling={"on_row_error": handling})
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id <= 10")
    receipt = followed.run()
    assert ([each.deleted for each in receipt.targets], receipt.rows.quarantined) == ([10], 0)
    assert receipt.warnings == ()


def test_a_delete_is_no_row_without_a_match(followed: Followed) -> None:
    followed.shop("CREATE TABLE names (name text PRIMARY KEY, long text)", "INSERT INTO names SELECT name, name FROM t")
    step = {"type": "join", "connection": "shop", "table": "names", "on": ["name"], "how": "left", "columns": ["long"]}
    followed.define([step], source=CDC, target=followed.pipeline["target"])
    assert followed.go().status == 0
    followed.shop("DELETE FROM t WHERE id <= 10", "UPDATE t SET name = 'new' WHERE id = 11")
    receipt = followed.run()
    assert ([each.deleted for each in receipt.targets], receipt.warnings) == ([10], ("join: no match in 1 row",))
