"""Rows that are kept: as they were, with why they are."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.plan.flags import REASONS


def refuse_kept(columns: Sequence[Column]) -> None:
    """A column of theirs that is called as that of the reasons would be lost.

    Raises:
        FatalError: PLAN_INVALID if there is one.
    """
    if any(item.name == REASONS for item in columns):
        raise FatalError(
            Code.PLAN_INVALID,
            f'rows may be held back here, and "{REASONS}" is the column in which they say why',
            operation="plan",
            object=REASONS,
            hint="rename it before, or leave it out where rows are read: columns: [...]",
        )
