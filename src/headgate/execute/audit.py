"""What must hold of a run before it may publish: every row accounted for, every rule that fails runs satisfied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from headgate.core.errors import Code, FatalError
from headgate.core.runs import CheckResult, Rows, StepCount
from headgate.core.values import plain
from headgate.execute.checks import evaluate
from headgate.execute.context import PassResult, Run
from headgate.execute.held import REJECTED
from headgate.execute.hiding import shown
from headgate.execute.loads import deletes_missing
from headgate.execute.metrics import metrics
from headgate.plan.flags import REASONS, NoteFlag
from headgate.plan.stages import Audit, Write


def audit(run: Run, stage: Audit, rejected: int) -> None:
    """Count, check and judge.

    Args:
        run: after its passes.
        stage: what to check.
        rejected: lines of files that could not be read at all.

    Raises:
        FatalError: ACCOUNTING_FAILED, ROW_ERROR, ERROR_RATE_EXCEEDED or QUALITY_CHECK_FAILED.
    """
    _account(run, rejected)
    found = evaluate(run, stage)
    run.checks = list(found.values())
    run.quality = metrics(run)
    _judge_rows(run, stage, rejected)
    _judge_rules(run, found)
    _judge_empty(run)


def _asked(run: Run, sql: str) -> tuple[Any, ...]:
    assert run.session is not None
    return run.session.rows(sql)[0]


def _account(run: Run, rejected: int) -> None:
    """Row accounting, step by step and as a whole (D13)."""
    totals: Counter[str] = Counter()
    if rejected:
        totals["quarantined"] += rejected
        run.steps.append(StepCount("source", rejected, 0, {"quarantined": rejected}))
    for result in run.passes:
        step, counts = _pass_count(result)
        step.check()
        run.steps.append(step)
        run.warnings += [f"{what} in {count} row{'s' * (count != 1)}" for what, count in step.noted.items()]
        totals.update(counts)
    run.warnings += _parted(run.passes)
    first, last = run.passes[0], run.passes[-1]
    written = {stage.relation for stage in run.plan.stages if isinstance(stage, Write)}
    beside = {result.transform.relation: result.tally.good for result in run.passes if result.transform.branch}
    totals["expanded"] -= sum(good for name, good in beside.items() if name not in written)
    run.rows = Rows(
        extracted=first.rows_in + rejected,
        loaded=last.tally.good + sum(good for name, good in beside.items() if name in written),
        **{name: totals[name] for name in _REASONS},
    )
    if run.rows.imbalance:
        raise FatalError(
            Code.ACCOUNTING_FAILED,
            f"{run.rows.imbalance} rows are unaccounted for: {run.rows}",
            operation="audit",
            object=run.pipeline.name,
            hint="nothing was published; please report this plan",
        )


def _parted(passes: Sequence[PassResult]) -> Iterator[str]:
    """Rows that were held back when rows of their lists had gone their own way already."""
    taken: list[str] = []
    for result in passes:
        count = sum(result.tally.held.values())
        if result.transform.branch:
            taken.append(result.transform.relation)
        elif taken and count:
            lists = f"rows of {', '.join(taken)} may stand there without theirs; stage: extract judges before"
            yield f"{count:,} row{'s' * (count != 1)} held back after their lists: {lists}"


_REASONS = ("expanded", "filtered", "unmatched", "quarantined", "deduplicated", "aggregated")


def _pass_count(result: PassResult) -> tuple[StepCount, Counter[str]]:
    transform, tally = result.transform, result.tally
    dropped: Counter[str] = Counter()
    for drop in transform.verdict.drops:
        dropped[drop.reason] += tally.dropped[drop.code]
    dropped["quarantined"] += sum(tally.held.values())
    expanded, rows_in = 0, 0 if transform.branch else result.rows_in
    if transform.counted != "rows":
        dropped["aggregated"] = max(rows_in - tally.seen, 0)
        expanded = max(tally.seen - rows_in, 0)
    counts = Counter({name: count for name, count in dropped.items() if count})
    noted: Counter[str] = Counter()
    for note in transform.verdict.notes:
        if tally.noted[note.bit] and (note.erred or note.action == "count"):
            noted[_noted(note)] += tally.noted[note.bit]
    step = StepCount(transform.relation, rows_in, tally.good, dict(counts), expanded, dict(noted))
    return step, Counter({**counts, "expanded": expanded})


def _noted(note: NoteFlag) -> str:
    return f"{note.name} became NULL" if note.erred else f"{note.name}: {note.message}"


def _judge_rows(run: Run, stage: Audit, rejected: int) -> None:
    """Steps may be stricter or milder than the pipeline, so each flag says whether its rows fail the run."""
    errors = rejected if run.pipeline.error_handling.on_row_error == "fail" else 0
    first, step, at = REJECTED if errors else "", run.pipeline.name, ""
    for result in run.passes:
        for flag in result.transform.verdict.holds:
            count = result.tally.held[flag.bit]
            if flag.kind == "row_error" and flag.action == "fail" and count:
                errors += count
                first, step, at = (first, step, at) if first else (flag.name, flag.step, _at(run, flag.applied))
    if errors:
        assert run.held is not None
        row = run.held.first_of(first)
        raise FatalError(
            Code.ROW_ERROR,
            f"{errors} of {run.rows.extracted} rows have values that cannot be converted or computed{at}; the first: "
            f"{_shown(row, run.plan.hidden)}{_why(row)}",
            operation="check",
            object=step,
            hint="mend the source, or set error_handling: {on_row_error: quarantine} to hold such rows back",
        )
    limit = stage.max_error_percentage if run.request.replay is None else None  # it is about deliveries
    held, erred = run.rows.quarantined, sum(result.tally.erred for result in run.passes)
    if limit is not None and run.rows.extracted and (held + erred) * 100 > limit * run.rows.extracted:
        also = f", {erred} went on with values that did not fit" if erred else ""
        raise FatalError(
            Code.ERROR_RATE_EXCEEDED,
            f"{held} of {run.rows.extracted} rows were held back{also}, more than {limit} %",
            operation="check",
            object=run.pipeline.name,
            hint="look at the rows with headgate quarantine list, or raise error_handling.max_error_percentage",
        )


def _judge_rules(run: Run, found: Mapping[int, CheckResult]) -> None:
    broken = {place: check for place, check in found.items() if _refuses(run, place, check)}
    if not broken:
        return
    assert run.held is not None
    details = []
    for place, check in broken.items():
        row = run.held.first_of(check.rule)
        sample = f", such as {_keys(check.sample[0])}" if check.sample else ""
        example = f", the first {_shown(row, run.plan.hidden)}" if row else sample
        file, line = run.pipeline.where(("quality_rules", place))
        at = f"{file}:{line}" if line else file
        count = "" if not check.counts else " (1 row" if check.failed_rows == 1 else f" ({check.failed_rows} rows"
        details.append(f"{check.rule} at {at}: {check.message}{count}{f'{example})' if count else ''}")
    raise FatalError(
        Code.QUALITY_CHECK_FAILED,
        "; ".join(details),
        operation="check",
        object=run.pipeline.name,
        hint=_advice(run, broken),
    )


def _advice(run: Run, broken: Mapping[int, CheckResult]) -> str:
    if any(check.on_fail == "quarantine" for check in broken.values()):
        way = "raise max_failed: more rows are held back than it allows"
    elif all(run.pipeline.quality_rules[place].may_hold_back for place in broken):
        way = "set on_fail: quarantine to hold such rows back"
    else:
        way = "set on_fail: warn to publish them all the same"
    return f"nothing was published; mend the rows, or {way}"


def _refuses(run: Run, place: int, check: CheckResult) -> bool:
    """Whether the run may not publish; rows that are held back are no reason, unless they are too many."""
    if check.passed:
        return False
    enforced = run.pipeline.error_handling.validation == "enforce" and run.request.replay is None
    limited = enforced and run.pipeline.quality_rules[place].max_failed is not None  # of a delivery
    return check.on_fail == "fail" or (check.on_fail == "quarantine" and limited)


def _keys(row: Mapping[str, Any]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in row.items())
    return text if len(text) <= 300 else text[:297] + "..."


def _judge_empty(run: Run) -> None:
    """A full replacement by nothing is more often a broken source than a wish."""
    for stage in () if run.request.only_check else run.plan.stages:
        if not isinstance(stage, Write):
            continue
        target = run.pipeline.targets[stage.target]
        missing = deletes_missing(run, stage)
        if missing and run.rows.quarantined:
            raise FatalError(
                Code.LOAD_EXECUTION_FAILED,
                f"{run.rows.quarantined} rows were held back, and would be taken for missing and deleted",
                operation="load",
                object=stage.table,
                hint="mend the rows, or mark deleted rows with delete_when",
            )
        rows = next(p.tally.good for p in run.passes if p.transform.relation == stage.relation)
        replaces = stage.whole or bool(stage.dated or stage.between) or missing or run.request.full_refresh
        if (
            rows == 0
            and replaces
            and not target.allow_empty
            and run.stores[stage.store].describe(stage.table) is not None
        ):
            raise FatalError(
                Code.LOAD_EXECUTION_FAILED,
                "the run has no rows, and would replace what is there by nothing",
                operation="load",
                object=stage.table,
                hint="say allow_empty: true at the target if that is meant",
            )


def _at(run: Run, step: int) -> str:
    """Where a step is written, in brackets; nothing for what the source does."""
    if step < 0:
        return ""
    file, line = run.pipeline.where(("transformations", step))
    return f" ({file}:{line})" if line else ""


def _why(row: Mapping[str, Any] | None) -> str:
    """Which step and what it expected, unless :func:`_shown` says so."""
    reasons = "; ".join((row or {}).get(REASONS) or ())
    return f" ({reasons})" if reasons and "_raw" not in (row or {}) else ""


def _shown(row: Mapping[str, Any] | None, hidden: Collection[str]) -> str:
    """A row in a message: short, values only."""
    if not row:
        return "unknown"
    reasons = "; ".join(row.get(REASONS) or ())
    if "_raw" in row:  # the engine's reason quotes the cell
        return f"{row['_file']}, line {row['_line']}" + ("" if hidden else f": {reasons}")
    told = shown(row, hidden)
    return _keys({name: plain(value) for name, value in told.items() if value is not None and name != REASONS})
