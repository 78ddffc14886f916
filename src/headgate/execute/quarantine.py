"""Where held rows are: in the stores of pipelines, and as evidence beside the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.core.contracts import Store
from headgate.core.ledger import QuarantineEntry
from headgate.execute.held import held_batches
from headgate.execute.workspace import Workspace
from headgate.io.durations import restored
from headgate.runs.evidence import evidence, evidence_rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Found:
    """An entry and where its rows are: in a store, or (None) in the evidence."""

    entry: QuarantineEntry
    store: Store | None


def batches_of(workspace: Workspace, found: Found) -> Iterator[pa.RecordBatch]:
    """The rows of an entry, as they were held."""
    if found.store is not None:
        return held_batches(found.store, found.entry)
    return map(restored, evidence_rows(workspace.state / "evidence", found.entry))


def found_entries(workspace: Workspace, pipelines: Sequence[str] = ()) -> Iterator[Found]:
    """Every entry of some pipelines, default all, and where its rows are."""
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
