"""The history: receipts of every outcome."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.core.runs import Receipt
from headgate.execute.workspace import Workspace


def runs(workspace: Workspace, pipelines: Sequence[str] = (), limit: int = 50) -> list[Receipt]:
    """The newest receipts first, of all pipelines or of those named. Raises NOT_FOUND for an unknown pipeline.

    A pipeline that the project no longer has is known as long as the history has runs of it.
    """
    project = workspace.project
    found = workspace.history.runs(project.name, pipelines, limit)
    seen = {receipt.pipeline for receipt in found}
    for name in pipelines:
        if name not in seen and name not in project.pipelines:
            project.pipeline(name)
    return found


def show(workspace: Workspace, run: str) -> Receipt:
    """One receipt, by the run's id or how it begins. Raises NOT_FOUND."""
    return workspace.history.get(workspace.project.name, run)
