"""Held rows are looked at, mended by SQL, replayed in one commit, exported and let go of."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from tests.plan.projects import FILES, Row, SmallProject

from headgate.commands.handle import handle
from headgate.commands.models import ExpireQuarantine, MendQuarantine
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.results import Result
from headgate.execute.workspace import Workspace
from headgate.queries.exports import export

COLUMNS = {"id": "INTEGER", "amount": "TEXT"}
ROWS: list[Row] = [(1, "10"), (2, "1,5"), (3, "=2+3"), (4, "20")]


@pytest.fixture
def held(tmp_path: Path) -> SmallProject:
    """Two rows whose amounts are no numbers were held back."""
    project = SmallProject(tmp_path).table("orders", COLUMNS, ROWS)
    cast = {"type": "cast", "columns": {"amount": "DECIMAL(10, 2)"}}
    project.define(steps=[cast], error_handling={"on_row_error": "quarantine"}).run()
    return project


def entry(project: SmallProject, status: str = "held") -> str:
    (found,) = [one["id"] for one in project.entries() if one["status"] == status]
    return str(found)


def mend(project: SmallProject, values: Mapping[str, str] | None = None, sql: str | None = None) -> Result[Any]:
    with Workspace.load(project.root) as workspace:
        return handle(MendQuarantine(entry_id=entry(project), values=dict(values or {}), sql=sql), workspace)


def refused(result: Result[Any]) -> HeadgateError:
    assert result.failure is not None
    return result.failure


def test_an_expression_a_column_mends_the_rows_and_they_go_on(held: SmallProject) -> None:
    receipt = mend(held, {"amount": "CASE WHEN amount = '=2+3' THEN '5' ELSE replace(amount, ',', '.') END"}).unwrap()
    assert (receipt.rows.extracted, receipt.rows.loaded, receipt.published) == (2, 2, True)
    assert held.out("SELECT id, CAST(amount AS REAL) FROM out") == [(1, 10.0), (2, 1.5), (3, 5.0), (4, 20.0)]
    assert [one["status"] for one in held.entries()] == ["replayed"]


def test_what_is_still_wrong_is_held_again_as_it_was_mended(held: SmallProject) -> None:
    receipt = mend(held, {"amount": "replace(amount, ',', '.')"}).unwrap()
    assert (receipt.rows.loaded, receipt.rows.quarantined) == (1, 1)
    assert [row["amount"] for row in held.held(entry(held))] == ["=2+3"]


def test_a_query_over_the_rows_mends_them_too(held: SmallProject) -> None:
    assert mend(held, sql="SELECT id + 10 AS id, '7' AS amount FROM input").unwrap().rows.loaded == 2
    assert held.out("SELECT id FROM out") == [(1,), (12,), (13,), (4,)]


def test_a_query_may_look_at_the_rows_more_than_once(held: SmallProject) -> None:
    most = "SELECT * REPLACE ((SELECT CAST(max(id) AS TEXT) FROM input) AS amount) FROM input"
    assert mend(held, sql=most).unwrap().rows.loaded == 2
    assert held.out("SELECT id, CAST(amount AS INTEGER) FROM out WHERE id IN (2, 3)") == [(2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("value", "type_", "becomes"),
    [
        ("7", "DECIMAL(9, 2)", 7.0),
        ("7", "DOUBLE", 7.0),
        ("NULL", "TEXT", None),
        ("7", "TEXT", "7"),
        ("1.00", "BIGINT", 1),
    ],
)
def test_a_mended_column_keeps_its_type(tmp_path: Path, value: str, type_: str, becomes: object) -> None:
    project = SmallProject(tmp_path).table("orders", COLUMNS, [(1, "10"), (2, "20")])
    project.define(
        steps=[{"type": "cast", "columns": {"amount": type_}}],
        rules=[{"type": "expression", "condition": "amount IS NULL OR amount <> 10", "on_fail": "quarantine"}],
    ).run()
    assert mend(project, {"amount": value}).unwrap().rows.loaded == 1
    assert project.out("SELECT amount FROM out WHERE id = 1") == [(becomes,)]


def test_a_mended_value_that_the_column_cannot_hold_ends_the_run(tmp_path: Path) -> None:
    project = SmallProject(tmp_path).table("orders", COLUMNS, [(1, "10"), (2, "20")])
    rules = [{"type": "expression", "condition": "id > 1", "on_fail": "quarantine"}]
    project.define(rules=rules).run()
    assert "a mended value of id is no" in refused(mend(project, {"id": "2.5"})).message
    assert [one["status"] for one in project.entries()] == ["held"]


@pytest.mark.parametrize(
    ("values", "sql", "said"),
    [
        ({"amuont": "'1'"}, None, 'did you mean "amount"?'),
        ({"amount": "read_csv('/etc/passwd')"}, None, "not allowed"),
        ({"amount": "nonsense("}, None, "does not parse"),
        ({"amount": "prize + 1"}, None, "prize"),
        (None, "SELECT id FROM input", "columns of the held rows"),
        (None, "SELECT * FROM input WHERE id = 2", "1 rows of 2"),
        (None, "SELECT * FROM orders", "orders"),
        (None, "DELETE FROM input", "SELECT"),
    ],
)
def test_mending_that_cannot_be_right_is_refused_and_changes_nothing(
    held: SmallProject, values: Any, sql: str | None, said: str
) -> None:
    error = refused(mend(held, values, sql))
    assert said in f"{error.message} {error.hint}"
    assert held.entries()[0]["status"] == "held"
    assert len(held.out()) == 2


def test_there_is_one_way_to_mend_at_a_time() -> None:
    with pytest.raises(ValidationError):
        MendQuarantine(entry_id="x")
    with pytest.raises(ValidationError):
        MendQuarantine(entry_id="x", values={"a": "1"}, sql="SELECT 1")


def test_lines_of_files_that_could_not_be_read_are_mended_before_they_are_typed(tmp_path: Path) -> None:
    project = SmallProject(tmp_path)
    project.file("a.csv", "id,amount\n" + "".join(f"{n},{n}\n" for n in range(1, 30)))
    project.define(source={**FILES, "mode": "incremental"}, error_handling={"on_row_error": "quarantine"}).run()
    project.file("b.csv", "id,amount\n30,3O\n31,31\n").run()
    assert [row["amount"] for row in project.held(entry(project))] == ["3O"]
    assert mend(project, {"amount": "replace(amount, 'O', '0')"}).unwrap().rows.loaded == 1
    assert project.out("SELECT amount FROM out WHERE id = 30") == [(30,)]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_held_rows_are_exported_with_their_reasons(held: SmallProject, ending: str) -> None:
    path = held.root / f"bad.{ending}"
    with Workspace.load(held.root) as workspace:
        assert export(workspace, entry(held), path) == 2
        with pytest.raises(FatalError, match="there already"):
            export(workspace, entry(held), path)
    found: list[dict[str, Any]]
    match ending:
        case "csv":
            found = list(csv.DictReader(path.read_text().splitlines()))
            assert {row["amount"] for row in found} == {"1,5", "'=2+3"}, "no formula for a spreadsheet"
        case "jsonl":
            found = [json.loads(line) for line in path.read_text().splitlines()]
            assert {row["amount"] for row in found} == {"1,5", "=2+3"}
        case _:
            found = pq.read_table(path).to_pylist()
            assert {row["amount"] for row in found} == {"1,5", "=2+3"}
    assert {int(row["id"]) for row in found} == {2, 3}
    assert all("cast amount" in str(row["_reasons"]) for row in found)


def test_a_file_whose_ending_says_no_format_is_refused(held: SmallProject) -> None:
    with Workspace.load(held.root) as workspace, pytest.raises(FatalError) as refusal:
        export(workspace, entry(held), held.root / "bad.xlsx")
    assert refusal.value.code is Code.USAGE
    assert not (held.root / "bad.xlsx").exists()


def test_rows_that_were_held_long_ago_are_let_go_of(held: SmallProject) -> None:
    with Workspace.load(held.root) as workspace:
        young = handle(ExpireQuarantine(older_than=timedelta(days=30)), workspace).unwrap()
        assert young == {"expired": [], "unknown": [], "freed": 0}
        old = handle(ExpireQuarantine(older_than=timedelta(0)), workspace).unwrap()
    assert old["expired"] == [held.entries()[0]["id"]]
    assert held.entries()[0]["status"] == "expired"
    assert held.replay(held.entries()[0]["id"]).failure is not None


def test_of_runs_that_the_history_has_lost_nobody_knows_the_age(held: SmallProject) -> None:
    (held.root / ".headgate" / "state.db").unlink()
    with Workspace.load(held.root) as workspace:
        done = handle(ExpireQuarantine(older_than=timedelta(0)), workspace).unwrap()
    assert done == {"expired": [], "unknown": [entry(held)], "freed": 0}
