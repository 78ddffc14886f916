"""Changes of a source that tells them (mode: cdc): the last of each key counts; targets hear of deleted keys."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from headgate.config.models import Pipeline
from headgate.core.errors import Code, FatalError
from headgate.plan.loads import marker
from headgate.plan.passes import PassBuilder
from headgate.sql.shapes import Branch, Call, Deduplicate, Drop, Lookup, Project, Reshape, Shape, column

CHANGE, ORDER = "_change", "_order"
"""What a source that tells changes says of each row: insert, update or delete; and where it stands among them, counted
from 0."""
_MERGING = ("merge", "scd2")


def followed(pipeline: Pipeline) -> bool:
    """Whether targets are to become what the source is, rather than a list of its changes (mode: append)."""
    return pipeline.sources[0].mode == "cdc" and any(target.mode != "append" for target in pipeline.targets)


def follow(pipeline: Pipeline, builder: PassBuilder) -> None:
    """Count changes that a later one of their key replaces, which the scan leaves out, and mark those that delete it.

    Raises:
        FatalError: PLAN_INVALID for targets that cannot delete, or that take rows from a step in between.
    """
    for target in pipeline.targets:
        if target.mode not in _MERGING or target.from_ is not None or target.delete_when is not None:
            raise FatalError(
                Code.PLAN_INVALID,
                "the source tells what changed, also rows that are deleted",
                operation="plan",
                object=target.table,
                hint="use mode: merge with the primary key as keys, without from and delete_when; or mode: append to"
                " keep every change",
            )
    builder.add(Drop(exp.true(), "deduplicated"), "changes", "fail")
    deleted = exp.EQ(this=column(CHANGE), expression=exp.Literal.string("delete"))
    for number in range(len(pipeline.targets)):
        builder.mark(marker(number), deleted)
    left = [item.name for item in builder.columns if item.name not in (CHANGE, ORDER)]
    builder.add(Project(tuple((name, column(name)) for name in left)), "changes", "fail")
    builder.exempt = column(marker(0))
    builder.setwise = len(pipeline.transformations)  # a row that was held must not come back over a later one


def refuse_losing(shapes: Sequence[Shape], step: str) -> None:
    """A row that a step leaves out would stay in the target as it was. Raises FatalError PLAN_INVALID."""
    for shape in shapes:
        if isinstance(shape, Drop | Deduplicate | Reshape | Call | Branch) or (
            isinstance(shape, Lookup) and not shape.optional
        ):
            raise FatalError(
                Code.PLAN_INVALID,
                "a changed row that this step leaves out would stay in the target as it was",
                operation="plan",
                object=step,
                hint="follow the changes into one table, and filter or aggregate in a pipeline that reads it",
            )
