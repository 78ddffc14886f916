"""Errors of a plan know where they stand; a place that is known already stays."""

from __future__ import annotations

from tests.plan.projects import NAME, SmallProject

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.execute.workspace import Workspace
from headgate.plan.places import located

STEP = {"type": "filter", "condition": "id > 1"}


def placed(project: SmallProject, error: HeadgateError, *path: str | int) -> HeadgateError:
    with Workspace.load(project.root) as workspace:
        return located(error, workspace.project.pipeline(NAME), path)


def test_the_innermost_place_wins(project: SmallProject) -> None:
    project.define(steps=[STEP, STEP])
    wrong = FatalError(Code.PLAN_INVALID, "wrong", operation="plan", object="total", hint="mend it")
    inner = placed(project, wrong, "transformations", 1)
    outer = placed(project, inner, "source")
    (problem,) = outer.problems
    lines = (project.root / "headgate.yml").read_text().splitlines()
    seconds = [number for number, line in enumerate(lines, start=1) if "- type: filter" in line]
    assert (problem.path, problem.line) == (f"pipelines.{NAME}.transformations.1", seconds[1])
    assert (outer.code, outer.message, outer.hint) == (Code.PLAN_INVALID, "wrong", "mend it")
    assert outer.object == f"headgate.yml:{seconds[1]}"


def test_a_passing_fault_is_nobodys_line(project: SmallProject) -> None:
    gone = RetriableError(Code.CONNECTION_FAILED, "gone")
    assert placed(project, gone, "source") is gone
