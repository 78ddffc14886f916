"""Values that a source of changes leaves out because they did not change: the target has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headgate.core.contracts import ReadContext
from headgate.core.models import ReadOptions
from headgate.core.sites import KeyedStore
from headgate.execute.context import Run


def context_with_lookup(run: Run, read: ReadOptions) -> ReadContext:
    """The run's context, for changes with a way to ask the target: where its columns are the source's own."""
    targets = run.pipeline.targets
    if read.mode != "cdc" or run.pipeline.transformations or len(targets) != 1 or targets[0].mode != "merge":
        return run.context
    store, table = run.authority, targets[0].table
    if not isinstance(store, KeyedStore):
        return run.context
    keyed = store

    def lookup(
        keys: Sequence[str], wanted: Sequence[tuple[str, ...]], column: str
    ) -> Mapping[tuple[str, ...], str | None]:
        return keyed.values(table, keys, wanted, column)

    return replace(run.context, lookup=lookup)
