"""Runs that were staged and left: published now, or forgotten."""

from __future__ import annotations

from collections.abc import Mapping
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
        if isinstance(command, PublishRun):
            done = _publish(workspace, key, stores, staged)
        elif _landed(listed[0], key, staged):
            raise _refused(command, staged, "the run's commit has landed; publish it again to finish")
        else:
            done = _discard(workspace, key, stores, staged)
        workspace.history.record(workspace.project.name, done)
    return Result.ok(done)


def _publish(workspace: Workspace, key: PipelineKey, stores: Mapping[str, Store], staged: Receipt) -> Receipt:
    """The authoritative store first, then the others; those that have it already are left alone."""
    emitter = Emitter(staged.run_id, staged.pipeline, workspace.listeners, workspace.clock)
    done, commits = staged, dict[tuple[str, str], TableCommit]()
    for place, store in enumerate(stores.values()):
        if _landed(store, key, staged):
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
            made = transaction.publish(replace(record, claim=claim))
        commits |= {(store.name, commit.table): replace(commit, connection=store.name) for commit in made}
    landed = next(iter(stores.values())).published(key, staged.execution_id)
    if landed is not None:
        done = Receipt.from_dict(landed.receipt)
    targets = tuple(commits.get((target.connection, target.table), target) for target in done.targets)
    return done.with_(status=Status.SUCCESS, message="", targets=targets, published=True, ended_at=workspace.clock())


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


def _refused(command: PublishRun | DiscardRun, staged: Receipt, why: str) -> FatalError:
    return FatalError(
        Code.UNSUPPORTED,
        why,
        operation="publish" if isinstance(command, PublishRun) else "discard",
        object=staged.run_id[:12],
        hint="see: headgate runs",
    )
