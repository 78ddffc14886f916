"""Rows that were held back: those of published runs, and the evidence of runs that were refused."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.execute.quarantine import Found, batches_of, found_entries
from headgate.execute.workspace import Workspace
from headgate.queries.tables import ResultSet, collect

if TYPE_CHECKING:
    import pyarrow as pa


def entries(workspace: Workspace, pipelines: Sequence[str] = ()) -> list[dict[str, Any]]:
    """``id, run_id, pipeline, rule, rows, status`` of every entry, oldest first within its store."""
    for name in pipelines:
        workspace.project.pipeline(name)
    return [
        {
            "id": found.entry.id,
            "run_id": found.entry.run_id,
            "pipeline": found.entry.pipeline,
            "rule": found.entry.rule,
            "rows": found.entry.rows,
            "status": found.entry.status,
        }
        for found in found_entries(workspace, pipelines)
    ]


def held_rows(workspace: Workspace, entry_id: str, limit: int | None = 100) -> ResultSet:
    """The rows of one entry as they were held; the last column, ``_reasons``, lists why. Raises NOT_FOUND."""
    batches = batches_of(workspace, find(workspace, entry_id))
    first: pa.RecordBatch | None = next(batches, None)
    if first is None:
        return ResultSet((), (), [])
    return collect(first.schema, chain([first], batches), limit)


def find(workspace: Workspace, entry_id: str) -> Found:
    """An entry by its id. Raises NOT_FOUND."""
    for found in found_entries(workspace):
        if found.entry.id == entry_id:
            return found
    raise FatalError(
        Code.NOT_FOUND, "no such entry", operation="quarantine", object=entry_id, hint="see: headgate quarantine list"
    )
