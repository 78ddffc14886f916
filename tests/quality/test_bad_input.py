"""What is wrong with rules and steps, on real targets: found by check if it can be, else the run fails and says where.

Either way the message names rule or step, file and line, and the first rows at fault; what the target shows stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import NAME, SmallProject, with_orders

from headgate.api.project import Project
from headgate.execute.workspace import Workspace
from headgate.queries import plans

MINE = """
import pyarrow as pa

def raises(rows):
    if 30 in rows["total"].to_pylist():
        raise ValueError("thirty is too much")
    return rows

def renames(rows):
    return rows.rename_columns(["id", "town", "total", "note"]) if rows.num_rows else rows

def judges(rows):
    return [1 // total for total in rows["total"].to_pylist()]
"""
FOUND: dict[str, tuple[dict[str, Any], str]] = {
    "a rule on a missing column": (
        {"type": "not_null", "columns": ["totl"]}, 'column "totl" not found; did you mean "total"?',
    ),
    "a condition that does not parse": ({"type": "expression", "condition": "total >"}, "does not parse"),
    "an aggregate of a missing column": ({"type": "aggregate", "condition": "AVG(totl) > 1"}, '"totl" not found'),
    "a regex that does not compile": ({"type": "regex", "column": "city", "pattern": "[a-"}, "regular expression"),
    "a reference table that is not there": (
        {"type": "referential", "columns": ["city"], "connection": "shop", "table": "towns"}, "towns",
    ),
    "a type that cannot be": ({"type": "cast", "columns": {"total": "INTEGR"}}, '"INTEGR" is not a SQL type'),
    "a type that no value is of": ({"type": "cast", "columns": {"total": "DATE"}}, "no value of total"),
    "a step's reference table": ({"type": "join", "table": "towns", "connection": "shop", "on": "city"}, "towns"),
    "a function that is not there": ({"type": "python", "function": "mine:score"}, "has no function score"),
}  # fmt: skip
"""Steps and rules of which check says what is wrong."""
FAIL: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a value that does not fit its type": (
        {"type": "calculate", "name": "typed", "columns": {"number": "CAST(note AS INTEGER)"}},
        ["typed", "id=2", "note='x'"],
    ),
    "a step that raises": (
        {"type": "python", "name": "scored", "function": "mine:raises"},
        ["scored", "thirty is too much", "mine.py:6", "id=3"],
    ),
    "a step that returns other columns": (
        {"type": "python", "name": "renamed", "function": "mine:renames"}, ["renamed", "town", "planned were"],
    ),
    "a rule that raises": ({"type": "python", "name": "judged", "function": "mine:judges"}, ["judged", "mine.py:13"]),
    "a rule that rows break": ({"type": "range", "name": "sane", "column": "total", "min": 0}, ["sane", "id=5"]),
}  # fmt: skip
"""What only rows show, and what the failed run must name, beside the line."""
RULES = ("not_null", "expression", "aggregate", "regex", "referential", "range")


@pytest.fixture(params=["folder", "lake", "postgres"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> SmallProject:
    """Orders that were published once, into each kind of store."""
    made = with_orders(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    target = {"connection": "goal", "table": "out", "mode": "overwrite"}
    match request.param:
        case "folder":
            made.connections = {"goal": {"type": "local", "path": "goal"}}
        case "postgres":
            made.connections = {"goal": {"type": "postgres", "url": request.getfixturevalue("postgres_url")}}
        case _:
            target["connection"] = "lake"
    made.define(target=target).run()
    return made


def shown(small: SmallProject) -> Any:
    """What readers of the target see, and the version that they see."""
    name = small.pipeline["targets"][0]["connection"]
    with Workspace.load(small.root) as workspace:
        store = workspace.store(workspace.connection(name))
        found = store.describe("out")
        version = found.version if found else ""
    return version, Project(small.root).query("SELECT * FROM out ORDER BY id", connection=name).to_pylist()


def changed(small: SmallProject, part: dict[str, Any], *, rule: bool) -> tuple[int, int]:
    """Add a rule, or a step after one that keeps all rows; its first line and the line after it."""
    steps = [{"type": "filter", "condition": "id > 0"}, *([] if rule else [part])]
    small.change(transformations=steps, quality_rules=[part] if rule else [])
    lines = (small.root / "headgate.yml").read_text().splitlines()
    begins = [number for number, line in enumerate(lines, 1) if line.strip().startswith("- type:")][1]
    return begins, begins + len(part) + sum(len(v) for v in part.values() if isinstance(v, dict | list)) + 1


def test_check_finds_it_and_a_run_changes_nothing(small: SmallProject) -> None:
    before = shown(small)
    for what, (part, message) in FOUND.items():
        rule = part["type"] in RULES
        first, after = changed(small, part, rule=rule)
        found = plans.check(lambda: Workspace.load(small.root)).problems
        assert len(found) == 1, (what, found)
        assert message in found[0].message + found[0].hint, (what, found)
        assert first <= found[0].line < after, (what, found)
        assert found[0].path.startswith(f"pipelines.{NAME}.{'quality_rules.0' if rule else 'transformations.1'}"), what
        assert small.attempt(force=True).is_failure, what
    assert shown(small) == before
    small.change(transformations=[], quality_rules=[]).run(force=True)


def test_a_run_that_fails_names_rule_or_step_line_and_first_rows(small: SmallProject) -> None:
    before = shown(small)
    for what, (part, named) in FAIL.items():
        first, after = changed(small, part, rule=part["type"] in RULES or part.get("name") == "judged")
        assert plans.check(lambda: Workspace.load(small.root)).problems == (), what
        result = small.attempt(force=True)
        assert result.failure is not None, what
        said = f"{result.failure} {result.failure.hint}"
        assert [word for word in named if word not in said] == [], (what, said)
        assert any(f"headgate.yml:{line}" in said for line in range(first, after)), (what, said)
    assert shown(small) == before
    assert [entry for entry in small.entries() if entry["status"] != "evidence"] == []
    small.change(transformations=[], quality_rules=[]).run(force=True)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"type": "not_null", "columns": ["totl"]}, 'did you mean "total"'),
        ({"type": "expression", "condition": "total >"}, "does not parse"),
        ({"type": "regex", "column": "city", "pattern": "("}, "not a regular expression"),
        ({"type": "schema", "required": ["mail"]}, 'column "mail" not found'),
        ({"type": "python", "function": "nothing:there"}, "there is no nothing.py"),
        ({"type": "sql", "query": "SELECT * FROM elsewhere"}, "elsewhere"),
        ({"type": "aggregate", "condition": "total > 1"}, "no aggregate"),
        ({"type": "nul", "columns": ["id"]}, 'unknown rule "nul"'),
        ({"type": "not_null", "columns": ["id"], "severity": "bad"}, "error"),
        ({"type": "not_null", "columns": ["id"], "max_failed": "lots"}, "no number of rows"),
        ({"type": "not_null", "columns": ["id"], "max_failed": 0.5}, "expected: a whole number or a text, got 0.5"),
        ({"type": "row_count", "min": 9, "max_failed": 1}, "allowed_difference"),
        ({"type": "aggregate", "condition": "SUM(id) > 99", "max_failed": 1}, "the limit into the condition"),
        ({"type": "aggregate", "condition": "SUM(id) > 9", "group_by": ["city"], "max_failed": "50%"}, "as a number"),
        ({"type": "freshness", "column": "day", "max_age": "1d", "max_failed": "50%"}, "max_age is its limit"),
        ({"type": "completeness", "columns": ["id"], "max_failed": 3}, "threshold says"),
        ({"type": "volume", "max_failed": 1}, "max_deviation is its limit"),
        ({"type": "drift", "column": "id", "max_failed": 1}, "threshold is its limit"),
        ({"type": "compare", "connection": "shop", "table": "keys", "max_failed": 1}, "allowed_difference"),
        ({"type": "not_null", "columns": []}, "expected: at least 1 entry"),
        ({"type": "range", "column": "id", "min": 5, "max": 1}, "no value lies between min 5 and max 1"),
        ({"type": "range", "column": "id", "min": float("nan")}, "NaN is no limit"),
        ({"type": "schema", "properties": {"id": {"minimum": 5, "exclusiveMaximum": 5}}}, "no value lies between"),
        ({"type": "schema", "properties": {"name": {"minLength": 5, "maxLength": 1}}}, "no value lies between"),
        ({"type": "expression", "condition": "id > 'many'"}, "'many' cannot be compared with id"),
        ({"type": "date_range", "column": "day", "min": "2024-01-01", "slack": "5m"}, "neither min nor max is now"),
    ],
)
def test_what_cannot_be_checked_is_found_by_check_with_its_line(tmp_path: Path, rule: Any, said: str) -> None:
    project = with_orders(tmp_path).table("keys", {"id": "INTEGER"}, [(1,)])
    project.define(rules=[rule])
    report = plans.check(lambda: Workspace.load(project.root, set_aside=True))
    (problem,) = report.problems
    assert said in f"{problem.message} {problem.hint}"
    assert problem.file == "headgate.yml"
    assert problem.line >= 15
    assert "quality_rules.0" in problem.path
