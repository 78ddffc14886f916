"""Steps over groups of rows, after a source that gives only what is new."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from headgate.config.models import Pipeline
from headgate.core.errors import Code, FatalError
from headgate.core.models import ReadOptions, StepOptions
from headgate.plan.places import located
from headgate.sql.expressions import is_aggregate
from headgate.sql.shapes import Deduplicate, Project, Reshape, Shape


def is_setwise(shape: Shape) -> bool:
    """Whether values or rows that a shape gives depend on other rows than those they come from.

    Deduplication does too; within a batch it is what it says, and an upsert does it across batches.
    """
    match shape:
        case Reshape():
            return shape.grouped or _sets(shape.query) or any(map(_gathers, shape.query.find_all(exp.Select)))
        case Project():
            return any(value.find(exp.Window) for _, value in shape.columns)
        case Deduplicate():
            return shape.reason != "deduplicated"
        case _:
            return False


def _gathers(select: exp.Select) -> bool:
    """Whether a SELECT of the user's, or a part of it, makes one of many rows, or looks at others."""
    if select.args.get("group") or select.args.get("distinct") or select.args.get("qualify"):
        return True
    return any(isinstance(part, exp.Window | exp.Limit | exp.Offset) or is_aggregate(part) for part in select.walk())


def _sets(query: exp.Expr) -> bool:
    """Whether rows are compared with each other: rows of the step before are read twice, or asked for in a condition;
    or come from the other side of a join when nothing matches, where the match may be a row of an earlier run."""
    own = {"input", *(cte.alias.lower() for cte in query.find_all(exp.CTE))}
    read = [found for found in query.find_all(exp.Table) if found.name.lower() in own]
    if any(map(_asked, read)) or any(_joined(select, own) for select in query.find_all(exp.Select)):
        return True
    if any(not isinstance(each, exp.Union) or each.args.get("distinct") for each in query.find_all(exp.SetOperation)):
        return True
    return any(_brings(join, own) for join in query.find_all(exp.Join))


def _asked(table: exp.Table) -> bool:
    """Whether rows of a table are looked at in a condition or a value, rather than read."""
    scope = table.find_ancestor(exp.Select)
    while scope is not None:
        above = scope.parent
        if isinstance(above, exp.In | exp.Exists):
            return True
        if isinstance(above, exp.Subquery) and not isinstance(above.parent, exp.From | exp.Join | exp.SetOperation):
            return True
        scope = scope.find_ancestor(exp.Select)
    return False


def _joined(select: exp.Select, own: set[str]) -> bool:
    start = select.args.get("from_") or select.args.get("from")
    joins: list[exp.Expr] = select.args.get("joins") or []
    return sum(_reads(part, own) for part in [*([start] if start else []), *joins]) > 1


def _reads(part: exp.Expr, own: set[str]) -> bool:
    return any(found.name.lower() in own for found in part.this.find_all(exp.Table))


def _brings(join: exp.Join, own: set[str]) -> bool:
    mine = _reads(join, own)
    return join.side in ("RIGHT", "FULL") or (join.side == "LEFT" and mine) or (join.kind in ("SEMI", "ANTI") and mine)


def refuse_windows_beside(pipeline: Pipeline) -> None:
    """The first source has the window of a run; what is joined to its rows is read in full, or matches would be missed.

    Raises:
        FatalError: PLAN_INVALID where another source asks for less.
    """
    for index, read in enumerate(pipeline.sources[1:], start=1):
        if read.mode == "full":
            continue
        error = FatalError(
            Code.PLAN_INVALID,
            f"only the first source is read by what is new; beside it, mode: {read.mode} would miss rows to match",
            operation="plan",
            object=read.name or read.table or f"source {index + 1}",
            hint="leave mode out, so that it is read in full; or put it first; or give it a pipeline of its own",
        )
        raise located(error, pipeline, ("sources", index))


def refuse_partial_groups(source: ReadOptions, options: StepOptions, shapes: Sequence[Shape]) -> None:
    """An incremental batch may hold a part of a group only: its aggregate would be wrong.

    Raises:
        FatalError: PLAN_INVALID, unless the user says that groups are complete.
    """
    if source.mode in ("full", "snapshot") or not any(is_setwise(shape) for shape in shapes):
        return
    if source.recompute == "affected" and source.mode == "incremental":
        return
    if source.groups != "complete":
        raise FatalError(
            Code.PLAN_INVALID,
            f"an incremental batch may hold a part of a group, so {options.type} after it would be wrong",
            operation="plan",
            object=options.name or options.type,
            hint="say groups: complete at the source if a batch always holds whole groups, recompute: affected to read"
            " the groups of new rows again, or use mode: full",
        )
