"""Held rows stand in one file for each pass and first reason, numbered in the order of the plan."""

from __future__ import annotations

from typing import Any

from tests.plan.projects import SmallProject

from headgate.execute import held

HOLD = {"on_row_error": "quarantine"}


def test_entries_are_numbered_in_the_order_of_passes_and_rules(project: SmallProject) -> None:
    """The first row to be held breaks the second rule; that changes no number."""
    rules: list[dict[str, Any]] = [
        {"type": "expression", "name": "not_five", "condition": "id <> 5", "on_fail": "quarantine"},
        {"type": "expression", "name": "not_one", "condition": "id <> 1", "on_fail": "quarantine"},
        {"type": "expression", "name": "not_three", "condition": "id <> 3", "on_fail": "quarantine", "step": "first"},
    ]
    first = {"type": "filter", "name": "first", "condition": "id > 0"}
    cast = {"type": "cast", "columns": {"note": "BIGINT"}}
    receipt = project.define(steps=[first, cast], rules=rules, error_handling=HOLD).run()
    found = {entry["id"]: (entry["rule"], entry["rows"]) for entry in project.entries()}
    assert receipt.quarantine == tuple(f"{receipt.run_id[:12]}-{number}" for number in range(1, 5))
    assert [found[entry] for entry in receipt.quarantine] == [
        ("not_three", 1),
        ("cast note", 1),
        ("not_five", 1),
        ("not_one", 1),
    ]


def test_one_entry_holds_all_rows_of_its_reason(project: SmallProject) -> None:
    rows = [(n, "Bonn", n, "x") for n in range(25_000)]
    project.table("orders", {"id": "INTEGER", "city": "TEXT", "total": "INTEGER", "note": "TEXT"}, rows)
    project.defaults = {"batch_size": 1000}
    rule = {"type": "expression", "condition": "id % 2 = 0", "on_fail": "quarantine"}
    receipt = project.define(rules=[rule]).run()
    (entry,) = project.entries()
    assert (entry["rows"], receipt.rows.quarantined, receipt.rows.loaded) == (12_500, 12_500, 12_500)


def test_evidence_of_a_refused_run_is_some_rows_of_each_rule(project: SmallProject) -> None:
    rows = [(n, "Bonn", n, "x") for n in range(held.EVIDENCE_ROWS * 3)]
    project.table("orders", {"id": "INTEGER", "city": "TEXT", "total": "INTEGER", "note": "TEXT"}, rows)
    project.defaults = {"batch_size": 300}
    result = project.define(rules=[{"type": "expression", "name": "odd", "condition": "id < 0"}]).attempt()
    assert result.value is not None
    assert result.value.checks[0].failed_rows == held.EVIDENCE_ROWS * 3
    (entry,) = project.entries()
    assert (entry["rule"], entry["rows"], entry["status"]) == ("odd", held.EVIDENCE_ROWS, "evidence")


def test_intervals_are_held_as_they_were_and_go_on_from_there(project: SmallProject) -> None:
    """Parquet has no INTERVAL, and no number of days is a month."""
    first = {"type": "calculate", "name": "first", "columns": {"took": "id * (INTERVAL '1' MONTH) + INTERVAL '3' DAY"}}
    late = {"type": "cast", "columns": {"took": "VARCHAR"}}
    rule: dict[str, Any] = {"type": "range", "step": "first", "column": "id", "max": 3, "on_fail": "quarantine"}
    (entry,) = project.define(steps=[first, late], rules=[rule]).run().quarantine
    assert [(row["id"], row["took"]) for row in project.held(entry)] == [(4, (4, 3, 0)), (5, (5, 3, 0))]
    project.define(steps=[first, late]).replay(entry).unwrap()
    assert project.out("SELECT id, took FROM out WHERE id > 2 ORDER BY id") == [
        (3, "3 months 3 days"),
        (4, "4 months 3 days"),
        (5, "5 months 3 days"),
    ]
