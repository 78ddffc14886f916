"""What is wrong with a step is found before a row is read, with file, line and path, and no target is touched."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import NAME, SmallProject

from headgate.core.errors import Code, Problem
from headgate.execute.workspace import Workspace
from headgate.queries import plans

BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "rename", "columns": {"cty": "c"}}, 'column "cty" not found; did you mean "city"?'),
    ({"type": "cast", "columns": {"totl": "INTEGER"}}, 'column "totl" not found'),
    ({"type": "cast", "columns": {"total": "INTEGR"}}, '"INTEGR" is not a SQL type'),
    ({"type": "cast", "columns": {"note": {"type": "DATE", "format": "soon"}}}, "means nothing"),
    ({"type": "calculate", "columns": {"x": "total *"}}, "it does not parse"),
    ({"type": "calculate", "columns": {"x": "totl * 2"}}, 'column "totl" not found'),
    ({"type": "calculate", "columns": {"x": "UPPR(city)"}}, "the function UPPR is not allowed"),
    ({"type": "calculate", "columns": {"x": "city + 1"}}, "city|VARCHAR|convert"),
    ({"type": "filter"}, "condition"),
    ({"type": "filter", "condition": ""}, "the expression is empty"),
    ({"type": "filter", "condition": "total > 1; DROP TABLE x"}, "it is more than one expression"),
    ({"type": "filter", "field": "total", "operator": "about", "value": 1}, "not_in"),
    ({"type": "filter", "field": "city", "operator": "matches", "value": "("}, "not a regular expression"),
    ({"type": "aggregate", "metrics": {"x": "TOTAL(total)"}}, "the function TOTAL is not allowed"),
    ({"type": "aggregate", "aggregations": {"total": ["summ"]}}, '"summ" is not an aggregate here'),
    ({"type": "join", "table": "absent", "connection": "shop", "on": "city"}, "absent"),
    ({"type": "join", "table": "towns", "connection": "shopp", "on": "city"}, 'there is no connection "shopp"'),
    ({"type": "window", "columns": {"x": "LAG(total)"}}, "LAG needs an order"),
    ({"type": "sql", "query": "SELECT * FROM elsewhere"}, 'there is no relation "elsewhere"'),
    ({"type": "explode"}, 'unknown step "explode"'),
    ({"type": "mask", "columns": {"city": "hash"}}, "needs a salt"),
    ({"type": "mask", "columns": {"city": "hash"}, "salt": "grains"}, "a secret must not stand in the file"),
    ({"type": "mask", "columns": {"city": "hash"}, "salt": "${HG_NONE:-grains}"}, "the default of a secret"),
    ({"type": "calculate", "columns": {"x": None}}, "expected: a text, a number or true or false"),
    ({"type": "map", "columns": {"x": {"from": "city", "values": {}}}}, "expected: at least 1 entry"),
    ({"type": "map", "columns": {"x": {"from": "city", "values": {"a": [1]}}}}, "got a list"),
    ({"type": "map", "columns": {"x": {"from": "city", "values": {"a": 1, "b": True}}}}, "of several kinds"),
    ({"type": "map", "columns": {"x": {"from": "city", "values": {"a": 1, "b": "c"}}}}, "of several kinds"),
    ({"type": "map", "columns": {"x": {"from": "city", "values": {"a": 2**53 + 1, "b": 0.5}}}}, "exactly"),
    ({"type": "categorize", "column": "total", "bins": [0, 0, 5], "labels": ["a", "b"]}, "0 does not lie above 0"),
    ({"type": "categorize", "column": "total", "bins": [0, float("nan")], "labels": ["a"]}, "NaN is no limit"),
    (
        {"type": "categorize", "column": "total", "categories": [{"name": "a", "min": 9, "below": 9}]},
        "no value lies between min 9 and below 9",
    ),
    (
        {
            "type": "categorize",
            "column": "total",
            "categories": [{"name": "a", "min": 9}],
            "else": "b",
            "no_else": True,
        },
        "drop it, or else",
    ),
    ({"type": "filter", "condition": "total > 'many'"}, "'many' cannot be compared with total"),
    (
        {"type": "calculate", "columns": {"x": "CASE WHEN total IN ('none', '1') THEN 1 END"}},
        "'none' cannot be compared",
    ),
    ({"type": "sql", "query": "SELECT id, city AS ID FROM input"}, "two columns would be called"),
    ({"type": "python", "function": "nowhere:score"}, "nowhere"),
]


def problems(project: SmallProject) -> tuple[Problem, ...]:
    return plans.check(lambda: Workspace.load(project.root)).problems


@pytest.mark.parametrize(("step", "message"), BAD, ids=[f"{step['type']}-{message[:20]}" for step, message in BAD])
def test_check_names_the_line_of_the_step(project: SmallProject, step: dict[str, Any], message: str) -> None:
    project.define(steps=[{"type": "filter", "condition": "id > 0"}, step])
    before = project.files()
    found = problems(project)
    assert len(found) == 1, found
    [problem] = found
    assert any(part in problem.message + problem.hint for part in message.split("|")), problem
    lines = (project.root / "headgate.yml").read_text().splitlines()
    begins = [number for number, line in enumerate(lines, start=1) if line.strip().startswith("- type:")][1]
    ends = next(number for number, line in enumerate(lines, start=1) if line.strip() == "targets:")
    assert problem.file == "headgate.yml"
    assert begins <= problem.line < ends, problem
    assert problem.path.startswith(f"pipelines.{NAME}.transformations.1"), problem
    assert {path: content for path, content in project.files().items() if path in before} == before
    result = project.attempt()
    assert result.is_failure
    assert (
        not (project.root / "goal.db").exists() or project.out("SELECT 1 FROM sqlite_master WHERE name = 'out'") == []
    )


def test_every_problem_is_told_at_once(project: SmallProject) -> None:
    project.define(steps=[{"type": "filter"}, {"type": "clean"}, {"type": "explode"}])
    assert len(problems(project)) == 3


def test_a_missing_reference_table_fails_a_run_with_its_name(project: SmallProject) -> None:
    project.define(steps=[{"type": "join", "table": "absent", "connection": "shop", "on": "city"}])
    failed = project.attempt()
    assert failed.error_code is Code.TABLE_NOT_FOUND
    assert "absent" in str(failed.failure)
