"""Runs: the receipt comes back whatever happened; exit codes follow from its error."""

from __future__ import annotations

from typing import Any

from headgate.commands.models import MendQuarantine, ReplayQuarantine, RunPipeline
from headgate.core.errors import Code, FatalError
from headgate.core.results import Result
from headgate.execute.context import Mend, RunRequest
from headgate.execute.ending import RunFailed
from headgate.execute.intervals import interval_of
from headgate.execute.runner import run_pipeline
from headgate.execute.workspace import Workspace


def run(command: RunPipeline, workspace: Workspace) -> Result[Any]:
    """Run a pipeline once; the value is its receipt."""
    pipeline = workspace.project.pipeline(command.pipeline)
    request = RunRequest(
        interval_of(command.date, command.start, command.end),
        command.full_refresh,
        command.limit,
        command.publish and command.branch is None,
        command.branch,
        command.force,
        variables=command.variables,
    )
    return attempt(workspace, pipeline.name, request)


def attempt(workspace: Workspace, pipeline: str, request: RunRequest) -> Result[Any]:
    """Run, and turn a failed run into a result that has both its receipt and its error."""
    try:
        return Result.ok(run_pipeline(workspace, workspace.project.pipeline(pipeline), request))
    except RunFailed as failed:
        return Result.fail(failed.error, failed.receipt)


def replay(command: ReplayQuarantine | MendQuarantine, workspace: Workspace) -> Result[Any]:
    """Replay one entry, mended or as it is; it is looked for in the stores of all pipelines."""
    mend = Mend(command.values, command.sql or "") if isinstance(command, MendQuarantine) else None
    for name, pipeline in workspace.project.pipelines.items():
        store = workspace.stores_of(pipeline)[0]
        entries = store.quarantine(workspace.project.name)
        if any(entry.id == command.entry_id and entry.pipeline == name for entry in entries):
            return attempt(workspace, name, RunRequest(replay=command.entry_id, mend=mend))
    raise FatalError(
        Code.NOT_FOUND,
        "no such entry",
        operation="replay",
        object=command.entry_id,
        hint="see: headgate quarantine list",
    )
