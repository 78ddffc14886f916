"""A plan is made without a trace, is the one that a run executes, and has a fingerprint of what it does."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import NAME, TABLE, SmallProject

from headgate.core.errors import Code, HeadgateError
from headgate.execute import runner
from headgate.execute.context import Run, RunRequest
from headgate.execute.ending import RunFailed
from headgate.execute.workspace import Workspace
from headgate.plan.stages import Acknowledge, Audit, Claim, Clean, Plan, Publish, Scan, Transform, Write

STEPS: list[dict[str, Any]] = [
    {"type": "filter", "name": "positive", "condition": "total > 0"},
    {"type": "cast", "columns": {"note": "BIGINT"}},
]
RULES: list[dict[str, Any]] = [{"type": "range", "column": "total", "max": 20, "on_fail": "quarantine"}]
INCREMENTAL: dict[str, Any] = {**TABLE, "mode": "incremental", "incremental": {"column": "id"}}
AGGREGATE: dict[str, Any] = {"type": "aggregate", "group_by": ["city"], "metrics": {"n": "COUNT(*)"}}


def whole(project: SmallProject, **changes: Any) -> SmallProject:
    return project.define(**{"steps": STEPS, "rules": RULES, "target": {"table": "out"}, **changes})


def refused(project: SmallProject) -> HeadgateError:
    with pytest.raises(HeadgateError) as caught:
        project.plan()
    return caught.value


def line_of(project: SmallProject, text: str) -> int:
    """The line of the configuration's file that holds ``text``."""
    lines = (project.root / "headgate.yml").read_text().splitlines()
    (found,) = [number for number, line in enumerate(lines, start=1) if text in line]
    return found


def test_a_plan_is_the_one_that_the_run_executes(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    whole(project, error_handling={"on_row_error": "quarantine"})
    planned = project.plan()
    executed: list[Plan] = []
    real = runner._execute

    def execute(run: Run) -> None:
        real(run)
        executed.append(run.plan)

    monkeypatch.setattr(runner, "_execute", execute)
    with Workspace.load(project.root) as workspace:
        receipt = runner.run_pipeline(workspace, workspace.project.pipeline(NAME), RunRequest())
    (done,) = executed
    assert done.stages == planned.stages
    assert (done.hash, done.columns, done.lineage) == (planned.hash, planned.columns, planned.lineage)
    assert receipt.plan_hash == planned.hash


def test_planning_leaves_no_trace(project: SmallProject) -> None:
    whole(project)
    before = project.files()
    project.plan()
    assert project.files() == before


def test_stages_stand_in_the_order_in_which_they_are_done(project: SmallProject) -> None:
    stages = whole(project).plan().stages
    kinds = [type(stage) for stage in stages]
    assert kinds[:2] == [Claim, Scan]
    assert kinds[-4:] == [Audit, Publish, Acknowledge, Clean]
    assert kinds.index(Transform) < kinds.index(Write) < kinds.index(Audit)


def test_equal_pipelines_have_equal_fingerprints(project: SmallProject) -> None:
    assert whole(project).plan().hash == whole(project).plan().hash
    described = whole(project, description="what for", tags=["daily"]).plan()
    assert described.hash == whole(project).plan().hash


@pytest.mark.parametrize(
    "change",
    [
        {"steps": STEPS[:1]},
        {"steps": STEPS[::-1]},
        {"steps": [{**STEPS[0], "condition": "total > 1"}, STEPS[1]]},
        {"steps": [STEPS[0], {**STEPS[1], "columns": {"note": "SMALLINT"}}]},
        {"rules": []},
        {"rules": [{**RULES[0], "max": 21}]},
        {"rules": [{**RULES[0], "on_fail": "warn"}]},
        {"rules": [*RULES, {"type": "row_count", "min": 1}]},
        {"target": {"table": "elsewhere"}},
        {"target": {"table": "out", "mode": "overwrite"}},
        {"target": {"table": "out", "mode": "upsert", "keys": ["id"]}},
        {"target": {"table": "out", "from": "positive"}},
        {"source": {**TABLE, "where": "id > 1"}},
        {"source": {**TABLE, "columns": ["id", "total", "note"]}},
        {"source": INCREMENTAL},
        {"error_handling": {"on_row_error": "quarantine"}},
        {"error_handling": {"max_error_percentage": 5}},
    ],
    ids=lambda change: str(change)[:60],
)
def test_each_change_of_what_is_done_changes_the_fingerprint(project: SmallProject, change: dict[str, Any]) -> None:
    before = whole(project).plan().hash
    assert whole(project, **change).plan().hash != before


def test_other_keys_are_another_plan(project: SmallProject) -> None:
    upsert = {"table": "out", "mode": "upsert"}
    first = whole(project, target={**upsert, "keys": ["id"]}).plan()
    assert whole(project, target={**upsert, "keys": ["id", "city"]}).plan().hash != first.hash


def test_another_type_in_the_source_is_another_plan(project: SmallProject) -> None:
    before = whole(project, steps=[], rules=[]).plan()
    project.table("orders", {"id": "INTEGER", "city": "TEXT", "total": "REAL", "note": "TEXT"})
    assert project.plan().hash != before.hash


def test_where_a_run_stands_in_time_is_no_part_of_the_fingerprint(project: SmallProject) -> None:
    first = project.define(source=INCREMENTAL).plan()
    project.run()
    second = project.plan()
    assert (first.notes, first.hash) != (second.notes, "")
    assert first.notes != second.notes
    assert first.hash == second.hash


def test_keys_take_the_spelling_of_the_columns(project: SmallProject) -> None:
    plan = project.define(target={"table": "out", "mode": "upsert", "keys": ["ID"]}).plan()
    assert [stage.keys for stage in plan.stages if isinstance(stage, Write)] == [("id",)]


@pytest.mark.parametrize(
    ("change", "path", "at", "message"),
    [
        (
            {"steps": [{"type": "filter", "condition": "totl > 0"}]},
            "transformations.0",
            "- type: filter",
            'column "totl" not found; did you mean "total"?',
        ),
        (
            {"steps": [*STEPS, {"name": "here", "type": "cast", "columns": {"citty": "TEXT"}}]},
            "transformations.2",
            "- name: here",
            'column "citty" not found; did you mean "city"?',
        ),
        (
            {"rules": [*RULES, {"type": "not_null", "column": "idd"}]},
            "quality_rules.1",
            "- type: not_null",
            'column "idd" not found; did you mean "id"?',
        ),
        (
            {"target": {"table": "out", "mode": "upsert", "keys": ["noet"]}},
            "targets.0.keys",
            "keys:",
            'merge key "noet" is not a column of the rows; did you mean "note"?',
        ),
        (
            {"target": {"connection": "inbox", "table": "out", "partitioning": {"column": "city", "by": "month"}}},
            "targets.0.partitioning",
            "partitioning:",
            '"city" is VARCHAR, and parts by month need a date or time',
        ),
    ],
    ids=["step", "later step", "rule", "merge key", "parts"],
)
def test_errors_point_to_their_line_and_name_the_nearest_column(
    project: SmallProject, change: dict[str, Any], path: str, at: str, message: str
) -> None:
    error = refused(whole(project, **change))
    (problem,) = error.problems
    assert (error.code, problem.message, problem.path) == (Code.PLAN_INVALID, message, f"pipelines.{NAME}.{path}")
    assert problem.file == "headgate.yml"
    assert problem.line == line_of(project, at)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"target": {"table": "out", "from": "positiv"}}, "targets.0.from"),
        ({"rules": [{**RULES[0], "step": "positiv"}]}, "quality_rules.0.step"),
    ],
    ids=["from", "step"],
)
def test_a_step_that_is_not_there_is_refused_with_the_nearest(
    project: SmallProject, change: dict[str, Any], path: str
) -> None:
    (problem,) = refused(whole(project, **change)).problems
    assert problem.message == 'there is no step "positiv"'
    assert (problem.path, problem.hint) == (f"pipelines.{NAME}.{path}", 'did you mean "positive"?')


def test_an_aggregate_of_an_incremental_batch_is_refused(project: SmallProject) -> None:
    error = refused(project.define(source=INCREMENTAL, steps=[AGGREGATE]))
    assert error.code is Code.PLAN_INVALID
    assert "part of a group" in error.message
    assert "groups: complete" in error.hint
    assert error.problems[0].path == f"pipelines.{NAME}.transformations.0"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a.id FROM input AS a JOIN input AS b ON a.id = b.id + 1",
        "WITH c AS (SELECT id FROM input) SELECT a.id FROM c AS a LEFT JOIN c AS b ON a.id = b.id + 1",
        "SELECT id FROM input WHERE id NOT IN (SELECT id + 1 FROM input)",
        "SELECT id FROM input UNION SELECT id FROM input",
        "SELECT id, id IN (SELECT id + 1 FROM input) AS follows FROM input",
        "SELECT id FROM input ORDER BY id OFFSET 1",
        "SELECT PRODUCT(id) AS product FROM input",
        "SELECT ENTROPY(city) AS entropy FROM input",
    ],
)
def test_rows_of_an_incremental_batch_are_not_compared_with_each_other(project: SmallProject, query: str) -> None:
    error = refused(project.define(source=INCREMENTAL, steps=[{"type": "sql", "query": query}]))
    assert "sql after it would be wrong" in error.message


def test_rows_of_an_incremental_batch_are_read_by_a_query_one_by_one(project: SmallProject) -> None:
    query = "WITH c AS (SELECT id FROM input) SELECT id FROM (SELECT id FROM c) UNION ALL SELECT id + 9 FROM c"
    project.define(source=INCREMENTAL, steps=[{"type": "sql", "query": query}])
    assert project.run().status.value == "success"


@pytest.mark.parametrize("how", ["right", "outer", "left", "inner"])
def test_rows_without_a_match_in_an_incremental_batch_may_have_had_it_before(project: SmallProject, how: str) -> None:
    project.table("towns", {"city": "TEXT", "size": "INTEGER"}, [("Bonn", 1), ("Rome", 2)])
    join = {"type": "join", "connection": "shop", "table": "towns", "on": ["city"], "how": how}
    project.define(source=INCREMENTAL, steps=[join])
    if how in ("right", "outer"):
        assert "join after it would be wrong" in refused(project).message
    else:
        assert project.run().status.value == "success"


def test_only_the_first_source_has_a_window(project: SmallProject) -> None:
    """Rows that are joined to it would miss their matches if the others were read by what is new."""
    project.define()
    del project.pipeline["source"]
    second = {**INCREMENTAL, "name": "towns"}
    error = refused(project.change(sources=[{"connection": "shop", "table": "orders"}, second]))
    assert (error.code, error.problems[0].path) == (Code.PLAN_INVALID, f"pipelines.{NAME}.sources.1")
    assert "only the first source" in error.message
    assert "in full" in error.hint


def test_whole_groups_may_be_asserted(project: SmallProject) -> None:
    project.define(source={**INCREMENTAL, "groups": "complete"}, steps=[AGGREGATE])
    assert project.run().rows.loaded == 3


@pytest.mark.parametrize("name", ["_hg_m", "_HG_x"])
def test_names_that_headgate_keeps_for_itself_are_refused(project: SmallProject, name: str) -> None:
    error = refused(project.define(steps=[{"type": "calculate", "columns": {name: "id"}}]))
    assert f'"{name}" starts with _hg_' in error.message
    project.table("odd", {name: "INTEGER"}).define(source={"connection": "shop", "table": "odd"})
    assert "headgate keeps for itself" in refused(project).message


def test_a_join_with_repeated_keys_is_refused_before_the_rows_are_read_or_staged(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "size": "INTEGER"}, [("Bonn", 1), ("Bonn", 2), ("Ulm", 3)])
    join = {"type": "join", "connection": "shop", "table": "towns", "on": ["city"]}
    told: list[str] = []
    project.define(steps=[join])
    with (
        Workspace.load(project.root, listeners=(lambda event: told.append(event.name),)) as workspace,
        pytest.raises(RunFailed) as caught,
    ):
        runner.run_pipeline(workspace, workspace.project.pipeline(NAME), RunRequest())
    assert caught.value.error.code is Code.TRANSFORMATION_FAILED
    assert "city = 'Bonn' is there 2 times" in caught.value.error.message
    assert not [name for name in told if name.startswith(("stage.", "progress.", "publish."))]
    assert project.define(steps=[{**join, "many": True}]).run().rows.expanded == 2
