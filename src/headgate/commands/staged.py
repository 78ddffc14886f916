"""Runs that were staged and left: published now, or forgotten."""

from __future__ import annotations

from typing import Any

from headgate.commands.models import DiscardRun, PublishRun
from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter, Step
from headgate.core.results import Result
from headgate.core.runs import Receipt, Status
from headgate.execute.workspace import Workspace


def settle(command: PublishRun | DiscardRun, workspace: Workspace) -> Result[Any]:
    """Publish or discard a staged run under a new claim; the value is its receipt."""
    staged = workspace.history.get(workspace.project.name, command.run_id)
    if staged.status is not Status.STAGED:
        raise FatalError(
            Code.UNSUPPORTED,
            f"the run is {staged.status.value}, not staged",
            operation="publish" if isinstance(command, PublishRun) else "discard",
            object=staged.run_id[:12],
            hint="see: headgate runs",
        )
    pipeline = workspace.project.pipeline(staged.pipeline)
    key = workspace.key(pipeline.name)
    stores = workspace.stores_of(pipeline)
    emitter = Emitter(staged.run_id, pipeline.name, workspace.listeners, workspace.clock)
    with stores[0].lock(key):
        done = staged
        for store in {store.name: store for store in stores}.values():
            claim = store.claim(key, staged.run_id, staged.execution_id)
            workdir = workspace.state / "work" / staged.run_id
            parked = store.resume(claim, staged.run_id, emitter, workdir)
            if parked is None:
                raise FatalError(
                    Code.NOT_FOUND,
                    "nothing of the run is staged any more",
                    operation="publish",
                    object=staged.run_id[:12],
                    hint="run the pipeline again",
                )
            transaction, record = parked
            if isinstance(command, PublishRun):
                with emitter.during(Step.PUBLISH, store=store.name):
                    transaction.publish(record)
                receipt = Receipt.from_dict(record.receipt)
                done = receipt.with_(status=Status.SUCCESS, published=True, ended_at=workspace.clock())
            else:
                transaction.rollback()
                done = staged.with_(status=Status.DISCARDED, published=False)
        workspace.history.record(workspace.project.name, done)
    return Result.ok(done)
