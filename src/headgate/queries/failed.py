"""All rows that a store holds back as one table: what ``failed_data`` is to a query.

Nothing is kept for it: it shows the entries of the store, so it changes with the commits that hold rows back, replay
them or read them again, and rows that were discarded or expired have left it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Scan, SourceSchema, Store
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import QuarantineEntry
from headgate.core.values import plain, row_values
from headgate.execute.held import held_batches
from headgate.execute.workspace import Workspace
from headgate.plan.flags import REASONS

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "failed_data"
_BATCH = 10_000


def is_failed_data(store: Store, table: str) -> bool:
    """Whether the name means the rows held back: a table that is really called so goes first."""
    return table.lower() == NAME and store.describe(table) is None


def failed_data(workspace: Workspace, store: Store, wanted: Set[str], at: str | None = None) -> Scan:
    """One row for each row that waits in the store; ``record`` and ``key`` are JSON, made only if they are wanted.

    Raises:
        FatalError: UNSUPPORTED for an older version.
    """
    import pyarrow as pa

    if at is not None:
        raise FatalError(
            Code.UNSUPPORTED,
            "rows that were held back are shown as they are now",
            operation="query",
            object=NAME,
            hint="leave --at out",
        )
    text = pa.string()
    schema = pa.schema(
        {
            "entry": text, "run_id": text, "pipeline": text, "rule": text, "status": text, "held_at": text,
            "reasons": pa.list_(text), "key": text, "record": text,
        }
    )  # fmt: skip
    waiting = [entry for entry in store.quarantine(workspace.project.name) if entry.waits]
    batches = _batches(workspace, store, waiting, schema, wanted)
    return Scan(SourceSchema(schema), pa.RecordBatchReader.from_batches(schema, batches))


def _batches(
    workspace: Workspace, store: Store, waiting: list[QuarantineEntry], schema: pa.Schema, wanted: Set[str]
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for entry in waiting:
        keys = _keys(workspace, entry.pipeline)
        same = [entry.id, entry.run_id, entry.pipeline, entry.rule, entry.status, entry.held_at]
        for held in held_batches(store, entry):
            for start in range(0, held.num_rows, _BATCH):
                rows = held.slice(start, _BATCH)
                columns: list[Any] = [pa.array([value] * rows.num_rows, pa.string()) for value in same]
                columns += [rows.column(REASONS), *_documents(rows, keys, wanted)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _documents(rows: pa.RecordBatch, keys: set[str], wanted: Set[str]) -> Iterator[pa.Array[Any]]:
    """The columns key and record: of each row its key, and all of it."""
    import pyarrow as pa

    names = [name for name in rows.schema.names if name != REASONS]
    for column, chosen in (("key", [name for name in names if name.lower() in keys]), ("record", names)):
        if column in wanted and chosen:
            records = row_values(rows.select(chosen))
            yield pa.array([_document(record) for record in records], pa.string())
        else:
            yield pa.nulls(rows.num_rows, pa.string())


def _document(record: Mapping[str, Any]) -> str:
    return json.dumps({name: plain(value) for name, value in record.items()}, ensure_ascii=False)


def _keys(workspace: Workspace, pipeline: str) -> set[str]:
    """What identifies a row of a pipeline for people: merge keys, and the key of the source."""
    known = workspace.project.pipelines.get(pipeline)
    if known is None:  # it was in the project once
        return set()
    named = [key for target in known.targets for key in target.keys or ()]
    for read in known.sources[:1]:
        named += read.incremental.key or () if read.incremental else ()
    return {name.lower() for name in named}
