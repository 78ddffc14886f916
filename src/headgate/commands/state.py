"""Watermarks and held rows, changed by hand, under the pipeline's lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate.commands.models import DiscardQuarantine, ExpireQuarantine, ResetWatermark, SetWatermark
from headgate.config.models import Pipeline
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import Watermark
from headgate.core.results import Result
from headgate.execute.intervals import read_context
from headgate.execute.quarantine import found_entries
from headgate.execute.workspace import Workspace
from headgate.runs.evidence import discard_evidence


def change(command: SetWatermark | ResetWatermark, workspace: Workspace) -> Result[Any]:
    """Set or forget watermarks; the value lists the sources changed."""
    pipeline = workspace.project.pipeline(command.pipeline)
    key = workspace.key(pipeline.name)
    store = workspace.stores_of(pipeline)[0]
    with store.lock(key):
        names = {
            workspace.source(pipeline.source_endpoint(i)).identity(read)[0]: (i, read)
            for i, read in enumerate(pipeline.sources)
        }
        chosen = [command.source] if command.source else list(names)
        for name in chosen:
            if isinstance(command, ResetWatermark):
                followed = name in names and names[name][1].mode == "cdc"
                mark = store.state(key).watermarks.get(name) if followed else None
                store.set_watermark(key, mark.forget() if mark else None, name)
                continue
            if name not in names or names[name][1].incremental is None:
                raise FatalError(
                    Code.UNSUPPORTED,
                    "the source has no cursor column to set",
                    operation="state set",
                    object=name,
                    hint="only incremental sources of databases and Python have one; see: headgate state show",
                )
            index, read = names[name]
            _, fingerprint = workspace.source(pipeline.source_endpoint(index)).identity(read)
            assert read.incremental is not None
            position = {"value": command.value}
            _try(workspace, pipeline, index, position)
            mark = Watermark(name, fingerprint, position, read.incremental.column, command.value, "set by hand")
            store.set_watermark(key, mark, name)
    return Result.ok({"pipeline": pipeline.name, "sources": chosen})


def _try(workspace: Workspace, pipeline: Pipeline, index: int, position: Mapping[str, Any]) -> None:
    """Ask the source whether it can go on from there, so that not the next run finds out that it cannot."""
    read, source = pipeline.sources[index], workspace.source(pipeline.source_endpoint(index))
    context = read_context(workspace, "", None, dict(pipeline.variables), pipeline=pipeline.name)
    try:
        source.probe(read, context, position)
    except FatalError as error:
        if error.code is not Code.STATE_INVALID:
            raise
        hint = "write it as the column's values are written, such as 2024-01-31T06:00:00Z or 1001"
        raise FatalError(Code.USAGE, error.message, operation="state set", object=pipeline.name, hint=hint) from None


def expire(command: ExpireQuarantine, workspace: Workspace) -> Result[Any]:
    """Let go of what was held long ago, and remove the rows of all that is settled since.

    The value lists the entries that expired, those whose age nobody knows, and counts those whose rows went: also what
    was replayed or read again. How old they are, the history of runs knows.
    """
    limit = workspace.clock() - command.older_than
    began = {run.run_id: run.started_at for run in workspace.history.runs(workspace.project.name, (), 1_000_000)}
    gone: list[str] = []
    unknown: list[str] = []
    freed = 0
    for found in found_entries(workspace, command.pipelines):
        entry, store = found.entry, found.store
        if entry.run_id not in began:
            unknown += [entry.id] if store is None or entry.waits else []
        elif began[entry.run_id] > limit:
            continue
        elif store is None:
            freed += discard_evidence(workspace.state / "evidence", entry.id)
            gone.append(entry.id)
        else:
            gone += [entry.id] if entry.waits and store.resolve([entry.id], "expired") else []
            freed += store.free([entry.id])
    return Result.ok({"expired": gone, "unknown": unknown, "freed": freed})


def discard(command: DiscardQuarantine, workspace: Workspace) -> Result[Any]:
    """Discard one entry of the quarantine or of the evidence, and remove its rows."""
    if discard_evidence(workspace.state / "evidence", command.entry_id):
        return Result.ok({"id": command.entry_id, "status": "discarded"})
    for name, pipeline in workspace.project.pipelines.items():
        store = workspace.stores_of(pipeline)[0]
        entries = store.quarantine(workspace.project.name)
        if any(entry.id == command.entry_id and entry.pipeline == name for entry in entries):
            if store.resolve([command.entry_id], "discarded") == 0:
                raise FatalError(
                    Code.UNSUPPORTED,
                    "the entry is no longer held",
                    operation="discard",
                    object=command.entry_id,
                    hint="see: headgate quarantine list",
                )
            store.free([command.entry_id])
            return Result.ok({"id": command.entry_id, "status": "discarded"})
    raise FatalError(
        Code.NOT_FOUND,
        "no such entry",
        operation="discard",
        object=command.entry_id,
        hint="see: headgate quarantine list",
    )
