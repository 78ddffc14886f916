"""What a crash left open is settled before anything new begins: ask the target, then finish or forget."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from headgate.config.models import Pipeline
from headgate.core.contracts import Store
from headgate.core.events import Emitter, Step
from headgate.core.ledger import Claim
from headgate.core.runs import PipelineKey, Receipt, Status
from headgate.execute.intervals import work_folder
from headgate.execute.workspace import Workspace


def recover(
    workspace: Workspace, pipeline: Pipeline, key: PipelineKey, stores: Mapping[str, Store], emitter: Emitter
) -> Receipt | None:
    """Settle runs that began and never said how they ended; the caller holds the lock, so they are dead.

    A run whose commit landed is finished (other stores rolled forward, source told, history written) and its receipt
    returned; one that did not land is marked failed, and its staging is swept by the next claim.

    Raises:
        FatalError: OUTCOME_UNKNOWN when the target cannot tell; nothing was deleted.
    """
    finished: Receipt | None = None
    authority = next(iter(stores.values()))
    state = authority.state(key)
    open_runs = {receipt.run_id: receipt for receipt in workspace.history.interrupted(key.project, key.pipeline)}
    if not open_runs:
        _relearn(workspace, key, authority, state.claimed_run, state.claimed_execution)
        return None
    for run_id, begun in open_runs.items():
        with emitter.during(Step.RECOVER, run=run_id):
            claimed = state.claimed_run == run_id
            execution = state.claimed_execution if claimed else begun.execution_id
            claims = _fence(key, stores, run_id, execution, emitter) if claimed else {}
            landed = authority.published(key, execution) if execution else None
            if landed is not None and landed.run_id == run_id:
                receipt = Receipt.from_dict(landed.receipt)
                _roll_forward(workspace, key, stores, run_id, receipt.execution_id, emitter)
                _acknowledge(workspace, pipeline, key, authority)
                finished = receipt.with_(message="finished after an interruption: its commit had landed")
                ended = finished
            else:
                forget_parked(workspace, stores, claims, emitter)
                error = {
                    "code": "INTERRUPTED",
                    "operation": "run",
                    "object": key.pipeline,
                    "message": "the run was interrupted before it published; nothing of it is visible",
                    "hint": "",
                }
                ended = begun.with_(status=Status.FAILED, ended_at=emitter.clock(), error=error)
            # the history comes last: it alone knows that there is something to clean up
            shutil.rmtree(work_folder(workspace, run_id), ignore_errors=True)
            workspace.history.record(key.project, ended)
    return finished


def _fence(
    key: PipelineKey, stores: Mapping[str, Store], run_id: str, execution_id: str, emitter: Emitter
) -> dict[str, Claim]:
    """Claim in the dead run's name before its outcome is asked for: a commit of it that is still under way is over."""
    with emitter.during(Step.CLAIM, run=run_id):
        return {name: store.claim(key, run_id, execution_id) for name, store in stores.items()}


def forget_parked(
    workspace: Workspace, stores: Mapping[str, Store], claims: Mapping[str, Claim], emitter: Emitter
) -> None:
    """What a run parked and never told anybody of is of no use: sweeps spare parked runs, so it goes here."""
    for name, claim in claims.items():
        parked = stores[name].resume(claim, claim.run_id, emitter, workspace.state / "work" / claim.run_id)
        if parked is not None:
            parked[0].rollback()


def _relearn(workspace: Workspace, key: PipelineKey, store: Store, run_id: str, execution_id: str) -> None:
    """A lost history learns the last published run again from the target."""
    if not execution_id or workspace.history.status(run_id) is not None:
        return
    landed = store.published(key, execution_id)
    if landed is not None and landed.run_id == run_id:
        workspace.history.record(key.project, Receipt.from_dict(landed.receipt))


def _roll_forward(
    workspace: Workspace,
    key: PipelineKey,
    stores: Mapping[str, Store],
    run_id: str,
    execution_id: str,
    emitter: Emitter,
) -> None:
    """The authoritative store has decided: what the others staged for that run is published now."""
    from headgate.execute.publish import roll_forward

    for store in list(stores.values())[1:]:
        if store.published(key, execution_id) is not None:
            continue
        claim = store.claim(key, run_id, execution_id)
        with emitter.during(Step.FORWARD, store=store.name):
            roll_forward(store, claim, run_id, emitter, workspace.state / "work" / run_id)


def _acknowledge(workspace: Workspace, pipeline: Pipeline, key: PipelineKey, authority: Store) -> None:
    watermarks = authority.state(key).watermarks
    with_positions = [(read, pipeline.source_endpoint(index)) for index, read in enumerate(pipeline.sources)]
    for read, endpoint in with_positions:
        source = workspace.source(endpoint)
        mark = watermarks.get(source.identity(read)[0])
        if mark is not None:
            source.acknowledge(read, mark.position)
