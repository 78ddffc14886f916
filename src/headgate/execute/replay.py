"""Rows that were held back re-enter the plan at the step that held them."""

from __future__ import annotations

import re

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import QuarantineEntry
from headgate.execute.context import Run
from headgate.execute.gather import Gathered, gather, relations_of
from headgate.execute.held import REJECTED, SURPLUS, held_batches
from headgate.execute.mending import mending
from headgate.plan.finish import unique_names
from headgate.plan.flags import REASONS
from headgate.plan.inputs import Resume

BESIDE = ("_file", "_line", "_raw", SURPLUS)
"""What is kept of a line beside its cells."""


def entry_of(run: Run) -> QuarantineEntry:
    """The entry to replay. Raises NOT_FOUND, or UNSUPPORTED when it cannot be replayed."""
    wanted = run.request.replay
    for entry in run.authority.quarantine(run.key.project):
        if entry.id == wanted and entry.pipeline == run.pipeline.name:
            if entry.status != "held":
                raise FatalError(
                    Code.UNSUPPORTED, f"the entry is {entry.status}", operation="replay", object=entry.id,
                    hint="see: headgate quarantine list",
                )  # fmt: skip
            if not entry.replayable and entry.rule == REJECTED:
                raise FatalError(
                    Code.UNSUPPORTED,
                    "these lines could not be taken apart into the columns, so a replay would make up values",
                    operation="replay",
                    object=entry.id,
                    hint="mend them in the file and have it read again, or discard them here",
                )
            if not entry.replayable:
                raise FatalError(
                    Code.UNSUPPORTED,
                    "an aggregate follows the step that held these rows back, so adding them later would be wrong",
                    operation="replay",
                    object=entry.id,
                    hint="mend the source and run again with --full-refresh or --force",
                )
            return entry
    raise FatalError(
        Code.NOT_FOUND, "no such entry", operation="replay", object=str(wanted), hint="see: headgate quarantine list"
    )


def gather_replay(run: Run) -> Gathered:
    """The plan from the step that held the rows back, over the rows as they were held."""
    entry = entry_of(run)
    for target in run.pipeline.targets:
        if target.mode in ("overwrite", "snapshot"):
            raise FatalError(
                Code.UNSUPPORTED,
                "a replay would replace the whole table by the rows that were held back",
                operation="replay",
                object=target.table,
                hint="run the pipeline again instead",
            )
    first = next(held_batches(run.authority, entry), None)
    if first is None:
        raise FatalError(Code.NOT_FOUND, "the entry has no rows", operation="replay", object=entry.id)
    schema = first.schema
    if SURPLUS in schema.names and run.request.mend is None:
        raise FatalError(
            Code.UNSUPPORTED,
            f"these lines have more cells than there are columns, and a replay would lose those in {SURPLUS}",
            operation="replay",
            object=entry.id,
            hint=f"say which cells count: headgate quarantine mend {entry.id} --set COLUMN=EXPRESSION",
        )
    beside = set(BESIDE) if entry.rule == REJECTED else set()
    binder = run.workspace.binder()
    columns, mend_sql = [item for item in binder.columns(schema) if item.name != REASONS], ""
    held = tuple(item for item in columns if item.name not in beside)
    read = [item.name for item in held]
    if run.request.mend is not None:
        read = [item.name for item in columns]
        mend_sql, held = mending(run.request.mend, held, binder, [item for item in columns if item.name in beside])
    casts = _casts(run, held) if entry.step < 0 else {}
    resume = _resume(run, entry)
    found = gather(run.workspace, run.pipeline, run.context, run.state, resume=resume, held=held, casts=casts)
    found.mending, found.held = mend_sql, tuple(read)
    return found


def _resume(run: Run, entry: QuarantineEntry) -> Resume:
    """Where the rows go on: at the step that held them, which may have another place by now.

    Raises:
        FatalError: PLAN_CHANGED when that step is not there, or cannot be told from others: one would be left out or
            done twice.
    """
    said = re.fullmatch(r"(rules|step):(.*?)(?:, -?\d+ of (\d+) steps)?", entry.held_at, re.DOTALL)
    at_rules = said is not None and said[1] == "rules"
    at = entry.step - 1 if at_rules else entry.step
    if said is None or at < 0:
        return Resume(entry.step, at_rules)
    steps, name = run.pipeline.transformations, said[2]
    taken = {relation.name for relation in relations_of(run.workspace, run.pipeline)}
    names = unique_names([step.name or step.type for step in steps], taken)
    as_many = said[3] in (None, str(len(steps)))
    if name in names:
        found = names.index(name)
        alike = [step for step in steps if (step.name or step.type) == (steps[found].name or steps[found].type)]
        if len(alike) == 1 or as_many:
            return Resume(found + 1 if at_rules else found, at_rules)
    elif as_many:  # another step took its place
        return Resume(entry.step, at_rules)
    raise FatalError(
        Code.PLAN_CHANGED,
        f'the rows were held at the step "{name}", and the pipeline has '
        + ("several steps of that kind, and more or fewer steps than then" if name in names else "no such step now"),
        operation="replay",
        object=entry.id,
        hint="put the steps back for the replay, or discard the entry and read the rows again with --full-refresh;"
        " steps that have a name: are found wherever they stand",
    )


def _casts(run: Run, held: tuple[Column, ...]) -> dict[str, str]:
    """Raw text is cast to the types that the source's columns truly have."""
    relation = relations_of(run.workspace, run.pipeline)[0]
    source = run.workspace.source(relation.endpoint)
    name, _ = source.identity(relation.read)
    known = run.state.watermarks.get(name)
    schema = source.schema(relation.read, run.context, known.position if known else None)
    binder = run.workspace.binder()
    true = {c.name: schema.casts.get(c.name, c.type) for c in binder.columns(schema.raw)}
    return {c.name: true[c.name] for c in held if c.name in true and true[c.name] != c.type}
