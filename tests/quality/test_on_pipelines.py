"""Every rule at its gate, on real tables: what a receipt says, and that nothing is published that must not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import SmallProject, with_orders

from headgate.core.errors import Code
from headgate.core.runs import CheckResult, Receipt
from headgate.execute.workspace import Workspace
from headgate.queries.plans import check

KEYS: dict[str, Any] = {"connection": "shop", "table": "keys"}
WARN: dict[str, Any] = {"severity": "warning"}
NO_TOTAL: dict[str, Any] = {"type": "not_null", "column": "total"}
NEGATIVE: dict[str, Any] = {"type": "range", "column": "total", "min": 0}


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """Five orders: the fourth without a total, the fifth with a negative one; keys 1, 2, 3 and NULL beside them."""
    return with_orders(tmp_path).table("keys", {"id": "INTEGER"}, [(1,), (2,), (3,), (None,)])


def checks(project: SmallProject, *rules: dict[str, Any], **others: Any) -> list[CheckResult]:
    return list(project.define(rules=rules, **others).run().checks)


def refused(project: SmallProject, *rules: dict[str, Any], **others: Any) -> Receipt:
    result = project.define(rules=rules, **others).attempt()
    assert result.error_code is Code.QUALITY_CHECK_FAILED, result.error
    assert result.value is not None
    assert not result.value.published
    return result.value


def test_keys_that_are_elsewhere_hold_and_null_passes(project: SmallProject) -> None:
    rule = {"type": "referential", "columns": ["id"], **KEYS, **WARN}
    (check,) = checks(project, rule)
    assert (check.failed_rows, check.judged) == (2, 5)
    assert sorted(row["id"] for row in check.sample) == [4, 5]
    project.table("orders", {"id": "INTEGER"}, [(None,), (3,), (9,)])
    (check,) = checks(project, rule)
    assert check.failed_rows == 1


def test_without_any_key_elsewhere_null_passes_all_the_same(project: SmallProject) -> None:
    project.table("keys", {"id": "INTEGER"}).table("orders", {"id": "INTEGER"}, [(None,), (3,)])
    (check,) = checks(project, {"type": "referential", "columns": ["id"], **KEYS, **WARN})
    assert check.failed_rows == 1


@pytest.mark.parametrize("scope", ["batch", "table"])
def test_a_function_may_say_nothing_of_any_row(project: SmallProject, scope: str) -> None:
    (project.root / "checks.py").write_text("def ok(rows):\n    return [None] * len(rows)\n")
    rule = {"type": "python", "function": "checks:ok", "scope": scope}
    assert checks(project, rule)[0].passed
    assert checks(project, rule, steps=[{"type": "filter", "condition": "id > 9"}])[0].passed


def test_keys_of_a_list_hold(project: SmallProject) -> None:
    (check,) = checks(project, {"type": "referential", "columns": ["id"], "values": [1, 2, 3, 4], **WARN})
    assert check.failed_rows == 1


def test_orphans_are_held_back(project: SmallProject) -> None:
    receipt = project.define(rules=[{"type": "referential", "columns": ["id"], **KEYS, "on_fail": "quarantine"}]).run()
    assert (receipt.rows.quarantined, receipt.rows.loaded) == (2, 3)


def test_completeness_is_the_share_that_is_filled(project: SmallProject) -> None:
    (check,) = checks(project, {"type": "completeness", "columns": ["total"], "threshold": 0.8})
    assert check.passed
    (check,) = checks(project, {"type": "completeness", "columns": ["total"], "threshold": 0.81, **WARN})
    assert (check.passed, check.failed_rows, check.observed) == (False, 1, "total 0.8")


def test_conditions_about_all_rows_and_about_groups(project: SmallProject) -> None:
    whole = {"type": "aggregate", "condition": "AVG(total) BETWEEN 13 AND 14 AND COUNT(total) = 4"}
    grouped = {"type": "aggregate", "condition": "SUM(total) >= 30", "group_by": ["city"], **WARN}
    first, second = checks(project, whole, grouped)
    assert first.passed
    assert (second.failed_rows, second.observed) == (1, "1 groups")
    assert second.sample == ({"city": "Jena", 'SUM("total")': "-5"},)


def test_an_aggregate_of_nothing_is_told_as_null(project: SmallProject) -> None:
    (check,) = checks(
        project, {"type": "aggregate", "condition": "MAX(note) < 'a' AND COUNT(note) = 3 OR MIN(id + NULL) > 1"}
    )
    assert check.observed == "NULL, x, 4"


def test_a_comparison_finds_rows_that_are_missing_and_values_that_differ(project: SmallProject) -> None:
    same = {"type": "compare", "connection": "shop", "table": "orders", **WARN}
    assert checks(project, same)[0].passed
    (check,) = checks(project, same, steps=[{"type": "filter", "condition": "id > 1"}])
    assert (check.failed_rows, check.observed) == (1, "4 rows here, 5 there")
    (check,) = checks(project, same, steps=[{"type": "calculate", "columns": {"total": "total + 1"}}])
    assert check.observed == "5 rows here, 5 there, values differ"
    count = {"type": "compare", **KEYS, "method": "count", **WARN}
    assert not checks(project, count)[0].passed
    assert checks(project, {**count, "allowed_difference": 1})[0].passed
    assert checks(project, {**count, "allowed_difference": "25%"})[0].passed


def test_rows_that_a_query_gives_are_wrong(project: SmallProject) -> None:
    query = "SELECT i.id FROM input i JOIN k ON i.id = k.id WHERE i.total > 15"
    (check,) = checks(project, {"type": "sql", "query": query, "relations": {"k": KEYS}, **WARN})
    assert check.failed_rows == 2
    assert sorted(row["id"] for row in check.sample) == [2, 3]


@pytest.mark.parametrize(
    "body",
    [
        "import pyarrow.compute as pc\ndef ok(rows):\n    return pc.less(rows['total'], 25)\n",
        "import polars as pl\ndef ok(rows: pl.DataFrame):\n    return rows['total'] < 25\n",
        "def ok(rows):\n    return [total is None or total < 25 for total in rows['total'].to_pylist()]\n",
    ],
)
def test_python_judges_rows_and_null_passes(project: SmallProject, body: str) -> None:
    (project.root / "checks.py").write_text(body)
    (check,) = checks(project, {"type": "python", "function": "checks:ok", **WARN})
    assert (check.failed_rows, check.judged) == (1, 5)
    assert check.sample[0]["id"] == 3


def test_a_function_that_refuses_an_empty_table_fails_no_row(project: SmallProject) -> None:
    (project.root / "checks.py").write_text("def ok(rows):\n    return len(rows) > 0\n")
    rule = {"type": "python", "function": "checks:ok", "scope": "table", **WARN}
    receipt = project.define(rules=[rule], steps=[{"type": "filter", "condition": "id > 9"}]).run()
    assert (receipt.checks[0].passed, receipt.checks[0].failed_rows) == (False, 1)
    assert receipt.quality is not None
    assert [receipt.quality[name] for name in ("total_records", "passed_records", "failed_records")] == [0, 0, 0]


def test_a_rule_that_cannot_be_evaluated_is_an_error_whatever_its_severity(project: SmallProject) -> None:
    (project.root / "checks.py").write_text("def ok(rows):\n    raise KeyError('oh')\n")
    receipt = refused(project, {"type": "python", "function": "checks:ok", **WARN}, NO_TOTAL | WARN)
    check = receipt.checks[0]
    assert (check.severity, check.passed, check.evaluated) == ("error", False, False)
    assert "oh" in check.message
    assert receipt.checks[1].failed_rows == 1
    sql = {"type": "sql", "query": "SELECT 1 AS x FROM input WHERE CAST(city AS INTEGER) > 0", "severity": "info"}
    assert "Bonn" in refused(project, sql, {"type": "row_count", "min": 1}).checks[0].message


def test_one_aggregate_that_breaks_off_leaves_the_others(project: SmallProject) -> None:
    broken = {"type": "aggregate", "condition": "SUM(CAST(city AS INTEGER)) > 0", "name": "broken"}
    fine = {"type": "aggregate", "condition": "MAX(total) = 30", "name": "fine"}
    first, second = refused(project, broken, fine).checks
    assert not first.evaluated
    assert second.passed


@pytest.mark.parametrize(
    ("rules", "way"),
    [
        ([NEGATIVE, NO_TOTAL], "on_fail: quarantine"),
        ([{"type": "unique", "columns": ["city"]}], "on_fail: quarantine"),
        ([{"type": "row_count", "min": 9}], "on_fail: warn"),
        ([NEGATIVE, {"type": "sql", "query": "SELECT id FROM input"}], "on_fail: warn"),
        ([{**NO_TOTAL, "stage": "load"}], "on_fail: warn"),
    ],
)
def test_the_hint_about_a_broken_rule_is_one_that_the_rule_takes(
    project: SmallProject, rules: list[dict[str, Any]], way: str
) -> None:
    error = refused(project, *rules).error
    assert error is not None
    assert way in error["hint"]


def test_rules_stand_at_the_gate_that_they_name(project: SmallProject) -> None:
    steps = [{"type": "filter", "condition": "total > 0"}]
    early = {**NO_TOTAL, **WARN, "stage": "extract", "name": "early"}
    late, load = {**NO_TOTAL, "name": "late"}, {**NO_TOTAL, "name": "load", "stage": "load"}
    project.define(rules=[early, late, load], steps=steps)
    assert project.plan().scans == 3, "the pass, the preview of the table, its aggregates"
    found = project.run().checks
    assert [(c.rule, c.stage, c.failed_rows, c.judged) for c in found] == [
        ("early", "extract", 1, 5),
        ("late", "transform", 0, 3),
        ("load", "load", 0, 3),
    ]


def test_rows_held_at_extraction_are_kept_as_they_were_and_can_be_replayed(project: SmallProject) -> None:
    rule = {**NO_TOTAL, "stage": "extract", "on_fail": "quarantine"}
    project.define(rules=[rule], steps=[{"type": "calculate", "columns": {"twice": "total * 2"}}])
    assert len(project.passes()) == 1
    receipt = project.run()
    (row,) = project.held(receipt.quarantine[0])
    assert (row["id"], "twice" in row) == (4, False)
    again = project.replay(receipt.quarantine[0]).unwrap()
    assert (again.rows.extracted, again.rows.quarantined) == (1, 1)


def test_rules_about_all_extracted_rows_have_a_pass_of_their_own(project: SmallProject) -> None:
    rules = [{"type": "unique", "columns": ["city"], "stage": "extract", **WARN}]
    (check,) = checks(project, *rules, steps=[{"type": "filter", "condition": "city = 'Jena'"}])
    assert check.failed_rows == 4


def test_the_load_gate_sees_the_table_after_the_merge_and_refuses_before_the_commit(project: SmallProject) -> None:
    target = {"table": "out", "mode": "append"}
    project.define(target=target).run()
    refused(project, {"type": "row_count", "max": 9, "stage": "load"}, target=target)
    assert len(project.out()) == 5
    check = checks(project, {"type": "row_count", "equals": 10, "stage": "load"}, target=target)[0]
    assert (check.passed, check.judged) == (True, 10)
    rules = [{"type": "unique", "columns": ["id"], "stage": "load"}, {**NEGATIVE, "stage": "load", **WARN}]
    upsert = {"table": "other", "mode": "upsert", "keys": ["id"]}
    for _ in range(2):
        first, second = checks(project, *rules, target=upsert)
        assert first.passed
        assert (second.failed_rows, second.sample) == (1, ({"id": 5, "total": -5},))


@pytest.mark.parametrize(
    ("rule", "failed"),
    [
        ({"type": "expression", "condition": "id = total"}, 4),
        ({"type": "expression", "condition": "id + total = 23 OR total >= id"}, 1),
        ({"type": "expression", "condition": "LENGTH(city) BETWEEN 4 AND 40"}, 2),
        ({"type": "aggregate", "condition": "MEDIAN(total) BETWEEN 10 AND 14"}, 1),
        ({"type": "aggregate", "condition": "QUANTILE_CONT(total, 0.9) BETWEEN 26 AND 28"}, 0),
        ({"type": "aggregate", "condition": "STDDEV(total) < 10"}, 1),
        ({"type": "aggregate", "condition": "MODE(city) = 'Jena'"}, 1),
        ({"type": "aggregate", "condition": "COUNT(DISTINCT city) BETWEEN 2 AND 3"}, 0),
        (
            {
                "type": "sql",
                "query": "SELECT * FROM (SELECT *, LAG(id) OVER (ORDER BY total DESC) AS b FROM input) WHERE id > b",
            },
            1,
        ),
    ],
)
def test_checks_that_others_have_a_name_for_are_conditions(
    project: SmallProject, rule: dict[str, Any], failed: int
) -> None:
    (check,) = checks(project, {**rule, **WARN})
    assert (check.failed_rows, check.evaluated) == (failed, True)


def test_so_many_rows_may_fail(project: SmallProject) -> None:
    assert checks(project, {**NO_TOTAL, "max_failed": 1})[0].passed
    assert checks(project, {**NO_TOTAL, "max_failed": "20%"})[0].failed_rows == 1
    refused(project, {**NO_TOTAL, "max_failed": "19%"})
    held = {**NO_TOTAL, "on_fail": "quarantine"}
    assert project.define(rules=[{**held, "max_failed": 1}]).run().rows.quarantined == 1
    refused(project, {**held, "max_failed": 0})
    failure = project.attempt().failure
    assert failure is not None
    assert "0 rows may fail" in failure.message
    assert "raise max_failed" in failure.hint


def test_too_many_rows_that_are_held_refuse_no_run_whose_rules_only_warn(project: SmallProject) -> None:
    held = {**NO_TOTAL, "on_fail": "quarantine", "max_failed": 0}
    receipt = project.define(rules=[held], error_handling={"validation": "warn"}).run()
    assert (receipt.published, receipt.rows.quarantined) == (True, 1)
    assert not receipt.checks[0].passed


def test_rules_that_are_off_are_shown_as_skipped(project: SmallProject) -> None:
    (check,) = checks(project, {**NO_TOTAL, "enabled": False})
    assert (check.passed, check.skipped, check.evaluated) == (True, True, False)
    (check,) = checks(project, NO_TOTAL, error_handling={"validation": "off"})
    assert check.skipped
    (check,) = checks(project, NO_TOTAL, error_handling={"validation": "warn"})
    assert (check.passed, check.skipped, check.on_fail) == (False, False, "warn")


def test_a_message_names_rule_file_line_and_the_first_keys(project: SmallProject) -> None:
    error = project.define(rules=[{**NO_TOTAL, "name": "priced"}]).attempt().error or ""
    line = next(
        n for n, text in enumerate((project.root / "headgate.yml").read_text().splitlines(), 1) if "not_null" in text
    )
    assert f"priced at headgate.yml:{line}: expected total is not null (1 row, the first id=4" in error


def test_a_reference_that_is_not_there_points_to_its_line(project: SmallProject) -> None:
    result = project.define(rules=[{"type": "referential", "columns": ["id"], "connection": "shop", "table": "no"}])
    failure = result.attempt().failure
    assert failure is not None
    assert failure.problems[0].path == "pipelines.small.quality_rules.0"


def test_rows_are_counted_once_whatever_number_of_rules_they_break(project: SmallProject) -> None:
    rules = [NO_TOTAL | WARN, NEGATIVE | {"on_fail": "quarantine"}, {"type": "range", "column": "id", "max": 3, **WARN}]
    receipt = project.define(rules=rules).run()
    quality = receipt.quality
    assert quality is not None
    assert (quality["total_records"], quality["passed_records"], quality["failed_records"]) == (5, 3, 2)
    assert quality["status"] == "failed"
    assert quality["null_percentage"] == 12.5
    assert Receipt.from_dict(receipt.as_dict()).as_dict() == receipt.as_dict()


def test_a_distribution_may_be_written_down(project: SmallProject) -> None:
    towns = {"values": ["Bonn", "Ulm"], "counts": [0.4, 0.4, 0.2]}
    numbers = {"edges": [2, 4], "counts": [0, 0, 9]}
    rules = [
        {"type": "drift", "column": "city", "expected": towns, **WARN},
        {"type": "drift", "column": "id", "expected": numbers, "method": "ks", **WARN},
    ]
    first, second = checks(project, *rules)
    assert (first.evaluated, first.observed) == (True, "psi 0, limit 0.2")
    assert (second.passed, second.observed) == (False, "ks 0.8, limit 0.1")
    assert not first.remembered


@pytest.mark.parametrize(
    "expected",
    [
        {"counts": [1]},
        {"edges": [1, 2], "counts": [1, 2]},
        {"edges": [2, 1], "counts": [1, 2, 3]},
        {"values": ["a", "a"], "counts": [1, 2, 3]},
        {"values": ["a"], "edges": [1], "counts": [1, 2]},
        {"values": ["a"], "counts": [0, 0]},
        {"values": ["a"], "counts": [1, 2]},
    ],
)
def test_a_distribution_that_is_none_is_found_by_check(project: SmallProject, expected: dict[str, Any]) -> None:
    project.define(rules=[{"type": "drift", "column": "id", "expected": expected}])
    (problem,) = check(lambda: Workspace.load(project.root, set_aside=True)).problems
    assert "quality_rules.0" in problem.path


def test_dates_in_the_future_and_old_data_are_found(project: SmallProject) -> None:
    moments = [("2020-01-01 00:00:00",), ("2019-12-31 23:59:59",), ("9999-01-01 00:00:00",)]
    project.table("orders", {"at": "TIMESTAMP"}, moments)
    rules = [
        {"type": "date_range", "column": "at", "min": "2020-01-01", "max": "now", **WARN},
        {"type": "freshness", "column": "at", "max_age": "1d", **WARN},
    ]
    first, second = checks(project, *rules)
    assert (first.failed_rows, second.passed) == (2, True)
    project.table("orders", {"at": "TIMESTAMP"}, moments[:1])
    assert not checks(project, rules[1])[0].passed
    project.table("orders", {"at": "TIMESTAMP"}, [])
    assert checks(project, rules[1])[0].observed == "no value"


@pytest.mark.parametrize(
    ("spelled", "failed"),
    [
        ({"type": "date_format", "field": "note", "parameters": {"format": "YYYY-MM-DD"}}, 4),
        ({"name": "null_check", "columns": ["total"]}, 1),
        ({"name": "range_check", "column": "total", "min": 0, "max": 20}, 2),
        ({"name": "duplicate_check", "keys": ["city"]}, 4),
        ({"rule_type": "allowed_values", "field": "city", "valid_values": ["Bonn"]}, 3),
        ({"check": "referential_integrity", "field": "id", "valid_values": [1]}, 4),
        ({"type": "uniqueness_check", "unique_columns": ["id"]}, 0),
        ({"type": "completeness_check", "required_columns": ["total"], "threshold": 0.95}, 1),
        ({"name": "row_count", "min_rows": 6}, 1),
        ({"type": "email", "field": "city", "level": "warning"}, 5),
    ],
)
def test_other_spellings_of_the_field_are_read(project: SmallProject, spelled: dict[str, Any], failed: int) -> None:
    (check,) = checks(project, {**spelled, **({} if "level" in spelled else WARN)})
    assert (check.failed_rows, check.evaluated) == (failed, True)
