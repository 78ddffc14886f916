"""Rows that stay undecoded: one statement in the source's server, bytes or none at all in between, checks in SQL."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from headgate.core.errors import Code, FatalError
from headgate.core.events import Step, shortened
from headgate.core.sites import SOURCE, Intake, Outlet, SitedSource
from headgate.execute.context import PassResult, Run
from headgate.execute.loads import open_writer
from headgate.execute.split import Tally
from headgate.io.ahead import Ahead
from headgate.plan.stages import Audit, Check, Move, Scan, Transform, Write
from headgate.sql.literals import quote_name

_log = logging.getLogger("headgate.move")
ROWS_AT_FAULT = (Code.EXTRACTION_FAILED, Code.LOAD_EXECUTION_FAILED, Code.TRANSFORMATION_FAILED, Code.UNSUPPORTED)


_PIECES = 32
"""Pieces that wait between the servers, so that neither waits for the other's every pause; some 8 MB."""


class _Undecided(Exception):  # noqa: N818 - no error: the engine does it
    """Some row must be held back, or fails the run: only the engine can say which, and keep it."""


@dataclass(frozen=True)
class _Parts:
    """The stages that a move stands for; ``before``: a pass over single rows in front of the groups."""

    before: tuple[Transform, Check] | None
    transform: Transform
    check: Check
    write: Write
    audit: Audit


def move(run: Run, stage: Move) -> bool:
    """Move the rows; False when nothing was moved, and the stages that follow must do it.

    What was found is left in ``run``: the pass's result, the answers of rules over all rows, the source's position.
    """
    if run.request.trial or run.request.replay:
        return False
    parts = _parts(run, stage)
    source = run.workspace.source(run.pipeline.source_endpoint(0))
    assert isinstance(source, SitedSource)
    assert run.window is not None
    with run.emitter.during(Step.SCAN, relation=stage.reads, object=scan_of(run, stage.reads).object):
        columns = scan_of(run, stage.reads).reads
        outlet = source.outlet(run.pipeline.sources[0], run.context, run.window, columns, stage.looked_at)
    try:
        _moved(run, stage, parts, outlet)
    except _Undecided as reason:
        _log.info("the engine takes over: %s", reason)
        _begin_again(run, parts.write.store)
        return False
    except FatalError as error:
        if error.code not in ROWS_AT_FAULT:
            raise
        _log.info("the engine takes over, because the server refused: %s", error.message)
        _begin_again(run, parts.write.store)
        return False
    finally:
        outlet.close()
    run.positions[0] = outlet.position()
    return True


def scan_of(run: Run, relation: str) -> Scan:
    """The stage that reads a relation from its source."""
    return next(scan for scan in run.plan.stages if isinstance(scan, Scan) and scan.relation == relation)


def _moved(run: Run, stage: Move, parts: _Parts, outlet: Outlet) -> None:
    with run.emitter.during(Step.STAGE, relation=stage.relation) as outcome:
        intake = open_writer(run, parts.write, run.workspace.binder().arrow(parts.transform.columns), selects=False)
        assert isinstance(intake, Intake), "a store with a site has intakes"
        asked = stage.where or stage.proofs or stage.groups is not None
        counts = counting(stage.where, stage.proofs) if asked else ""
        select = _select(stage, outlet, intake)
        outcome["query"] = shortened(outlet.statement(select))
        if stage.place == "server":
            rows, counted = intake.insert(outlet.statement(select), outlet.statement(counts) if counts else "")
        else:
            counted = outlet.rows(counts)[0] if counts else ()
            rows = intake.take(iter(Ahead(outlet.stream(select), depth=_PIECES, cancel=outlet.cancel)))
        intake.close()
        outcome["rows"] = rows
    with run.emitter.during(Step.AUDIT, relation=stage.relation):
        passes = _results(stage, parts, counted, rows)
        passes[-1].tally.noted = _noted(stage, parts, intake, rows)
        for index, sql in stage.sets:
            failed, observed = intake.rows(sql, stage.relation)[0]
            rule = parts.audit.sets[index].rule
            if int(failed or 0) and rule.action == "fail":
                raise _Undecided(f"rule {rule.name}")
            run.observed[rule.place] = (int(failed or 0), str(observed))
    run.passes += passes


def _results(stage: Move, parts: _Parts, counted: Sequence[object], rows: int) -> list[PassResult]:
    """What became of the rows of each pass: of all that there are, and where groups were made, of those."""
    seen, *dropped = [int(str(number)) for number in counted[: 1 + len(stage.where)]] or [rows]
    tally = Tally(seen=seen, good=seen - sum(dropped), measured=False)
    tally.dropped = Counter({code: count for code, count in enumerate(dropped, 1) if count})
    if stage.groups is None:
        tally.good = rows
        return [PassResult(parts.transform, parts.check, seen, tally)]
    before = [PassResult(*parts.before, seen, tally)] if parts.before is not None else []
    groups = Tally(seen=rows, good=rows, grouped=tally.good, measured=False)
    return [*before, PassResult(parts.transform, parts.check, tally.good, groups)]


def _select(stage: Move, outlet: Outlet, intake: Intake) -> str:
    """The rows as the target's server takes them, in its columns' order.

    A cast makes a new row of each, even if it changes nothing: columns that have the form already are left alone.
    """
    values, forms = dict(stage.columns), outlet.forms

    def sent(name: str, type_: str) -> str:
        value = values[name]
        return value if type_ in forms.get(value, ()) else f"CAST({value} AS {type_})"

    columns = ", ".join(f"{sent(name, type_)} AS {quote_name(name)}" for name, type_ in intake.types().items())
    return f"SELECT {columns} FROM {quote_name(SOURCE)}{stage.clauses}"


def counting(where: Sequence[str], proofs: Sequence[str]) -> str:
    """How many rows there are, and how many leave at each drop: each at the first whose condition it fails.

    Proofs are computed of each row, whether it leaves or not.

    It looks at all rows, so it fails for a value that an engine could not hold in a row that is dropped, too.
    """
    counts = ["count(*)"]
    for number, condition in enumerate(where):
        before = "".join(f"{earlier} AND " for earlier in where[:number])
        counts.append(f"count(*) FILTER (WHERE {before}NOT ({condition}))")
    counts += [f"count({proof})" for proof in proofs]
    return f"SELECT {', '.join(counts)} FROM {quote_name(SOURCE)}"


def _noted(stage: Move, parts: _Parts, intake: Intake, rows: int) -> Counter[int]:
    """Rows that break rules which only note it. Raises _Undecided for one that is held back or fails the run."""
    noted: Counter[int] = Counter()
    if not stage.checking:
        return noted
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in stage.checking)
    found = intake.rows(f"SELECT count(*), {counts} FROM {quote_name(stage.relation)}", stage.relation)[0]
    if int(found[0]) != rows:
        raise FatalError(
            Code.ACCOUNTING_FAILED,
            f"{rows} rows were copied, and {found[0]} are there",
            operation="audit",
            object=parts.write.table,
            hint="a trigger or rule of the table changes what is written; say engine: duckdb, or drop it",
        )
    for (name, action, bit), count in zip(_flags(parts), found[1:], strict=True):
        if count and action in {"fail", "quarantine"}:
            raise _Undecided(f"rule {name}")
        if bit is not None:
            noted[bit] = int(count)
    return noted


def run_object(parts: _Parts) -> str:
    return parts.write.table


def _flags(parts: _Parts) -> list[tuple[str, str, int | None]]:
    """Row rules in the order of the plan's conditions: name, action, and the bit of those that only note."""
    verdict = parts.transform.verdict
    notes = {flag.name: flag.bit for flag in verdict.notes}
    judged = {flag.name for flag in verdict.holds if flag.kind == "rule"} | notes.keys()
    return [(rule.name, rule.action, notes.get(rule.name)) for rule in parts.check.rules if rule.name in judged]


def _parts(run: Run, stage: Move) -> _Parts:
    stages = run.plan.stages
    transform = next(s for s in stages if isinstance(s, Transform) and s.relation == stage.relation)
    before = None
    if transform.reads != stage.reads:
        first = next(s for s in stages if isinstance(s, Transform) and s.relation == transform.reads)
        before = first, next(s for s in stages if isinstance(s, Check) and s.relation == first.relation)
    return _Parts(
        before,
        transform,
        next(s for s in stages if isinstance(s, Check) and s.relation == stage.relation),
        next(s for s in stages if isinstance(s, Write) and s.relation == stage.relation),
        next(s for s in stages if isinstance(s, Audit)),
    )


def _begin_again(run: Run, store: str) -> None:
    """Forget what was moved; the run goes on in a new transaction under the same claim."""
    with run.emitter.during(Step.ROLLBACK, what="moved"):
        run.transactions[store].rollback()
    with run.emitter.during(Step.BEGIN, store=store):
        run.transactions[store] = run.stores[store].begin(
            run.claims[store], run.emitter, run.workdir, durable=run.durable
        )
