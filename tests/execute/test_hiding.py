"""Values of personal data stand in no receipt, message, hint or history; the quarantine keeps rows as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.plan.projects import FILES, SmallProject

ADDRESS = "ada@example.org"
WARN = {"severity": "warning"}
MASK = {"type": "mask", "columns": {"mail": "redact"}}
COLUMNS = {"id": "INTEGER", "email": "TEXT"}
ROWS = [(1, ADDRESS), (2, ADDRESS), (3, None)]
RENAMED = [{"type": "rename", "columns": {"email": "mail"}}, MASK]


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return SmallProject(tmp_path).table("orders", COLUMNS, ROWS)


def told(project: SmallProject, **definition: Any) -> str:
    """All that a run says and leaves, but for the rows themselves."""
    result = project.define(**definition).attempt()
    said = [json.dumps(result.value.as_dict(), default=str)] if result.value else []
    said += [str(result.error)] + ([json.dumps(result.failure.as_dict())] if result.failure else [])
    logs = [text for name, text in project.files().items() if name.endswith((".log", ".jsonl", "state.db"))]
    return "\n".join(said) + "\n".join(text.decode(errors="replace") for text in logs)


@pytest.mark.parametrize("fail", [WARN, {}])
@pytest.mark.parametrize(
    "rule",
    [
        {"type": "format", "column": "email", "format": "url", "stage": "extract"},
        {"type": "unique", "columns": ["email"], "stage": "extract"},
        {"type": "aggregate", "condition": "COUNT(email) > 7", "group_by": ["email"], "stage": "extract"},
        {"type": "sql", "query": "SELECT * FROM input WHERE id = 1", "stage": "extract"},
        {"type": "python", "function": "mine:no", "stage": "extract"},
    ],
)
def test_a_column_that_a_later_step_masks_is_told_by_no_rule(
    project: SmallProject, rule: dict[str, Any], fail: dict[str, Any]
) -> None:
    (project.root / "mine.py").write_text("def no(rows):\n    return [False] * len(rows)\n")
    text = told(project, steps=RENAMED, rules=[{**rule, **fail}])
    assert "***" in text
    assert ADDRESS not in text


def test_a_column_that_is_marked_and_what_is_made_of_it_are_told_by_no_rule(project: SmallProject) -> None:
    steps = [{"type": "calculate", "columns": {"copy": "LOWER(email)"}}]
    rule = {"type": "regex", "column": "copy", "pattern": "x"}
    assert ADDRESS in told(project, steps=steps, rules=[rule])
    project.define(steps=steps, rules=[rule], sensitive=["EMAIL"])
    (check,) = project.attempt().value.checks  # type: ignore[union-attr]
    assert all(row["copy"] == "***" for row in check.sample)


def test_messages_of_row_errors_and_python_hide_it_too(project: SmallProject) -> None:
    cast = {"type": "cast", "columns": {"email": "INTEGER"}}
    assert ADDRESS not in told(project, steps=[cast], sensitive=["email"])
    (project.root / "mine.py").write_text("def bad(rows):\n    return rows if not len(rows) else 1 / 0\n")
    text = told(project, steps=[{"type": "python", "function": "mine:bad"}], sensitive=["email"])
    assert "email='***'" in text
    assert ADDRESS not in text
    project.file("a.csv", f"id,email\n1,{ADDRESS}\n")
    assert ADDRESS not in told(project, source={**FILES, "types": {"email": "INTEGER"}}, sensitive=["email"])


def test_what_a_database_says_of_a_row_that_it_rejects_hides_it_too(project: SmallProject) -> None:
    with duckdb.connect(str(project.root / "goal.duckdb")) as database:
        database.execute("CREATE TABLE out (id BIGINT, email TEXT UNIQUE)")
    project.connections = {"goal": {"type": "duckdb", "path": "goal.duckdb"}}
    text = told(project, target={"table": "out"}, sensitive=["email"])
    assert 'duplicate key \\"***\\"' in text
    assert ADDRESS not in text


def test_values_that_rules_observe_or_would_remember_are_hidden_too(project: SmallProject) -> None:
    text = told(project, rules=[{"type": "aggregate", "condition": "MAX(email) = 'x'", **WARN}], sensitive=["email"])
    assert "***" in text
    assert ADDRESS not in text
    assert "would be remembered" in told(project, rules=[{"type": "drift", "column": "email"}], sensitive=["email"])


@pytest.mark.parametrize(
    "query", ["SELECT email AS e, id FROM input", "SELECT id, 'x' || MAX(email) AS m FROM input GROUP BY 1"]
)
def test_what_a_rule_of_ones_own_makes_of_a_hidden_column_is_hidden(project: SmallProject, query: str) -> None:
    rule = {"type": "sql", "query": query}
    project.define(rules=[rule], sensitive=["email"])
    (check,) = project.attempt().value.checks  # type: ignore[union-attr]
    assert sorted(map(str, check.sample[0].values())) == ["***", "1"]
    assert ADDRESS not in told(project, rules=[rule], sensitive=["email"])


@pytest.mark.parametrize(
    "definition",
    [
        {"steps": [{"type": "aggregate", "metrics": {"m": "MAX(CAST(email AS INTEGER))"}}]},
        {"steps": [{"type": "sql", "query": "SELECT CAST(email AS DATE) AS x FROM input"}]},
        {"rules": [{"type": "aggregate", "condition": "MAX(CAST(email AS INTEGER)) > 1"}]},
        {"steps": [{"type": "join", "table": "orders", "connection": "shop", "on": "email", "suffix": "_2"}]},
    ],
)
def test_messages_about_a_value_that_ends_the_run_do_not_tell_it(
    project: SmallProject, definition: dict[str, Any]
) -> None:
    assert ADDRESS in told(project, **definition)
    for file in project.root.glob(".headgate/**/*"):
        if file.is_file():
            file.unlink()
    text = told(project, **definition, sensitive=["email"])
    assert ADDRESS not in text
    assert "***" in text


def test_held_rows_are_kept_as_they_were(project: SmallProject) -> None:
    rule = {"type": "format", "column": "email", "format": "url", "stage": "extract", "on_fail": "quarantine"}
    receipt = project.define(steps=RENAMED, rules=[rule]).run()
    assert {row["email"] for row in project.held(receipt.quarantine[0])} == {ADDRESS}
