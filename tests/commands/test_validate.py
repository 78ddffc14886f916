"""``ValidateData``: a verdict about rows where they lie."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from tests.plan.projects import SmallProject, with_orders

from headgate.commands.handle import handle
from headgate.commands.models import ValidateData
from headgate.core.errors import Code
from headgate.core.results import Result
from headgate.engines.duckdb import DuckdbSession
from headgate.execute.asked import asked
from headgate.execute.workspace import Workspace


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return with_orders(tmp_path).file("rows.csv", "id,total\n1,10\n2,\n2,x\n")


def validated(project: SmallProject, dataset: str, *rules: Any, **more: Any) -> Result[Any]:
    with Workspace.load(project.root) as workspace:
        return handle(ValidateData(dataset=dataset, rules=rules, **more), workspace)


def test_good_rows_pass_and_nothing_is_loaded(project: SmallProject) -> None:
    result = validated(project, "orders", {"type": "unique", "columns": ["id"]}, connection="shop")
    receipt = result.unwrap()
    assert (receipt.checks[0].passed, receipt.published, receipt.targets) == (True, False, ())
    assert receipt.quality["status"] == "passed"
    assert (receipt.quality["total_records"], receipt.rows.loaded) == (5, 5)
    with Workspace.load(project.root) as workspace:
        assert workspace.store(workspace.lake()).tables() == []


def test_a_broken_rule_is_a_failure_of_its_own_with_evidence(project: SmallProject) -> None:
    result = validated(project, "orders", {"type": "not_null", "columns": ["total"]}, connection="shop")
    assert result.error_code is Code.QUALITY_VALIDATION_FAILED
    assert result.value is not None
    assert result.value.checks[0].sample == ({"total": None},)
    assert len(result.value.quarantine) == 1
    assert result.value.error["code"] == "QUALITY_VALIDATION_FAILED"


def test_the_hint_about_too_many_bad_rows_is_one_that_a_command_can_follow(project: SmallProject) -> None:
    rule = {"type": "not_null", "columns": ["total"], "on_fail": "quarantine"}
    result = validated(project, "orders", rule, connection="shop", max_error_percentage=1)
    assert result.error_code is Code.ERROR_RATE_EXCEEDED
    assert result.value is not None
    hint = result.value.error["hint"]
    assert "raise max_error_percentage" in hint
    assert "error_handling" not in hint
    (entry,) = result.value.quarantine
    assert project.held(entry), "headgate quarantine show"


def test_rows_that_are_held_back_are_kept_as_evidence(project: SmallProject) -> None:
    rule = {"type": "not_null", "columns": ["total"], "on_fail": "quarantine"}
    receipt = validated(project, "inbox/rows.csv", rule).unwrap()
    assert receipt.rows.quarantined >= 1
    (entry, *_) = receipt.quarantine
    assert project.held(entry)


def test_warnings_only_warn(project: SmallProject) -> None:
    rule = {"type": "not_null", "columns": ["total"]}
    receipt = validated(project, "orders", rule, connection="shop", mode="warn").unwrap()
    assert receipt.quality["status"] == "failed"


@pytest.mark.parametrize(
    ("dataset", "rule", "code"),
    [
        ("nothing", {"type": "row_count", "min": 1}, Code.INPUT_LOAD_FAILED),
        ("orders", {"type": "schema", "required": ["mail"]}, Code.SCHEMA_VALIDATION_FAILED),
        ("orders", {"type": "unique", "columns": ["id"], "scope": "table"}, Code.UNSUPPORTED),
        ("orders", {"type": "nul"}, Code.CONFIG_INVALID),
    ],
)
def test_failures_have_codes(project: SmallProject, dataset: str, rule: Any, code: Code) -> None:
    assert validated(project, dataset, rule, connection="shop").error_code is code


@pytest.mark.parametrize(
    "options",
    [
        {"dataset": "", "rules": ["row_count"]},
        {"dataset": "x", "rules": []},
        {"dataset": "x", "rules": ["row_count"], "chunk_size": 0},
        {"dataset": "x", "rules": ["row_count"], "chunk_size": 1_000_001},
        {"dataset": "x", "rules": ["row_count"], "max_error_percentage": 101},
        {"dataset": "x", "rules": ["row_count"], "mode": "off"},
    ],
)
def test_limits_are_kept_before_anything_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ValidateData(**options)


@pytest.mark.parametrize("bad", [True, False])
def test_files_whose_numbers_are_known_are_asked_rule_by_rule_with_the_same_result(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch, bad: bool
) -> None:
    rows = {"id": [1, 2, 2, None, 5], "total": [1, -1, 3, None, 5 if bad else None], "name": ["a", "b", None, "d", "e"]}
    pq.write_table(pa.table(rows), project.root / "inbox" / "rows.parquet", row_group_size=2)
    rules = [
        {"type": "range", "column": "total", "max": 4, "on_fail": "quarantine"},
        {"type": "range", "column": "total", "min": 0, "severity": "warning"},
        {"type": "not_null", "columns": ["id"], "severity": "warning"},
        {"type": "unique", "columns": ["id"], "severity": "warning"},
        {"type": "aggregate", "condition": "SUM(total) = 3", "severity": "warning"},
        {"type": "completeness", "columns": ["name"], "severity": "warning"},
        {"type": "row_count", "min": 1},
    ]

    def seen() -> Any:
        receipt = validated(project, "inbox/rows.parquet", *rules).unwrap()
        checks = [(c.rule, c.passed, c.failed_rows, c.judged, c.observed, c.sample) for c in receipt.checks]
        quality = {key: value for key, value in receipt.quality.items() if key != "timestamp"}
        return checks, quality, receipt.rows, [project.held(entry) for entry in receipt.quarantine]

    took: list[bool] = []

    def recorded(*given: Any) -> bool:
        took.append(asked(*given))
        return took[-1]

    monkeypatch.setattr("headgate.execute.pour.asked", recorded)
    fast = seen()
    assert took == [True]
    monkeypatch.setattr("headgate.execute.pour.asked", lambda *_: False)
    assert fast == seen()
    assert fast[2].quarantined == bad


@pytest.mark.parametrize("wrong", [None, "b-1", "", "a\n"])
def test_conditions_that_compute_find_the_same_in_columns_of_few_values_as_row_by_row(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch, wrong: str | None
) -> None:
    few = [("a", "b", None)[n % 3] for n in range(9000)] + [wrong]
    zeros = [(0.0, -0.0)[n % 2] for n in range(9001)]
    days = [date(2026, 1, 1 + n % 3) for n in range(9001)]
    rows = {"few": few, "id": list(range(9001)), "zero": zeros, "day": days}
    pq.write_table(pa.table(rows), project.root / "inbox" / "rows.parquet", row_group_size=4000)
    rules = [
        {"type": "regex", "column": "few", "pattern": "[a-z]", "on_fail": "quarantine"},
        {"type": "expression", "condition": "length(few) = 1 OR few IS NULL", "severity": "warning"},
        {"type": "expression", "condition": "coalesce(few, 'x') <> 'x'", "severity": "warning"},
        {"type": "expression", "condition": "CAST(zero AS VARCHAR) = '0.0'", "severity": "warning"},
        {"type": "expression", "condition": "CAST(zero AS VARCHAR) || 'x' = '0.0x'", "severity": "warning"},
        {"type": "expression", "condition": "day + 1 > DATE '2026-01-02'", "severity": "warning"},
    ]

    def seen() -> Any:
        receipt = validated(project, "inbox/rows.parquet", *rules).unwrap()
        return [(c.rule, c.failed_rows, c.judged) for c in receipt.checks], receipt.rows

    asked_of: list[str] = []
    rows_of = DuckdbSession.rows

    def told(session: DuckdbSession, sql: str) -> list[tuple[Any, ...]]:
        asked_of.append(sql)
        return rows_of(session, sql)

    monkeypatch.setattr(DuckdbSession, "rows", told)
    fast = seen()
    assert sum(sql.count('(SELECT "few" FROM "source" GROUP BY ALL)') for sql in asked_of) == 3
    assert not any('SELECT "zero" FROM "source" GROUP BY ALL' in sql for sql in asked_of)
    monkeypatch.setattr("headgate.execute.pour.asked", lambda *_: False)
    assert fast == seen()
    assert fast[1].quarantined == (wrong is not None)
