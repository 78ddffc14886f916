"""Watermarks: how far published runs have read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.core.errors import FatalError, HeadgateError
from headgate.core.ledger import Watermark
from headgate.core.values import plain
from headgate.execute.workspace import Workspace


@dataclass(frozen=True)
class Watermarks:
    """What stores say of how far runs have read. ``failure``: some could not be asked, and why; the others are there.

    ``found`` has one entry a source that has a watermark: pipeline, source, column, value, run_id.
    """

    found: list[dict[str, Any]]
    failure: HeadgateError | None = None


def watermarks(workspace: Workspace, pipelines: Sequence[str] = ()) -> Watermarks:
    """The watermarks of some pipelines, default all. A store that does not answer hides only its own.

    Raises:
        FatalError: NOT_FOUND for a pipeline that there is not.
    """
    chosen = [workspace.project.pipeline(name) for name in pipelines or workspace.project.pipelines]
    found: list[dict[str, Any]] = []
    silent: dict[str, HeadgateError] = {}
    for pipeline in chosen:
        try:
            store = workspace.store(pipeline.target_endpoint(0))
            marks = store.state(workspace.key(pipeline.name)).watermarks.values()
        except HeadgateError as error:
            silent[pipeline.name] = error
        else:
            found += [_shown(pipeline.name, mark) for mark in marks]
    return Watermarks(found, _unanswered(silent) if silent else None)


def _unanswered(silent: Mapping[str, HeadgateError]) -> HeadgateError:
    """One error about all pipelines whose store did not answer; the first's own if there is but one reason."""
    first = next(iter(silent.values()))
    reasons = dict.fromkeys((error.object, error.message) for error in silent.values())
    told = "; ".join(": ".join(part for part in reason if part) for reason in reasons)
    about = f"the watermark{'s' if len(silent) > 1 else ''} of {', '.join(silent)} cannot be told"
    failure = FatalError(
        first.code,
        f"{about}: {told}",
        operation="state show",
        hint=first.hint,
        problems=[problem for error in silent.values() for problem in error.problems],
    )
    failure.__cause__ = first
    return failure


def _shown(pipeline: str, mark: Watermark) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "source": mark.source,
        "column": mark.column,
        "value": plain(mark.value),
        "run_id": mark.run_id,
    }
