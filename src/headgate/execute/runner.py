"""How a run goes: lock, recover, probe, plan, interpret. How it ends is in `ending`."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

from headgate.config.models import Pipeline
from headgate.core.collection import uncollected
from headgate.core.contracts import Store, Window
from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Emitter, Step
from headgate.core.runs import PipelineKey, Receipt, Status, execution_id
from headgate.execute.context import Run, RunRequest, state_to_read
from headgate.execute.ending import RunFailed, close, ended, interrupted, skipped, succeeded, unexpected
from headgate.execute.intervals import read_context, work_folder
from headgate.execute.parameters import parameters_told
from headgate.execute.positions import forgotten, position
from headgate.execute.prepare import prepare
from headgate.execute.receipts import receipt
from headgate.execute.recover import recover
from headgate.execute.workspace import Workspace


def run_pipeline(workspace: Workspace, pipeline: Pipeline, request: RunRequest) -> Receipt:
    """Run a pipeline once, trying again on passing faults as its retry policy says.

    Returns:
        The receipt: success, staged or skipped.

    Raises:
        RunFailed: with the receipt of a run that failed, was refused, or whose outcome is unknown.
        HeadgateError: when no run began (locked, configuration).
    """
    run_id = uuid.uuid4().hex
    key = workspace.key(pipeline.name)
    emitter = Emitter(run_id, pipeline.name, workspace.listeners, workspace.clock)
    stores = {store.name: store for store in workspace.stores_of(pipeline)}
    authority = next(iter(stores.values()))
    with emitter.during(Step.RUN), ExitStack() as held:
        with emitter.during(Step.LOCK), _before_it_began(workspace, key, emitter):
            held.enter_context(authority.lock(key))
        return _with_retries(workspace, pipeline, request, key, run_id, emitter, stores)


def _with_retries(
    workspace: Workspace,
    pipeline: Pipeline,
    request: RunRequest,
    key: PipelineKey,
    run_id: str,
    emitter: Emitter,
    stores: Mapping[str, Store],
) -> Receipt:
    if pipeline.error_handling.retry.max_attempts == 1:
        return _attempt(workspace, pipeline, request, key, run_id, emitter, stores)
    from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

    policy = pipeline.error_handling.retry

    def wait(state: RetryCallState) -> float:
        grown = policy.base.total_seconds() * policy.factor ** (state.attempt_number - 1)
        return min(grown, policy.cap.total_seconds()) * (1 + random.uniform(0, policy.jitter))  # noqa: S311 - no secret

    attempts = Retrying(
        stop=stop_after_attempt(policy.max_attempts),
        wait=wait,
        retry=retry_if_exception(
            lambda error: isinstance(error, RunFailed) and isinstance(error.error, RetriableError)
        ),
        reraise=True,
    )
    for attempt in attempts:
        with attempt:
            number = attempt.retry_state.attempt_number
            current = run_id if number == 1 else uuid.uuid4().hex
            return _attempt(workspace, pipeline, request, key, current, emitter, stores)
    raise AssertionError("tenacity re-raises the last error")


def _attempt(
    workspace: Workspace,
    pipeline: Pipeline,
    request: RunRequest,
    key: PipelineKey,
    run_id: str,
    emitter: Emitter,
    stores: Mapping[str, Store],
) -> Receipt:
    emitter.run_id = run_id
    with _before_it_began(workspace, key, emitter):
        finished = recover(workspace, pipeline, key, stores, emitter)
        state = next(iter(stores.values())).state(key)
    run = Run(
        workspace,
        pipeline,
        request,
        key,
        run_id,
        emitter.clock(),
        emitter,
        work_folder(workspace, run_id),
        stores,
        state,
        read_context(
            workspace,
            run_id,
            request.interval,
            {**pipeline.variables, **request.variables},
            on_news=lambda: prepare(workspace.registry, pipeline),
            pipeline=pipeline.name,
            trial=request.trial,
        ),
    )
    try:
        early = _prepare(run, finished)
        if early is not None:
            return early
        _execute(run)
        if not request.only_check:  # its evidence is in the work folder
            close(run)
        return succeeded(run)
    except KeyboardInterrupt:
        raise ended(run, interrupted(pipeline.name)) from None
    except HeadgateError as error:
        raise ended(run, error) from error
    except Exception as error:
        raise ended(run, unexpected(error, pipeline.name)) from error
    finally:
        close(run)


@contextmanager
def _before_it_began(workspace: Workspace, key: PipelineKey, emitter: Emitter) -> Iterator[None]:
    """A run that cannot even begin, because its target does not answer, is an outcome that the history keeps too."""
    started = emitter.clock()
    try:
        yield
    except HeadgateError as error:
        error.of_pipeline(key.pipeline)
        if error.code is Code.LOCKED:
            raise
        status = Status.UNKNOWN if error.code is Code.OUTCOME_UNKNOWN else Status.FAILED
        done = Receipt(emitter.run_id, "", key.pipeline, status, started, emitter.clock(), error=error.as_dict())
        with suppress(HeadgateError):  # the run's own error is the one to show
            workspace.history.record(key.project, done)
        raise RunFailed(done, error) from error


def _prepare(run: Run, finished: Receipt | None) -> Receipt | None:
    """Fix the window and derive the execution; a receipt if there is nothing to do."""
    if run.request.replay:
        run.execution_id = execution_id(run.key, {"replay": run.request.replay})
        return None
    with run.emitter.during(Step.PROBE) as outcome:
        run.window = _probe(run)
        outcome["new"] = run.window is not None and not run.window.idle
    if run.window is None:
        return skipped(run, "nothing new")
    run.warnings += run.window.warnings
    if run.window.idle:
        if run.request.publish and run.window.high != (run.window.since or {}):
            from headgate.execute.publish import keep_position

            keep_position(run, run.window.high)
        return skipped(run, "nothing new")
    if run.window.identity is None and finished is not None and not run.request.force:
        return finished
    run.execution_id = _execution(run)
    return None


def _probe(run: Run) -> Window | None:
    read = run.pipeline.sources[0]
    source = run.workspace.source(run.pipeline.source_endpoint(0))
    since = None
    mark = run.state.watermarks.get(source.identity(read)[0])
    run.reconciles = forgotten(source, read, run.state.watermarks) is not None
    if run.request.full_refresh or run.reconciles:
        run.context = replace(run.context, given_up=mark.position if mark else None)
    elif not run.request.trial:  # a trial reads from the start
        since = position(source, read, state_to_read(run).watermarks)
    with parameters_told(read):
        return source.probe(read, run.context, since)


def _execution(run: Run) -> str:
    assert run.window is not None
    interval = run.request.interval
    identity: dict[str, object]
    if run.request.trial or run.request.full_refresh:
        identity = {"run": run.run_id}
    elif run.window.identity is not None:
        identity = {"window": run.window.identity}
    elif interval is not None:
        identity = {"start": interval.start, "end": interval.end}
    else:
        identity = {"run": run.run_id}
    return execution_id(run.key, identity)


def _execute(run: Run) -> None:
    with uncollected():
        from headgate.execute.gather import check_tables, gather
        from headgate.execute.interpret import Interpreter

    with uncollected(), run.emitter.during(Step.PLAN):
        check_tables(run.workspace, run.pipeline)
        if run.request.replay:
            from headgate.execute.replay import gather_replay

            run.gathered = gather_replay(run)
        else:
            run.gathered = gather(run.workspace, run.pipeline, run.context, state_to_read(run), window=run.window)
    done = run.authority.published(run.key, run.execution_id)
    while done is not None and _read_again(run):
        run.execution_id = execution_id(run.key, {"execution": run.execution_id, "after": done.run_id})
        done = run.authority.published(run.key, run.execution_id)
    if done is not None:
        if not run.request.force:
            _already_done(run, done.run_id, done.plan_hash)
            return
        run.replaces = done.run_id
    begun = receipt(run, Status.RUNNING, published=False)
    with run.emitter.during(Step.RECORD, status="running"):
        run.workspace.history.record(run.key.project, begun.with_(ended_at=None))
    Interpreter(run).interpret()


def _read_again(run: Run) -> bool:
    """Whether a window that was published is to be read once more.

    Its commit moved the watermark past it. That the probe found it again means that somebody set the watermark back,
    or that a file has its old content back: both ask for the rows, and neither is the same work started twice.
    """
    request = run.request
    return not (request.interval or request.force or request.replay) and run.window is not None


def _already_done(run: Run, first: str, plan_hash: str) -> None:
    if plan_hash != run.plan.hash:
        raise FatalError(
            Code.PLAN_CHANGED,
            f"run {first[:12]} did this interval under another plan",
            operation="run",
            object=run.pipeline.name,
            hint="--force does it again under the plan as it is now",
        )
    run.warnings.append(f"already done by run {first}")
