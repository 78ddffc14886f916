"""What becomes of a row with a value that does not fit, by policy; and that no batch or thread changes it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plan.projects import Row, SmallProject

from headgate.core.errors import Code, HeadgateError

CAST: dict[str, Any] = {"type": "cast", "columns": {"amount": "INTEGER", "size": "INTEGER"}}
COLUMNS = {"id": "INTEGER", "amount": "TEXT", "size": "TEXT"}
ROWS: list[Row] = [(1, "10", "1"), (2, "x", "2"), (3, "30", "y"), (4, "x", "y"), (5, None, "5")]


def shop(root: Path, rows: list[Row], policy: str | None, **handling: Any) -> SmallProject:
    project = SmallProject(root).table("orders", COLUMNS, rows)
    return project.define(steps=[CAST], error_handling={"on_row_error": policy, **handling})


def held(project: SmallProject, status: str) -> list[dict[str, Any]]:
    return [row for entry in project.entries() if entry["status"] == status for row in project.held(entry["id"])]


def test_fail_names_the_first_row_and_publishes_nothing(tmp_path: Path) -> None:
    error = shop(tmp_path, ROWS, "fail").attempt().failure
    assert isinstance(error, HeadgateError)
    assert error.code is Code.ROW_ERROR
    assert "3 of 5 rows" in error.message
    assert "id=2" in error.message


def test_quarantine_holds_the_rows_back_as_they_were(tmp_path: Path) -> None:
    project = shop(tmp_path, ROWS, "quarantine")
    assert project.run().rows.quarantined == 3
    assert project.out() == [(1, 10, 1), (5, None, 5)]
    assert sorted(row["amount"] for row in held(project, "held")) == ["30", "x", "x"]


@pytest.mark.parametrize("policy", ["null", None], ids=["text", "yaml-null"])
def test_null_lets_the_rows_go_on_without_the_value_and_counts_them(tmp_path: Path, policy: str | None) -> None:
    project = shop(tmp_path, ROWS, policy)
    receipt = project.run()
    assert (receipt.rows.loaded, receipt.rows.quarantined) == (5, 0)
    assert project.out() == [(1, 10, 1), (2, None, 2), (3, 30, None), (4, None, None), (5, None, 5)]
    assert [warning for warning in receipt.warnings if "NULL" in warning] == [
        "cast: cast amount became NULL in 2 rows",
        "cast: cast size became NULL in 2 rows",
    ]
    assert project.entries() == []


def test_log_lets_them_go_on_too_and_keeps_them_as_they_were(tmp_path: Path) -> None:
    project = shop(tmp_path, ROWS, "log")
    receipt = project.run()
    assert (receipt.rows.loaded, receipt.rows.quarantined) == (5, 0)
    assert project.out()[1] == (2, None, 2)
    kept = held(project, "logged")
    assert Counter((row["id"], row["amount"], row["size"]) for row in kept) == Counter(
        [(2, "x", "2"), (4, "x", "y"), (3, "30", "y"), (4, "x", "y")]
    ), "a row is kept for each value that did not fit"
    assert all("became" not in reason and "cast" in reason for row in kept for reason in row["_reasons"])
    assert project.replay(project.entries()[0]["id"]).failure is not None


@pytest.mark.parametrize("policy", ["quarantine", "null", "log"])
def test_too_many_bad_rows_fail_the_run_however_they_are_treated(tmp_path: Path, policy: str) -> None:
    shop(tmp_path, ROWS, policy, max_error_percentage=60).run()
    error = shop(tmp_path, ROWS, policy, max_error_percentage=59).attempt().failure
    assert isinstance(error, HeadgateError)
    assert error.code is Code.ERROR_RATE_EXCEEDED
    assert "more than 59" in error.message


CELLS = st.sampled_from(["1", "2", "x", "", None, "3.5", "99999999999"])


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(st.integers(0, 50), CELLS, CELLS), max_size=40),
    policy=st.sampled_from(["quarantine", "null", "log"]),
    batch=st.integers(1, 7),
)
def test_batches_and_threads_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], policy: str, batch: int
) -> None:
    outcomes = []
    for defaults in ({"batch_size": batch, "threads": 1}, {"batch_size": 100_000, "threads": 4}):
        project = shop(tmp_path_factory.mktemp("rows"), rows, policy)
        project.defaults = defaults
        receipt = project.change().run()
        kept = [(row["id"], row["amount"], row["size"], tuple(row["_reasons"])) for entry in project.entries()
                for row in project.held(entry["id"])]  # fmt: skip
        outcomes.append((receipt.rows, receipt.warnings, project.out() if rows else [], Counter(kept)))
    assert outcomes[0] == outcomes[1]
