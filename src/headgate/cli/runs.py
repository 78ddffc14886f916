"""Runs: do one, publish or forget a staged one, look at what was done."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.face import Face

if TYPE_CHECKING:
    from headgate.commands.handle import AnyCommand
    from headgate.commands.models import RunPipeline
    from headgate.config.models import Pipeline
    from headgate.core.results import Result
    from headgate.execute.workspace import Workspace

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or how it begins.")]


def run(
    face: Face,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Pipelines.", show_default=False)] = None,
    date: Annotated[str | None, typer.Option(metavar="DAY", help="The day that the run is for.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the interval that the run is for.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End of the interval, exclusive.")] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Replace data and watermark in one commit.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(metavar="ROWS", help="Try it on so many rows; publishes nothing.", min=1)
    ] = None,
    no_publish: Annotated[bool, typer.Option("--no-publish", help="Stage everything, publish later or never.")] = False,
    branch: Annotated[str | None, typer.Option(metavar="NAME", help="Stage it under this name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Do an interval again that is done.")] = False,
    select: Annotated[
        list[str] | None, typer.Option(metavar="tag:TAG", help="Pipelines by tag, such as tag:daily.")
    ] = None,
) -> None:
    """Run pipelines: publish in one commit, or nothing."""
    from headgate.commands.models import RunPipeline

    with face.listening() as listeners, face.workspace(listeners) as workspace:
        chosen = selected(workspace, names or (), select or ())
        commands = {
            name: RunPipeline(
                pipeline=name,
                date=date,
                start=start,
                end=end,
                full_refresh=full_refresh,
                limit=limit,
                publish=not no_publish,
                branch=branch,
                force=force,
                variables=dict(face.variables),
            )
            for name in chosen
        }
        results = _in_order(workspace, commands)
    finish(face, list(results.values()), alone=len(names or ()) == 1 and not select)


def _in_order(workspace: Workspace, commands: dict[str, RunPipeline]) -> dict[str, Result[Any]]:
    """Run each; what depends on one that failed is not begun, the others go on."""
    from headgate.commands.handle import handle
    from headgate.core.errors import Code, FatalError
    from headgate.core.results import Result

    results: dict[str, Result[Any]] = {}
    for name, command in commands.items():
        failed = [other for other in workspace.project.pipelines[name].depends_on if _failed(results, other)]
        if failed:
            error = FatalError(
                Code.UPSTREAM_FAILED,
                f"{', '.join(failed)} did not succeed, so this run was not begun",
                operation="run",
                object=name,
                hint="mend the first failure and run again",
            )
            results[name] = Result.fail(error)
            continue
        results[name] = handle(command, workspace)
        failure = results[name].failure
        if failure is not None and failure.code is Code.INTERRUPTED:
            break
    return results


def _failed(results: dict[str, Result[Any]], name: str) -> bool:
    return name in results and results[name].is_failure


def selected(workspace: Workspace, names: Sequence[str], tags: Iterable[str]) -> list[str]:
    """The pipelines named and those with a tag, each once, every one after those that it depends on.

    Raises:
        FatalError: USAGE when nothing is named; NOT_FOUND for an unknown pipeline or tag.
    """
    from headgate.core.errors import Code, FatalError, nearest

    pipelines = workspace.project.pipelines
    chosen = [workspace.project.pipeline(name).name for name in names]
    for text in tags:
        tag = text.removeprefix("tag:")
        found = [name for name, pipeline in pipelines.items() if tag in pipeline.tags]
        if not found:
            known = {tag for pipeline in pipelines.values() for tag in pipeline.tags}
            raise FatalError(
                Code.NOT_FOUND,
                f'no pipeline has the tag "{tag}"',
                operation="select",
                object=text,
                hint=nearest(tag, known) or "tags: [daily] in a pipeline gives it one",
            )
        chosen += found
    if not chosen:
        raise FatalError(
            Code.USAGE,
            "no pipeline is named",
            operation="run",
            hint="known: " + ", ".join(pipelines) if pipelines else "write one to pipelines/",
        )
    return _after_dependencies(pipelines, dict.fromkeys(chosen))


def _after_dependencies(pipelines: Mapping[str, Pipeline], chosen: Iterable[str]) -> list[str]:
    wanted = list(chosen)
    done: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        for other in pipelines[name].depends_on:
            if other in wanted:
                visit(other)
        done.append(name)

    for name in wanted:
        visit(name)
    return done


def finish(face: Face, results: Sequence[Result[Any]], *, alone: bool) -> None:
    """Print receipts and errors; leave with the status of the first failure."""
    from headgate.cli.receipts import show
    from headgate.core.errors import exit_status

    if face.json:
        for result in results:
            if result.failure is not None:
                face.trace(result.failure)
        documents = [_document(result) for result in results]
        face.document(documents[0] if alone else documents)
    for result in results:
        if face.json:
            continue
        if result.value is not None and not (face.quiet and not result.is_failure):
            told = result.failure is not None and sys.stdout.isatty() and sys.stderr.isatty()
            show(face, result.value, error=not told)
        if result.failure is not None:
            face.tell(result.failure)
    failures = [result.failure for result in results if result.failure is not None]
    if failures:
        raise typer.Exit(exit_status(failures[0].code))


def _document(result: Result[Any]) -> dict[str, Any]:
    """A run's receipt, with its error if it has one; only the error of a run that never began."""
    if result.value is not None:
        document: dict[str, Any] = result.value.as_dict()
        return document
    assert result.failure is not None
    return {"error": result.failure.as_dict()}


def publish(face: Face, run_id: RunArgument) -> None:
    """Publish a run that was staged with --no-publish."""
    from headgate.commands.models import PublishRun

    _do(face, PublishRun(run_id=run_id))


def discard(face: Face, run_id: RunArgument) -> None:
    """Forget what a staged run holds."""
    from headgate.commands.models import DiscardRun

    _do(face, DiscardRun(run_id=run_id))


def _do(face: Face, command: AnyCommand) -> None:
    from headgate.commands.handle import handle

    with face.listening() as listeners, face.workspace(listeners) as workspace:
        result = handle(command, workspace)
    finish(face, [result], alone=True)


def runs(
    face: Face,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Pipelines; default all.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="At most so many.", min=1)] = 20,
) -> None:
    """List what was run, newest first."""
    from headgate.cli.receipts import listed
    from headgate.queries.history import runs as query

    with face.workspace() as workspace:
        receipts = query(workspace, names or (), limit)
    if face.json:
        face.document([receipt.as_dict() for receipt in receipts])
    elif receipts:
        listed(face, receipts)
    else:
        face.line("nothing was run yet")


def show(face: Face, run_id: RunArgument) -> None:
    """Show the receipt of one run."""
    from headgate.cli.receipts import show as print_receipt
    from headgate.queries.history import show as query

    with face.workspace() as workspace:
        receipt = query(workspace, run_id)
    if face.json:
        face.document(receipt.as_dict())
        return
    print_receipt(face, receipt)
    for step in receipt.steps:
        dropped = "".join(f", {count:,} {why}" for why, count in step.dropped.items())
        face.line(f"  {'step':<12}{step.step}: {step.rows_in:,} in{dropped}, {step.rows_out:,} out")
    if receipt.error and receipt.error.get("hint"):
        face.line(f"  {'hint':<12}{receipt.error['hint']}")
