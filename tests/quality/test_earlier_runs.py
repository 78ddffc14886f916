"""Rules that compare a run with earlier ones: which runs they look at, and which they judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import SmallProject, with_orders

from headgate.core.errors import Code
from headgate.core.runs import CheckResult, Receipt

WARN: dict[str, Any] = {"severity": "warning"}


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return with_orders(tmp_path)


def checks(project: SmallProject, *rules: dict[str, Any], **others: Any) -> list[CheckResult]:
    return list(project.define(rules=rules, **others).run().checks)


def refused(project: SmallProject, *rules: dict[str, Any], **others: Any) -> Receipt:
    result = project.define(rules=rules, **others).attempt()
    assert result.error_code is Code.QUALITY_CHECK_FAILED, result.error
    assert result.value is not None
    return result.value


def test_a_volume_is_judged_by_earlier_runs(project: SmallProject) -> None:
    rule = {"type": "volume", "min_runs": 2}
    target = {"table": "out", "mode": "overwrite"}
    first, second = checks(project, rule, target=target), checks(project, rule, target=target)
    assert [first[0].evaluated, second[0].evaluated] == [False, False]
    assert checks(project, rule, target=target)[0].evaluated
    check = refused(project, rule, target=target, steps=[{"type": "filter", "condition": "id > 4"}]).checks[0]
    assert check.observed == "1 rows, -4.0 deviations from 5"


@pytest.mark.parametrize("method", ["psi", "ks", "chi2"])
def test_values_that_are_spread_otherwise_than_before_are_found(project: SmallProject, method: str) -> None:
    rule = {"type": "drift", "column": "id", "method": method, "bins": 4, **WARN}
    target = {"table": "out", "mode": "overwrite"}

    def run(numbers: range) -> CheckResult:
        project.table("orders", {"id": "INTEGER"}, [(number,) for number in numbers])
        return checks(project, rule, target=target)[0]

    assert [run(range(400)).evaluated, run(range(400)).evaluated] == [False, False]
    assert run(range(400)).passed
    assert run(range(0, 400, 2)).passed
    check = run(range(200, 600))
    assert (check.evaluated, check.passed) == (True, False)
    assert check.observed.startswith(method)


def test_texts_drift_by_their_frequent_values(project: SmallProject) -> None:
    rule = {"type": "drift", "column": "city", "bins": 2, **WARN}
    target = {"table": "out", "mode": "overwrite"}
    for _ in range(3):
        assert checks(project, rule, target=target)[0].passed
    project.table("orders", {"city": "TEXT"})
    nothing = checks(project, rule, target={**target, "allow_empty": True})[0]
    assert (nothing.passed, nothing.evaluated, nothing.observed) == (True, False, "no values to compare")
    project.table("orders", {"city": "TEXT"}, [("Rome",)] * 5)
    assert not checks(project, rule, target=target)[0].passed


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "volume", "min_runs": 2, "max_deviation": 1},
        {"type": "drift", "column": "id", "method": "ks", "threshold": 0.3},
        {"type": "row_count", "min": 4},
        {"type": "aggregate", "condition": "SUM(id) > 9"},
        {"type": "aggregate", "condition": "COUNT(*) >= 1", "group_by": ["city"]},
        {"type": "compare", "connection": "shop", "table": "orders", "method": "count", "allowed_difference": 1},
    ],
    ids=lambda rule: str(rule["type"]),
)
def test_rules_about_a_delivery_are_not_judged_by_chosen_rows_nor_remember_them(
    project: SmallProject, rule: dict[str, Any]
) -> None:
    priced = {"type": "not_null", "column": "total", "on_fail": "quarantine"}
    target = {"table": "out", "mode": "append"}
    project.define(rules=[rule, priced], target=target)
    (entry,) = project.run().quarantine
    project.run()
    project.define(rules=[rule, {**priced, "column": "id"}], target=target)
    for done in (project.run(limit=1), project.replay(entry).unwrap()):
        check = done.checks[0]
        assert (check.passed, check.evaluated, dict(check.remembered)) == (True, False, {})
        assert "were chosen, so they tell nothing about a delivery" in check.observed
    check = project.run().checks[0]
    assert (check.passed, check.evaluated) == (True, True)


def test_a_table_is_all_there_whoever_chose_the_rows_that_come(project: SmallProject) -> None:
    priced = {"type": "not_null", "column": "total", "on_fail": "quarantine"}
    project.define(rules=[{"type": "row_count", "min": 5, "stage": "load", "severity": "warning"}, priced])
    (entry,) = project.run().quarantine
    project.define(rules=[{"type": "row_count", "min": 5, "stage": "load"}, {**priced, "column": "id"}])
    check = project.replay(entry).unwrap().checks[0]
    assert (check.passed, check.evaluated, check.judged) == (True, True, 5)


def test_a_volume_is_judged_by_runs_that_read_alike(project: SmallProject) -> None:
    """What is new since the run before; everything (first runs and full refreshes); intervals about as long."""
    columns, rows = {"id": "INTEGER", "day": "DATE"}, [(number, "2023-12-31") for number in range(500)]
    source = {
        "connection": "shop",
        "table": "orders",
        "mode": "incremental",
        "incremental": {"column": "day", "key": "id"},
    }
    target = {"table": "out", "mode": "upsert", "keys": ["id"]}
    project.define(source=source, rules=[{"type": "volume", "min_runs": 2, "max_deviation": 9}], target=target)

    def run(news: int, **options: Any) -> CheckResult:
        day = f"2024-01-{run_days.pop(0):02}" if news else ""
        rows.extend((len(rows), day) for _ in range(news))
        project.table("orders", columns, rows)
        receipt = project.attempt(**options).value
        assert receipt is not None
        return receipt.checks[0]

    run_days = list(range(1, 32))
    everything = run(0)
    assert (everything.evaluated, everything.remembered["reads"]) == (False, "everything")
    assert [run(news).evaluated for news in (5, 4)] == [False, False]
    assert (run(5).passed, run(40).passed) == (True, False)
    assert [run(0, full_refresh=True).evaluated, run(0, full_refresh=True).evaluated] == [False, True]
    week, day = {"start": "2024-01-01", "end": "2024-01-08"}, {"date": "2024-01-02"}
    assert [run(0, **given, force=True).evaluated for given in (week, day, week, day)] == [False] * 4
    for given, rows_then in ((week, 54), (day, 4)):
        assert run(0, **given, force=True).observed == f"{rows_then} rows, +0.0 deviations from {rows_then}"
    assert (run(6).evaluated, run(6).passed) == (True, True)


def test_a_distribution_is_compared_with_those_of_runs_that_read_alike(project: SmallProject) -> None:
    """A day's orders need not be spread as those of all days are."""
    columns, rows = {"id": "INTEGER", "day": "DATE"}, [(number, "2023-12-31") for number in range(100)]
    incremental = {"column": "day", "key": "id"}
    source = {"connection": "shop", "table": "orders", "mode": "incremental", "incremental": incremental}
    target = {"table": "out", "mode": "upsert", "keys": ["id"]}
    project.define(source=source, rules=[{"type": "drift", "column": "id", "bins": 4, **WARN}], target=target)

    def run(day: str, **options: Any) -> CheckResult:
        rows.extend((len(rows), day) for _ in range(20) if day)
        project.table("orders", columns, rows)
        return project.run(**options).checks[0]

    assert [run("", full_refresh=True).evaluated for _ in range(3)] == [False, False, True]
    assert [run(f"2024-01-0{day}").evaluated for day in (1, 2, 3)] == [False, False, True]
    assert run("", full_refresh=True).evaluated


def test_a_rule_about_another_column_begins_anew(project: SmallProject) -> None:
    """Rules without a name are called by their kind and place."""
    project.table("orders", {"a": "INTEGER", "b": "INTEGER"}, [(number, number * 1000) for number in range(50)])
    target = {"table": "out", "mode": "overwrite"}
    rule = {"type": "drift", "bins": 4}
    assert [checks(project, {**rule, "column": "a"}, target=target)[0].evaluated for _ in range(3)] == [0, 0, 1]
    assert [checks(project, {**rule, "column": "b"}, target=target)[0].evaluated for _ in range(3)] == [0, 0, 1]


@pytest.mark.parametrize("rule", [{"type": "volume", "min_runs": 2}, {"type": "drift", "column": "id"}])
def test_a_rule_that_remembers_a_table_is_about_one(project: SmallProject, rule: dict[str, Any]) -> None:
    """Of two it would compare the one with what it remembered of the other."""
    targets = [{"table": "out"}, {"table": "copy", "mode": "overwrite"}]
    failed = project.define(rules=[{**rule, "stage": "load"}], targets=targets).attempt().failure
    assert failed is not None
    assert "remembers one table, and the step is written into several" in failed.message
    assert project.define(rules=[{**rule, "stage": "load"}, {"type": "row_count", "min": 1, "stage": "load"}],
                          targets=targets[:1]).run().published  # fmt: skip
    assert (
        project.define(rules=[rule, {"type": "row_count", "min": 1, "stage": "load"}], targets=targets).run().published
    )
