"""The end of a run: one commit in the authoritative store, the others rolled forward, the source told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headgate.core.contracts import Source, Store
from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter, Step
from headgate.core.ledger import Claim, LedgerRecord, QuarantineEntry, Watermark
from headgate.core.models import ReadOptions
from headgate.core.runs import Status, TableCommit
from headgate.execute.context import Run
from headgate.execute.receipts import receipt
from headgate.plan.stages import Acknowledge, Clean, Publish


def publish(run: Run, stage: Publish) -> None:
    """Publish, park (``--no-publish``) or forget (``--limit``) what the run staged."""
    if run.request.only_check:
        for transaction in run.transactions.values():
            transaction.rollback()
        return
    entries = _hold(run)
    for name, transaction in run.transactions.items():
        run.commits += _of(name, transaction.counts())
    _judge_rejected(run)
    if run.request.limit is not None:
        for transaction in run.transactions.values():
            transaction.rollback()
        return
    run.watermarks = _watermarks(run)
    record = _record(run, stage.store, entries)
    if not run.request.publish:
        with run.emitter.during(Step.STAGE, what="park"):
            for name, transaction in run.transactions.items():
                transaction.park(_record(run, name, entries if name == stage.store else ()))
        run.parked = True
        return
    for name in stage.followers:
        with run.emitter.during(Step.STAGE, what="follower", store=name):
            run.transactions[name].park(_record(run, name, ()))
    run.publishing = True
    with run.emitter.during(Step.PUBLISH, store=stage.store):
        commits = _of(stage.store, run.transactions[stage.store].publish(record))
    run.published = True
    for name in stage.followers:
        with run.emitter.during(Step.FORWARD, store=name):
            forwarded = roll_forward(run.stores[name], run.claims[name], run.run_id, run.emitter, run.workdir)
            commits += _of(name, forwarded)
    run.commits = commits
    run.publishing = False


def _judge_rejected(run: Run) -> None:
    """Rows that a target's constraints rejected count as bad rows. Raises ERROR_RATE_EXCEEDED."""
    limit = run.pipeline.error_handling.max_error_percentage
    bad = run.rows.quarantined + sum(result.tally.erred for result in run.passes)
    for commit in run.commits:
        if not commit.rejected:
            continue
        were = "row was" if commit.rejected == 1 else "rows were"
        run.warnings.append(f"{commit.rejected:,} {were} rejected by constraints of {commit.table}")
        if limit is not None and (bad + commit.rejected) * 100 > limit * run.rows.extracted:
            raise FatalError(
                Code.ERROR_RATE_EXCEEDED,
                f"{commit.rejected} of {run.rows.extracted} rows were rejected by the target, {bad} were bad before:"
                f" more than {limit} %",
                operation="load",
                object=commit.table,
                hint="look why the constraints reject them, or raise error_handling.max_error_percentage",
            )


def _of(store: str, commits: list[TableCommit]) -> list[TableCommit]:
    """The commits with the connection that they are in, as receipts name it."""
    return [replace(commit, connection=store) for commit in commits]


def roll_forward(store: Store, claim: Claim, run_id: str, emitter: Emitter, workdir: Path) -> list[TableCommit]:
    """Publish in another store what a run parked there, now that the authoritative one has decided.

    Raises:
        FatalError: STATE_INVALID when nothing of the run is parked there: the stores would disagree in silence.
    """
    parked = store.resume(claim, run_id, emitter, workdir)
    if parked is None:
        raise FatalError(
            Code.STATE_INVALID,
            "the first store has published the run, and nothing of it is staged here",
            operation="publish",
            object=store.name,
            hint="somebody removed the staging; --force the interval, or --full-refresh",
        )
    transaction, record = parked
    return transaction.publish(replace(record, claim=claim))


def acknowledge(run: Run, stage: Acknowledge) -> None:
    """Tell the sources how far published runs have read."""
    if not run.published:
        return
    with run.emitter.during(Step.ACKNOWLEDGE):
        for index in stage.sources:
            if run.positions.get(index):
                read = run.pipeline.sources[index]
                run.workspace.source(run.pipeline.source_endpoint(index)).acknowledge(read, run.positions[index])


def keep_position(run: Run, position: Mapping[str, Any]) -> None:
    """Store how far the first source was read though it had nothing new, and tell it. The run holds the lock."""
    read, source = run.pipeline.sources[0], run.workspace.source(run.pipeline.source_endpoint(0))
    mark = _watermark(run, read, source, position)
    with run.emitter.during(Step.RECORD, what="watermark"):
        run.authority.set_watermark(run.key, mark, mark.source)
    with run.emitter.during(Step.ACKNOWLEDGE):
        source.acknowledge(read, position)


def clean(run: Run, stage: Clean) -> None:
    """Nothing of a published run stays behind but what it published."""
    with run.emitter.during(Step.CLEAN, what="run"):
        if run.published:
            for name in stage.stores:
                run.stores[name].sweep(run.claims[name])


def _hold(run: Run) -> tuple[QuarantineEntry, ...]:
    """Hand the quarantine's files to the authoritative store, whose commit they are part of."""
    assert run.held is not None
    entries = [*run.held.entries("held"), *run.held.entries("logged")]
    if not entries:
        return ()
    transaction = run.transactions[run.authority.name]
    with run.emitter.during(Step.HOLD, entries=len(entries)):
        for entry, file in entries:
            transaction.hold(entry, file)
    return tuple(entry for entry, _ in entries)


def _watermarks(run: Run) -> tuple[Watermark, ...]:
    """The positions that this run's commit makes the new ones; explicit intervals and replays move none."""
    if run.request.replay or (run.request.interval and run.request.interval.explicit):
        return ()
    found = []
    for index, position in run.positions.items():
        if not position:
            continue
        read = run.pipeline.sources[index]
        source = run.workspace.source(run.pipeline.source_endpoint(index))
        found.append(_watermark(run, read, source, position))
    return tuple(found)


def _watermark(run: Run, read: ReadOptions, source: Source, position: Mapping[str, Any]) -> Watermark:
    name, fingerprint = source.identity(read)
    column = read.incremental.column if read.incremental else "lsn" if read.mode == "cdc" else None
    return Watermark(name, fingerprint, position, column, position.get("value"), run.run_id)


def _record(run: Run, store: str, entries: tuple[QuarantineEntry, ...]) -> LedgerRecord:
    authoritative = store == run.authority.name
    return LedgerRecord(
        run.claims[store],
        run.plan.hash,
        receipt(run, Status.SUCCESS, published=True).as_dict(),
        run.watermarks if authoritative else (),
        entries,
        (run.request.replay,) if run.request.replay and authoritative else (),
        run.replaces,
        _superseded(run) if authoritative else (),
    )


def _superseded(run: Run) -> tuple[str, ...]:
    """Entries whose rows this run reads again: it replaces the run that held them back, or everything."""
    if not run.replaces and not run.request.full_refresh:
        return ()
    return tuple(
        entry.id
        for entry in run.authority.quarantine(run.key.project)
        if entry.pipeline == run.pipeline.name
        and entry.waits
        and (run.request.full_refresh or entry.run_id == run.replaces)
    )
