"""How a run ends: its receipt with what came of it, what is rolled back, and what is closed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from headgate.core.errors import Code, FatalError, HeadgateError, fault, swallowed_interrupt
from headgate.core.events import Step
from headgate.core.runs import Receipt, Status
from headgate.execute.context import Run
from headgate.execute.hiding import HIDDEN
from headgate.execute.receipts import receipt
from headgate.execute.recover import forget_parked
from headgate.io.ledger import fenced


class RunFailed(Exception):  # noqa: N818 - it carries a receipt to the one place that returns it
    """How a failed run leaves: its receipt, and the error in it."""

    def __init__(self, receipt: Receipt, error: HeadgateError) -> None:
        super().__init__(str(error))
        self.receipt, self.error = receipt, error


def skipped(run: Run, message: str) -> Receipt:
    """A receipt of its own, kept in the history like any other."""
    done = receipt(run, Status.SKIPPED, published=False, message=message)
    with run.emitter.during(Step.RECORD):
        run.workspace.history.record(run.key.project, done)
    return done


def succeeded(run: Run) -> Receipt:
    """The receipt of a run that nothing stopped: published, parked, checked only, limited, or done before."""
    if not run.claims:
        return skipped(run, run.warnings[-1])
    if run.parked:
        status, message = Status.STAGED, f"staged, not published; headgate publish {run.run_id[:12]}"
    elif run.request.only_check:
        status, message = Status.SUCCESS, "checked: nothing was loaded"
    elif run.request.limit is not None:
        status, message = Status.SUCCESS, f"limited to {run.request.limit} rows: nothing was published"
    else:
        status, message = Status.SUCCESS, ""
        most = run.pipeline.sources[0].max_records
        if most is not None and run.rows.extracted >= most:
            run.warnings.append(f"max_records: the first {most} rows were read, and there may be more")
    done = receipt(run, status, published=run.published, message=message)
    return _recorded(run, _with_evidence(run, done) if run.request.only_check else done)


def _recorded(run: Run, done: Receipt) -> Receipt:
    """Write the outcome into the history; it stands whether or not the history can be written."""
    try:
        with run.emitter.during(Step.RECORD, status=done.status.value):
            run.workspace.history.record(run.key.project, done)
    except HeadgateError as lost:
        return done.with_(warnings=(*done.warnings, f"the history could not be written: {lost.message}"))
    return done


def interrupted(pipeline: str, *, published: bool = False) -> FatalError:
    """A Ctrl-C as the run's error; after the commit it says that nothing is lost."""
    return FatalError(
        Code.INTERRUPTED,
        "the run was interrupted after its commit" if published else "the run was interrupted",
        operation="run",
        object=pipeline,
        hint="it is published; the next run does what is left to do"
        if published
        else "nothing was published; run it again",
    )


def unexpected(error: Exception, pipeline: str) -> FatalError:
    """An error that nobody foresaw, as one that people can report; a Ctrl-C that DuckDB took is none."""
    if swallowed_interrupt(error):
        return interrupted(pipeline)
    return fault(error, "run", pipeline)


def ended(run: Run, error: HeadgateError) -> RunFailed:
    """Roll back, and find out what really happened if the error came while publishing."""
    error.of_pipeline(run.pipeline.name)
    if run.gathered is not None and run.plan.hidden:
        error.hide(HIDDEN)
    failure, published = error, run.published
    if run.publishing and not published and error.code is not Code.FENCED:
        try:
            landed = run.authority.published(run.key, run.execution_id)
            published = landed is not None and landed.run_id == run.run_id
        except HeadgateError as unknown:
            failure = FatalError(
                Code.OUTCOME_UNKNOWN,
                f"{error.message}; and the target cannot say whether the commit landed: {unknown.message}",
                operation="publish",
                object=run.pipeline.name,
                hint="nothing was deleted; run again when the target answers, and it will be settled",
            )
    if not published and _overtaken(run, failure):
        failure = fenced(run.claims[run.authority.name])
    if published and failure.code is Code.INTERRUPTED:
        failure = interrupted(run.pipeline.name, published=True)
    unknown_outcome = failure.code is Code.OUTCOME_UNKNOWN
    if not unknown_outcome and not published:
        _roll_back(run)
    match failure.code:
        case Code.OUTCOME_UNKNOWN:
            status = Status.UNKNOWN
        case Code.QUALITY_CHECK_FAILED:
            status = Status.REFUSED
        case _:
            status = Status.PUBLISHING if published else Status.FAILED
    done = receipt(run, status, published=published).with_(error=failure.as_dict())
    if not published and not unknown_outcome:
        done = _with_evidence(run, done)
    done = _recorded(run, done)
    return RunFailed(done, failure)


def _overtaken(run: Run, failure: HeadgateError) -> bool:
    """Whether a newer run has claimed: then it took away what this one missed, whatever the error was."""
    claim = run.claims.get(run.authority.name)
    if claim is None or failure.code is Code.OUTCOME_UNKNOWN:
        return False
    try:
        return run.authority.state(run.key).epoch != claim.epoch
    except HeadgateError:
        return False


def _roll_back(run: Run) -> None:
    followers = {name: claim for name, claim in run.claims.items() if name != run.authority.name}
    undoing: list[Callable[[], None]] = [transaction.rollback for transaction in run.transactions.values()]
    undoing.append(partial(forget_parked, run.workspace, run.stores, followers, run.emitter))
    with run.emitter.during(Step.ROLLBACK):
        for undo in undoing:
            try:
                undo()
            except HeadgateError as left:  # the next claim sweeps it; the first error is the one to show
                run.warnings.append(f"leftovers stay until the next run: {left.message}")


def _with_evidence(run: Run, done: Receipt) -> Receipt:
    """A refused run's rows are evidence: kept beside the history, not replayable."""
    if run.held is None:
        return done.with_(targets=())
    from headgate.runs.evidence import keep_evidence

    try:
        run.held.close()
        entries = [entry for status in ("held", "logged", "evidence") for entry in run.held.entries(status)]
        kept = keep_evidence(run.workspace.state / "evidence", entries)
    except HeadgateError as lost:
        return done.with_(targets=(), warnings=(*done.warnings, f"the evidence could not be kept: {lost.message}"))
    return done.with_(targets=(), quarantine=tuple(kept))


def close(run: Run) -> None:
    """Release engine, scans and the work folder, whatever happened; may be called twice."""
    while run.scans:
        with suppress(HeadgateError):
            run.scans.pop().close()
    if run.session is not None:
        run.session.close()
        run.session = None
    shutil.rmtree(run.workdir, ignore_errors=True)
