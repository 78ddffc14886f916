"""Rows that were held back: those of published runs, and the evidence of runs that were refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Store
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import QuarantineEntry
from headgate.execute.workspace import Workspace
from headgate.queries.tables import ResultSet, collect
from headgate.runs.evidence import evidence, evidence_rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Found:
    """An entry and where its rows are: in a store, or (None) in the evidence."""

    entry: QuarantineEntry
    store: Store | None


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
        for found in _all(workspace, pipelines)
    ]


def held_rows(workspace: Workspace, entry_id: str, limit: int | None = 100) -> ResultSet:
    """The rows of one entry as they were held; the last column, ``_reasons``, lists why. Raises NOT_FOUND."""
    found = find(workspace, entry_id)
    batches = iter(
        found.store.held(found.entry)
        if found.store is not None
        else evidence_rows(workspace.state / "evidence", found.entry)
    )
    first: pa.RecordBatch | None = next(batches, None)
    if first is None:
        return ResultSet((), (), [])
    return collect(first.schema, chain([first], batches), limit)


def find(workspace: Workspace, entry_id: str) -> Found:
    """An entry by its id. Raises NOT_FOUND."""
    for found in _all(workspace):
        if found.entry.id == entry_id:
            return found
    raise FatalError(
        Code.NOT_FOUND, "no such entry", operation="quarantine", object=entry_id, hint="see: headgate quarantine list"
    )


def _all(workspace: Workspace, pipelines: Sequence[str] = ()) -> Iterator[Found]:
    asked: set[int] = set()
    for name in pipelines or workspace.project.pipelines:
        store = workspace.stores_of(workspace.project.pipeline(name))[0]
        if id(store) in asked:
            continue
        asked.add(id(store))
        for entry in store.quarantine(workspace.project.name):
            if not pipelines or entry.pipeline in pipelines:
                yield Found(entry, store)
    for entry in evidence(workspace.state / "evidence"):
        if not pipelines or entry.pipeline in pipelines:
            yield Found(entry, None)
