"""Plans and checks: what a run would do, and everything that keeps it from being done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from headgate.config.models import Pipeline
from headgate.core.contracts import Interval, Window
from headgate.core.errors import Code, HeadgateError, Problem
from headgate.core.models import WriteOptions
from headgate.execute.intervals import interval_of, read_context
from headgate.execute.positions import forgotten, position
from headgate.execute.workspace import Workspace
from headgate.sql.templates import DATES, without_value

if TYPE_CHECKING:
    from headgate.plan.stages import Plan

NOT_THERE = (Code.NOT_FOUND, Code.SOURCE_NOT_FOUND, Code.TABLE_NOT_FOUND)


@dataclass(frozen=True)
class Report:
    """What ``check`` found. ``notes`` are no problems: things that only a run can make."""

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, "problems": [asdict(problem) for problem in self.problems], "notes": list(self.notes)}


def plan(
    workspace: Workspace, name: str, interval: Interval | None = None, variables: Mapping[str, str] | None = None
) -> Plan:
    """Compile a pipeline against its live sources; nothing is written, nothing is claimed.

    Raises:
        HeadgateError: what keeps it from being planned.
    """
    try:
        return _plan(workspace, name, interval, variables)
    except HeadgateError as error:
        error.of_pipeline(name)
        raise


def _plan(workspace: Workspace, name: str, interval: Interval | None, variables: Mapping[str, str] | None) -> Plan:
    from headgate.execute.gather import check_tables, gather
    from headgate.execute.parameters import parameters_told

    pipeline = workspace.project.pipeline(name)
    store = workspace.stores_of(pipeline)[0]
    state = store.state(workspace.key(name))
    check_tables(workspace, pipeline)
    context = read_context(workspace, "plan", interval, {**pipeline.variables, **(variables or {})}, pipeline=name)
    source = workspace.source(pipeline.source_endpoint(0))
    read = pipeline.sources[0]
    context = replace(context, given_up=forgotten(source, read, state.watermarks))
    with parameters_told(read):
        window = source.probe(read, context, position(source, read, state.watermarks))
    nothing = Window(None, note="nothing new since the last run") if window is None or window.idle else window
    return gather(workspace, pipeline, context, state, window=nothing).plan


def check(
    load: Callable[[], Workspace],
    names: Sequence[str] = (),
    *,
    offline: bool = False,
    date: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Report:
    """Find every problem of the configuration and (unless ``offline``) of every plan that can be made in spite of it.

    Args:
        load: opens the project, pipelines that cannot be read set aside; its own CONFIG_INVALID is part of the report.
        names: pipelines to look at; default: the whole project.
        date: what ``{{ ds }}`` stands for.

    Raises:
        HeadgateError: when there is no project to check, or no such pipeline.
    """
    try:
        workspace = load()
    except HeadgateError as error:
        if not error.problems:
            raise
        return Report(error.problems)
    with workspace:
        project = workspace.project
        known = [*project.broken, *(names or project.pipelines)]  # what cannot be read keeps every run from beginning
        problems = [problem for name in known for problem in project.problems_of(name)]
        if not names:
            problems += project.problems()
        notes = _zone(project.defaults.timezone)
        if offline:
            return Report(_unique(problems), tuple(notes))
        interval = interval_of(date, None, None)
        for name in known:
            if project.problems_of(name):
                continue  # it cannot be planned before these are mended
            try:
                _plan_some_day(workspace, name, interval, variables, notes)
            except HeadgateError as error:
                maker = _made_by(workspace, project.pipeline(name), error)
                if maker:
                    notes.append(f"{name}: {error.object} is made by the first run of {maker}")
                else:
                    problems += _problems(project.pipeline(name), error)
        return Report(_unique(problems), tuple(notes))


def _zone(name: str) -> list[str]:
    """A day means another one where somebody expects that runs are for days of the project's zone."""
    if name in ("UTC", "Etc/UTC"):
        return []
    return [
        f"defaults.timezone: {name} is the zone of schedules only; days of --date, and times without a zone, are UTC"
    ]


def _plan_some_day(
    workspace: Workspace, name: str, interval: Interval | None, variables: Mapping[str, str] | None, notes: list[str]
) -> None:
    """Plan for the interval asked for; a pipeline that wants one, and got none, for yesterday.

    That a day's files are not there yet is no problem then.
    """
    try:
        plan(workspace, name, interval, variables)
    except HeadgateError as error:
        told = [error.message, *(problem.message for problem in error.problems)]
        wanted = [day for day in DATES if any(without_value(day) in text for text in told)]
        if interval is not None or not wanted:
            raise
        day = (workspace.clock() - timedelta(days=1)).date().isoformat()
        notes.append(f"{name}: {{{{ {wanted[0]} }}}} stood for {day}; choose another day with --date")
        try:
            plan(workspace, name, interval_of(day, None, None), variables)
        except HeadgateError as missing:
            if missing.code is not Code.SOURCE_NOT_FOUND:
                raise
            notes.append(f"{name}: {missing.object} is not there, so its columns were not looked at")


def _problems(pipeline: Pipeline, error: HeadgateError) -> list[Problem]:
    """An error of a plan as problems with a place."""
    if error.problems:
        return list(error.problems)
    file, line = pipeline.where(("source",))
    subject = f"{error.object}: " if error.object and error.object not in error.message else ""
    return [Problem(f"{subject}{error.message}", file, line, f"pipelines.{pipeline.name}", error.hint)]


def _made_by(workspace: Workspace, pipeline: Pipeline, error: HeadgateError) -> str:
    """The other pipeline whose first run makes the table that is missing; empty if there is none."""
    from headgate.execute.gather import relations_of

    if error.code not in NOT_THERE:
        return ""
    wanted = {one.endpoint.name for one in relations_of(workspace, pipeline) if one.read.table == error.object}
    wanted |= {pipeline.target_endpoint(number).name for number, _ in _targets(pipeline, error.object)}
    for name, other in workspace.project.pipelines.items():
        made = {other.target_endpoint(number).name for number, target in _targets(other, error.object) if target.create}
        if name != pipeline.name and wanted & made:
            return name
    return next((name for name, one in workspace.project.broken.items() if error.object in one.tables), "")


def _targets(pipeline: Pipeline, table: str) -> list[tuple[int, WriteOptions]]:
    return [(number, target) for number, target in enumerate(pipeline.targets) if target.table == table]


def _unique(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(dict.fromkeys(problems))
