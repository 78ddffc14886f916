"""Steps over groups of rows, after a source that gives only what is new."""

from __future__ import annotations

from headgate.core.errors import Code, FatalError
from headgate.core.models import ReadOptions, StepOptions

_SETWISE = ("aggregate", "window", "pivot")


def refuse_partial_groups(source: ReadOptions, options: StepOptions) -> None:
    """An incremental batch may hold a part of a group only: its aggregate would be wrong.

    Raises:
        FatalError: PLAN_INVALID, unless the user says that groups are complete.
    """
    if source.mode == "full" or options.type not in _SETWISE:
        return
    if source.recompute == "affected":
        raise FatalError(
            Code.UNSUPPORTED,
            "recompute: affected is not there yet",
            operation="plan",
            object=options.type,
            hint="read the source in full, or assert groups: complete",
        )
    if source.groups != "complete":
        raise FatalError(
            Code.PLAN_INVALID,
            f"an incremental batch may hold a part of a group, so {options.type} after it would be wrong",
            operation="plan",
            object=options.name or options.type,
            hint="say groups: complete at the source if a batch always holds whole groups, or use mode: full",
        )
