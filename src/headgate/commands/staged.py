"""Runs that were staged and left: published now, or forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from headgate.commands.models import DiscardRun, PublishRun
from headgate.core.contracts import Store
from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter, Step
from headgate.core.ledger import LedgerRecord
from headgate.core.results import Result
from headgate.core.runs import PipelineKey, Receipt, Status, TableCommit
from headgate.execute.workspace import Workspace


def settle(command: PublishRun | DiscardRun, workspace: Workspace) -> Result[Any]:
    """Publish or discard a staged run under a new claim; the value is its receipt. Killed midway, do it again."""
    operation = "publish" if isinstance(command, PublishRun) else "discard"
    staged = workspace.history.get(workspace.project.name, command.run_id, operation)
    key = workspace.key(staged.pipeline)
    listed = workspace.stores_of(workspace.project.pipeline(staged.pipeline))
    stores = {store.name: store for store in listed}
    with listed[0].lock(key):
        staged = workspace.history.get(workspace.project.name, staged.run_id)
        if staged.status is not Status.STAGED:
            raise _refused(command, staged, f"the run is {staged.status.value}, not staged")
        begun_in = dict.fromkeys(target.connection for target in staged.targets)
        if isinstance(command, PublishRun):
            if list(begun_in) != list(stores):
                raise _moved(staged, begun_in)
            done = _publish(workspace, key, stores, staged)
        elif _landed(listed[0], key, staged):
            raise _refused(command, staged, "the run's commit has landed; publish it again to finish")
        else:
            others = {name: workspace.store(workspace.connection(name)) for name in begun_in if name not in stores}
            done = _discard(workspace, key, {**stores, **others}, staged)
        workspace.history.record(workspace.project.name, done)
    return Result.ok(done)


def _publish(workspace: Workspace, key: PipelineKey, stores: Mapping[str, Store], staged: Receipt) -> Receipt:
    """The authoritative store first, then the others; those that have it already are left alone."""
    emitter = Emitter(staged.run_id, staged.pipeline, workspace.listeners, workspace.clock)
    done = staged
    for place, store in enumerate(stores.values()):
        landed = store.published(key, staged.execution_id)
        if landed is not None and landed.run_id == staged.run_id:
            done = _told(done, store, Receipt.from_dict(landed.receipt).targets)
            continue
        claim = store.claim(key, staged.run_id, staged.execution_id)
        parked = store.resume(claim, staged.run_id, emitter, workspace.state / "work" / staged.run_id)
        if parked is None:
            raise FatalError(
                Code.NOT_FOUND,
                "nothing of the run is staged any more",
                operation="publish",
                object=staged.run_id[:12],
                hint="run the pipeline again",
            )
        transaction, record = parked
        if place == 0:
            _check_current(workspace, store, record, staged)
        with emitter.during(Step.PUBLISH, store=store.name):
            # others may have written since the run was parked; what the commit says of itself must be what it does
            kept = _told(Receipt.from_dict(record.receipt), store, transaction.counts())
            made = transaction.publish(replace(record, claim=claim, receipt=kept.as_dict()))
        done = _told(done, store, made)
    landed = next(iter(stores.values())).published(key, staged.execution_id)
    if landed is not None:  # its watermark is what the commit made of it
        done = Receipt.from_dict(landed.receipt).with_(rows=done.rows, targets=done.targets)
    return done.with_(status=Status.SUCCESS, message="", published=True, ended_at=workspace.clock())


def _told(receipt: Receipt, store: Store, commits: Sequence[TableCommit]) -> Receipt:
    """The receipt with what was really done to the tables of one store."""
    made = {commit.table: commit for commit in commits if commit.connection in ("", store.name)}
    targets = tuple(
        replace(made[target.table], connection=store.name)
        if target.connection == store.name and target.table in made
        else target
        for target in receipt.targets
    )
    change = max(target.rejected for target in targets) - max(target.rejected for target in receipt.targets)
    rows = replace(
        receipt.rows,
        loaded=receipt.rows.loaded - change,
        rejected=receipt.rows.rejected + change,
        inserted=sum(target.inserted for target in targets),
        updated=sum(target.updated for target in targets),
        deleted=sum(target.deleted for target in targets),
    )
    return receipt.with_(rows=rows, targets=targets)


def _discard(workspace: Workspace, key: PipelineKey, stores: Mapping[str, Store], staged: Receipt) -> Receipt:
    emitter = Emitter(staged.run_id, staged.pipeline, workspace.listeners, workspace.clock)
    for store in stores.values():
        claim = store.claim(key, staged.run_id, staged.execution_id)
        parked = store.resume(claim, staged.run_id, emitter, workspace.state / "work" / staged.run_id)
        if parked is not None:
            parked[0].rollback()
    message = "discarded: nothing was published"
    ended = workspace.clock()
    return staged.with_(status=Status.DISCARDED, message=message, targets=(), published=False, ended_at=ended)


def _landed(store: Store, key: PipelineKey, staged: Receipt) -> bool:
    found = store.published(key, staged.execution_id)
    return found is not None and found.run_id == staged.run_id


def _check_current(workspace: Workspace, store: Store, record: LedgerRecord, staged: Receipt) -> None:
    """Refuse when a run published from the same sources since: its rows and these would overlap."""
    sources = {mark.source for mark in record.watermarks}
    for mark in store.state(record.claim.key).watermarks.values():
        if mark.source not in sources or workspace.history.status(mark.run_id) is None:
            continue
        other = workspace.history.get(workspace.project.name, mark.run_id)
        if other.status is Status.STAGED or (other.ended_at or other.started_at) > staged.started_at:
            raise FatalError(
                Code.CONFLICT,
                f"run {other.run_id[:12]} has published since from the same source, so rows could be there twice",
                operation="publish",
                object=staged.run_id[:12],
                hint=f"headgate discard {staged.run_id[:12]}, then run the pipeline again",
            )


def _moved(staged: Receipt, begun_in: Iterable[str]) -> FatalError:
    """What is staged where the pipeline has no target any more would be left behind, and told as published."""
    return FatalError(
        Code.CONFLICT,
        f"the run is staged in {', '.join(begun_in)}, and the pipeline's targets are others since",
        operation="publish",
        object=staged.run_id[:12],
        hint=f"put the targets back, or headgate discard {staged.run_id[:12]} and run the pipeline again",
    )


def _refused(command: PublishRun | DiscardRun, staged: Receipt, why: str) -> FatalError:
    return FatalError(
        Code.UNSUPPORTED,
        why,
        operation="publish" if isinstance(command, PublishRun) else "discard",
        object=staged.run_id[:12],
        hint="see: headgate runs",
    )
