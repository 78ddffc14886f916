"""Watermarks: how far published runs have read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headgate.core.ledger import Watermark
from headgate.core.values import plain
from headgate.execute.workspace import Workspace


def watermarks(workspace: Workspace, pipelines: Sequence[str] = ()) -> list[dict[str, Any]]:
    """One entry a source that has a watermark: pipeline, source, column, value, run_id."""
    found: list[dict[str, Any]] = []
    for name in pipelines or workspace.project.pipelines:
        pipeline = workspace.project.pipeline(name)
        store = workspace.stores_of(pipeline)[0]
        marks = store.state(workspace.key(name)).watermarks.values()
        found += [_shown(name, mark) for mark in marks]
    return found


def _shown(pipeline: str, mark: Watermark) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "source": mark.source,
        "column": mark.column,
        "value": plain(mark.value),
        "run_id": mark.run_id,
    }
