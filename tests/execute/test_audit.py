"""Before anything is published every row is accounted for, and what must hold, holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.plan.projects import FILES, SmallProject

from headgate.core.errors import Code, FatalError
from headgate.core.runs import Receipt
from headgate.execute.split import Splitter

HOLD = {"on_row_error": "quarantine"}
CAST: dict[str, Any] = {"type": "cast", "columns": {"note": "BIGINT"}}
PRICED: dict[str, Any] = {"type": "not_null", "column": "total"}


def receipt_of(project: SmallProject, **options: Any) -> Receipt:
    receipt = project.attempt(**options).value
    assert receipt is not None
    return receipt


def test_rows_that_vanish_refuse_the_run(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: the splitter forgets to count dropped rows. The source would have left them out."""
    project.define(steps=[{"type": "filter", "condition": "id > 2"}], engine="duckdb")
    real = Splitter.split

    def forget(self: Splitter, batch: Any) -> Any:
        found = real(self, batch)
        self.tally.dropped = Counter()
        return found

    monkeypatch.setattr(Splitter, "split", forget)
    result = project.attempt()
    assert result.error_code is Code.ACCOUNTING_FAILED
    assert "5 rows went in, 3 came out" in (result.error or "")
    assert project.out("SELECT name FROM sqlite_schema WHERE name = 'out'") == []


def test_too_many_held_rows_refuse_the_run(project: SmallProject) -> None:
    rule = {**PRICED, "on_fail": "quarantine"}
    refused = project.define(rules=[rule], error_handling={"max_error_percentage": 19}).attempt()
    assert refused.error_code is Code.ERROR_RATE_EXCEEDED
    assert "1 of 5 rows were held back, more than 19" in (refused.error or "")
    assert project.define(rules=[rule], error_handling={"max_error_percentage": 20}).run().rows.loaded == 4


def test_unreadable_lines_count_as_held_rows(project: SmallProject) -> None:
    project.file("a.csv", "id,total\n1,10\n2,20,more\n")
    handling = {**HOLD, "max_error_percentage": 49}
    assert project.define(source=FILES, error_handling=handling).attempt().error_code is Code.ERROR_RATE_EXCEEDED
    receipt = project.define(source=FILES, error_handling=HOLD).run()
    assert (receipt.rows.extracted, receipt.rows.quarantined, receipt.rows.loaded) == (2, 1, 1)
    assert receipt.steps[0].dropped == {"quarantined": 1}
    result = project.define(source=FILES, target={"table": "other"}).attempt()
    assert result.error_code is Code.ROW_ERROR
    assert "a.csv, line 3" in (result.error or "")


def test_values_of_rows_in_messages_are_written_as_everywhere_else(project: SmallProject) -> None:
    day, exact = "DATE '2024-02-29'", "CAST(1.5 AS DECIMAL(4, 2))"
    step = {"type": "calculate", "columns": {"day": day, "at": f"{day} + INTERVAL 1 HOUR", "exact": exact}}
    refused = project.define(steps=[step], rules=[PRICED]).attempt()
    told = "the first id=4, city='Ulm', day='2024-02-29', at='2024-02-29T01:00:00', exact='1.50'"
    assert told in (refused.error or "")


def test_every_broken_rule_is_told_with_its_first_row(project: SmallProject) -> None:
    rules = [
        PRICED,
        {"type": "range", "column": "total", "min": 0, "name": "positive"},
        {"type": "row_count", "min": 9},
    ]
    result = project.define(rules=rules).attempt()
    assert result.error_code is Code.QUALITY_CHECK_FAILED
    for text in ("not_null at headgate.yml:", "id=4", "positive at", "id=5", "row_count at", "observed 5 rows"):
        assert text in (result.error or "")
    receipt = result.value
    assert receipt is not None
    assert [(check.passed, check.failed_rows) for check in receipt.checks] == [(False, 1), (False, 1), (False, 1)]


def test_a_row_in_an_error_is_short(project: SmallProject) -> None:
    project.table("orders", {"id": "INTEGER", "total": "INTEGER", "note": "TEXT"}, [(1, None, "long" * 500)])
    error = project.define(rules=[PRICED]).attempt().error or ""
    assert "..." in error
    assert len(error) < 700


def test_a_table_is_not_replaced_by_nothing_unless_that_is_meant(project: SmallProject) -> None:
    target: dict[str, Any] = {"table": "out", "mode": "overwrite"}
    nothing = [{"type": "filter", "condition": "id > 9"}]
    assert project.define(target=target).run().rows.loaded == 5
    result = project.define(target=target, steps=nothing).attempt()
    assert result.error_code is Code.LOAD_EXECUTION_FAILED
    assert "would replace what is there by nothing" in (result.error or "")
    assert len(project.out()) == 5
    assert receipt_of(project.define(target={"table": "out"}, steps=nothing), full_refresh=True).published is False
    assert project.define(target={**target, "allow_empty": True}, steps=nothing).run().published
    assert project.out() == []


def test_a_new_table_may_begin_empty(project: SmallProject) -> None:
    nothing = [{"type": "filter", "condition": "id > 9"}]
    assert project.define(target={"table": "out", "mode": "overwrite"}, steps=nothing).run().published
    assert project.out() == []


def test_reasons_of_a_row_are_all_told_and_it_is_held_by_the_first(project: SmallProject) -> None:
    rules = [
        {"type": "range", "column": "total", "min": 0, "name": "positive", "on_fail": "quarantine"},
        {"type": "range", "column": "total", "min": 15, "name": "large", "on_fail": "quarantine"},
        {"type": "range", "column": "id", "max": 4, "name": "small", "on_fail": "warn"},
    ]
    receipt = project.define(rules=rules).run()
    assert [check.failed_rows for check in receipt.checks] == [1, 2, 1]
    assert receipt.rows.quarantined == 2
    held = {entry: [(row["id"], len(row["_reasons"])) for row in project.held(entry)] for entry in receipt.quarantine}
    assert sorted(held.values()) == [[(1, 1)], [(5, 3)]]


def test_an_answer_about_all_rows_is_told_without_a_number_of_rows(project: SmallProject) -> None:
    project.define(rules=[{"type": "row_count", "min": 9}, {"type": "not_null", "column": "total"}])
    with pytest.raises(FatalError) as refusal:
        project.run()
    counted, single = refusal.value.message.split("; not_null")
    assert counted.endswith("expected at least 9 rows; observed 5 rows")
    assert "(1 row, the first" in single
