"""The receipt of a run as it stands."""

from __future__ import annotations

from dataclasses import replace

from headgate.core.runs import Receipt, Status, WatermarkChange
from headgate.execute.context import Run


def receipt(run: Run, status: Status, *, published: bool, message: str = "") -> Receipt:
    """The receipt of the run as it stands."""
    change = None
    marks = [mark for mark in run.watermarks if mark.column is not None]
    if marks:
        mark = marks[0]
        before = run.state.watermarks.get(mark.source)
        change = WatermarkChange(mark.column, before.value if before else None, mark.value)
    elif run.pipeline.sources and run.pipeline.sources[0].incremental:
        column = run.pipeline.sources[0].incremental.column
        stays = next((mark.value for mark in run.state.watermarks.values() if mark.column == column), None)
        change = WatermarkChange(column, stays, stays)
    rows = run.rows
    if run.commits:
        rejected = _rejected(run)
        rows = replace(
            rows,
            loaded=rows.loaded - rejected,
            rejected=rejected,
            inserted=sum(commit.inserted for commit in run.commits),
            updated=sum(commit.updated for commit in run.commits),
            deleted=sum(commit.deleted for commit in run.commits),
        )
    return Receipt(
        run_id=run.run_id,
        execution_id=run.execution_id,
        pipeline=run.pipeline.name,
        status=status,
        started_at=run.started_at,
        ended_at=run.emitter.clock(),
        rows=rows,
        steps=tuple(run.steps),
        watermark=change,
        checks=tuple(run.checks),
        targets=tuple(run.commits),
        published=published,
        message=message,
        quarantine=tuple(entry.id for entry, _ in run.held.entries("held")) if run.held else (),
        plan_hash=run.gathered.plan.hash if run.gathered else "",
        warnings=tuple(run.warnings),
        quality=run.quality,
    )


def _rejected(run: Run) -> int:
    """Rows of the last step, and of outputs beside it, that a table refused: the most that one of their tables did."""
    from headgate.plan.stages import Write  # needs sqlglot, which a run that finds nothing new does without

    read_from = {(stage.store, stage.table): stage.relation for stage in run.plan.stages if isinstance(stage, Write)}
    ends = [result.transform.relation for result in run.passes if result.transform.branch]
    most = dict.fromkeys((*ends, run.passes[-1].transform.relation), 0)
    for commit in run.commits:
        relation = read_from[commit.connection, commit.table]
        if relation in most:
            most[relation] = max(most[relation], commit.rejected)
    return sum(most.values())
