"""Rules are evaluated: those judged row by row from the tallies, those about all rows by what the plan compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlglot import parse_one

from headgate.core.contracts import Previews, SourceSchema
from headgate.core.contracts import Scan as OpenScan
from headgate.core.engines import Column, EngineSession
from headgate.core.errors import Code, FatalError
from headgate.core.models import RuleOptions
from headgate.core.runs import CheckResult
from headgate.core.values import plain, row_values
from headgate.execute.context import PassResult, Run
from headgate.execute.distinct import Broken, FailingRows, failing
from headgate.execute.hiding import HIDDEN, shown
from headgate.execute.remembered import comparable, remembered
from headgate.execute.split import SAMPLE
from headgate.execute.unrepeated import unrepeated
from headgate.plan.checks import CallCheck, CountCheck, MeasureCheck, Preview, Rule, SetCheck, TableCheck
from headgate.plan.flags import NULLS, NUMBER
from headgate.plan.lineage import origin
from headgate.plan.stages import Audit, Keep, Write
from headgate.sql.literals import quote_name
from headgate.sql.shapes import UNREPEATED, Judgement, Measured, StepInput

ENGINE_ROWS = 32_768
_UNEVALUABLE = {Code.TRANSFORMATION_FAILED, Code.PLAN_INVALID, Code.CONFIG_INVALID, Code.EXTRACTION_FAILED}
"""Errors of one rule; others are those of the run."""


def evaluate(run: Run, stage: Audit) -> dict[int, CheckResult]:
    """The result of every rule by its place; a rule that cannot be evaluated is a violation."""
    found = Results(run)
    for rule in stage.skipped:
        found.add(CheckResult(rule.name, rule.severity, True, on_fail=rule.action, kind=rule.kind, stage=rule.gate,
                              skipped=True, evaluated=False, message="skipped: it is switched off"), rule)  # fmt: skip
    found.rows()
    for preview in stage.previews:
        _open(run, preview)
        found.shown.add(preview.relation)
    for check in stage.sets:
        with found.evaluating(check.rule):
            found.set(check)
    for call in stage.calls:
        with found.evaluating(call.rule):
            found.call(call)
    spools = [*(check.spool for check in stage.measures), *(check.spool for check in stage.counts)]
    for spool in dict.fromkeys(spools):
        found.spool(
            spool,
            [check for check in stage.measures if check.spool == spool],
            [check for check in stage.counts if check.spool == spool],
        )
    for table in stage.tables:
        with found.evaluating(table.rule):
            found.table(table)
    run.failing = failing(run, found.broken)
    return dict(sorted(found.results.items()))


class Results:
    """Results so far, by the rule's place in the pipeline."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.results: dict[int, CheckResult] = {}
        self.broken: list[Broken] = []
        self.shown: set[str] = set()
        """Relations that are tables as they will be, of which no pass has counted the rows."""
        self._past: list[CheckResult] | None = None

    @property
    def session(self) -> EngineSession:
        """The engine; a run whose rows a server moved has none, and asks for none."""
        assert self.run.session is not None
        return self.run.session

    def add(self, result: CheckResult, rule: Rule) -> None:
        """Take a result; the worse one stays where a rule is about several tables."""
        before = self.results.get(rule.place)
        if before is None or (before.passed and not result.passed):
            self.results[rule.place] = result

    def result(
        self,
        rule: Rule,
        failed: int,
        judged: int,
        observed: str = "",
        sample: Sequence[Mapping[str, Any]] = (),
        **more: Any,
    ) -> None:
        """Judge a count of failing rows by what the rule allows."""
        options = self.options(rule)
        passed = failed == 0 or options.tolerance.allows(failed, judged)
        hidden = {name.lower() for name in rule.columns} & self.run.plan.hidden
        observed = HIDDEN if observed and hidden and rule.kind in ("aggregate", "freshness") else observed
        message = ""
        if failed:
            allowed = f", and {options.tolerance} may fail" if options.max_failed is not None else ""
            message = f"expected {rule.message}" + (f"; observed {observed}" if observed else "") + allowed
        told = tuple(plain(shown(row, self.run.plan.hidden)) for row in sample)
        self.add(
            CheckResult(rule.name, rule.severity, passed, failed, message, rule.action, rule.kind, rule.gate, judged,
                        sample=told, observed=observed, **more),
            rule,
        )  # fmt: skip

    @contextlib.contextmanager
    def evaluating(self, rule: Rule) -> Iterator[None]:
        """An error of the rule itself is a violation of severity error, with its text."""
        try:
            yield
        except FatalError as error:
            if error.code not in _UNEVALUABLE:
                raise
            self._unevaluable(rule, error)

    def _unevaluable(self, rule: Rule, error: FatalError) -> None:
        message = f"could not be evaluated: {error.message}"
        action = "warn" if self.run.pipeline.error_handling.validation == "warn" else "fail"
        self.results[rule.place] = CheckResult(
            rule.name, "error", False, 0, message, action, rule.kind, rule.gate, evaluated=False
        )

    def options(self, rule: Rule) -> RuleOptions:
        return self.run.pipeline.quality_rules[rule.place]

    def rows(self) -> None:
        """Rules that were judged while the rows passed."""
        for done in self.run.passes:
            verdict, tally = done.transform.verdict, done.tally
            failed = {flag.name: (tally.broken[flag.bit], flag.after) for flag in verdict.holds if flag.kind == "rule"}
            failed |= {flag.name: (tally.noted[flag.bit], flag.after) for flag in verdict.notes if flag.of_rule}
            dropped = sum(tally.dropped.values())
            for rule in done.check.rules:
                if rule.name in failed:
                    broken, after = failed[rule.name]
                    held = sum(rows for bit, rows in tally.held.items() if bit < after)
                    judged = tally.seen - tally.exempt - held - (0 if rule.gate == "extract" else dropped)
                    self.result(rule, broken, judged, sample=tally.samples.get(rule.name, ()))

    def set(self, check: SetCheck) -> None:
        """A rule with a query of its own."""
        if check.delivery and self.run.request.chosen:
            self._chosen(check)
            return
        answered = self.run.observed.get(check.rule.place)
        if answered is None:
            done = self._pass(check.spool)
            if unrepeated(self.session, check, done.within if done is not None else ""):
                answered = (0, UNREPEATED)
        failed, observed = answered or self.session.rows(check.sql)[0]
        sample = self._offending(check) if failed and check.offending and not answered else ()
        if check.rows:
            self.broken.append(Broken(check.spool, check.rows, int(failed or 0), check.exact))
        self.result(check.rule, int(failed or 0), self._judged(check.spool), str(observed), sample)

    def _offending(self, check: SetCheck) -> list[dict[str, Any]]:
        """The first rows that the rule's own query gives, without values that come from hidden columns."""
        rows, hidden = head(self.session, check.offending), self.run.plan.hidden
        if not rows or not hidden:
            return rows
        stages = self.run.plan.stages
        kept = next((stage.columns for stage in stages if isinstance(stage, Keep) and stage.spool == check.spool), ())
        query = parse_one(check.offending, read="duckdb")
        own = {name.lower(): frozenset({name.lower()}) for name in (*kept, *hidden)}
        told = {name: origin(query, name, check.spool, own) for name in rows[0]}
        made = {name.lower() for name, sources in told.items() if sources & hidden}
        return [shown(row, made) for row in rows]

    def call(self, check: CallCheck) -> None:
        """A rule that is Python of the user's."""
        from headgate.execute.calls import judge_rows

        names = [item.name for item in check.columns]
        numbers = [NUMBER] if self._pass(check.spool) is not None else []
        rows = self.session.stream(
            f"SELECT {_list([*names, *numbers])} FROM {quote_name(check.spool)}", self.run.context.batch_size
        )
        wrong = FailingRows(self.run.workdir / f"rule_{check.rule.place}.parquet")
        failed, judged, sample = judge_rows(check, rows, self.run.workspace.project.root, SAMPLE, wrong)
        if numbers and failed and judged:  # one "no" about no rows at all is no row that fails
            relation = f"{check.spool}_{check.rule.place}"
            self.session.register(relation, wrong.scan)
            of = f"SELECT {NUMBER} FROM {quote_name(relation)}"
            self.broken.append(Broken(check.spool, f"{NUMBER} IN ({of})", failed))
        self.result(check.rule, failed, judged, sample=sample)

    def table(self, check: TableCheck) -> None:
        """Keys that are repeated in a table as it will be."""
        write = next(s for s in self.run.plan.stages if isinstance(s, Write) and s.target == check.target)
        found = self.run.transactions[write.store].duplicates(write.table, check.columns)
        self.result(check.rule, found.repeated, found.rows)

    # ------------------------------------------------------------------------------------------- aggregates

    def spool(self, spool: str, measures: Sequence[MeasureCheck], counts: Sequence[CountCheck]) -> None:
        """All aggregates over one spool in one statement; one by one if that breaks off, to find which it was."""
        if self.run.request.chosen:
            for check in (check for check in measures if check.delivery):
                self._chosen(check)
            measures = [check for check in measures if not check.delivery]
        try:
            self._together(spool, measures, counts)
        except FatalError as error:
            rules = [*(check.rule for check in measures), *(check.rule for check in counts)]
            if error.code not in _UNEVALUABLE:
                raise
            if len(rules) == 1:
                self._unevaluable(rules[0], error)
                return
            for measure in measures:
                self.spool(spool, [measure], ())
            for count in counts:
                self.spool(spool, (), [count])

    def _chosen(self, check: SetCheck | MeasureCheck) -> None:
        observed = f"the rows of {self.run.request.chosen} were chosen, so they tell nothing about a delivery"
        self.result(check.rule, 0, self._judged(check.spool), observed, evaluated=False)

    def _together(self, spool: str, measures: Sequence[MeasureCheck], counts: Sequence[CountCheck]) -> None:
        asked: list[list[str]] = []
        for measure in measures:
            values = self._module(measure.rule).values(
                self.options(measure.rule), self._given(measure.columns), self._remembered(measure)
            )
            asked.append([value.sql("duckdb") for value in values])
        selected = [value for values in asked for value in values]
        selected += [f"COUNT(*) FILTER (WHERE {check.broken})" for check in counts]
        done = self._pass(spool)
        rows, nulls = (done.tally.judged, dict(done.tally.nulls)) if done else (0, {})
        counted = [] if done else list(dict.fromkeys(name for check in measures for name in check.nulls))
        row: list[Any] = []
        if selected or done is None:
            missing = [f"COUNT(*) - COUNT({quote_name(name)})" for name in counted]
            query = ", ".join(["COUNT(*)", *missing, *selected])
            rows, *row = self.session.rows(f"SELECT {query} FROM {quote_name(spool)}")[0]
            nulls |= dict(zip(counted, row[: len(counted)], strict=True))
        found = iter(row[len(counted) :])
        came = done.tally.good if done else rows  # deletes came, too, for rules that only count
        for measure, values in zip(measures, asked, strict=True):
            seen = rows if measure.columns or measure.nulls else came
            measured = Measured(seen, nulls, tuple(next(found) for _ in values), self.run.started_at,
                                self._remembered(measure), self._reads(measure.rule))  # fmt: skip
            self._verdict(measure, measured)
        for check in counts:
            failed = int(next(found))
            query = f"SELECT * FROM {quote_name(spool)} WHERE {check.broken}"
            self.result(check.rule, failed, rows, sample=head(self.session, query) if failed else ())

    def _verdict(self, check: MeasureCheck, measured: Measured) -> None:
        rule = check.rule
        judged: Judgement = self._module(rule).verdict(self.options(rule), measured)
        failed = self._missing(check, judged) if judged.missing and check.relation else judged.failed
        kept = remembered(judged.remember, self._about(check), measured.reads)
        self.result(rule, failed, measured.rows, judged.observed, remembered=kept,
                    evaluated=judged.evaluated,
                    score=float(not judged.failed) if judged.score is None else judged.score)  # fmt: skip

    def _missing(self, check: MeasureCheck, judged: Judgement) -> int:
        """Rows with NULL in one of the columns that are to be filled, each once."""
        keep = next((s for s in self.run.plan.stages if isinstance(s, Keep) and s.spool == check.spool), None)
        failed = judged.failed
        if keep is not None and keep.missing:
            places = {name.lower(): index for index, name in enumerate(keep.missing)}
            rows = " OR ".join(quote_name(f"{NULLS}{places[name.lower()]}") for name in judged.missing)
            if len(judged.missing) > 1:
                failed = int(self.session.rows(f"SELECT COUNT(*) FROM {quote_name(check.spool)} WHERE {rows}")[0][0])
            self.broken.append(Broken(check.spool, rows, failed))
        else:
            self.broken.append(Broken(check.spool, "", failed))
        return failed

    def _remembered(self, check: MeasureCheck) -> tuple[Mapping[str, Any], ...]:
        """What the rule told to remember of earlier published runs that can be compared with this, newest first."""
        if not check.remembers:
            return ()
        if self._past is None:
            run = self.run
            receipts = run.workspace.history.runs(run.key.project, [run.key.pipeline], HISTORY)
            self._past = [done for receipt in receipts if receipt.published for done in receipt.checks]
        past = (done.remembered for done in self._past if done.rule == check.rule.name and done.remembered)
        return comparable(past, self._about(check), self._reads(check.rule))

    def _about(self, check: MeasureCheck) -> str:
        """Which rows and columns the rule is about, as far as its own words say it."""
        names = [item.name.lower() for item in check.columns]
        return " ".join([check.rule.kind, check.rule.gate, self.options(check.rule).step or "", *names])

    def _reads(self, rule: Rule) -> str | float:
        """What the rows are of: a table as it will be is always all of it."""
        return self.run.reads if rule.gate != "load" else "everything"

    def _module(self, rule: Rule) -> Any:
        return self.run.workspace.registry.module("quality", rule.kind)

    def _given(self, columns: tuple[Column, ...]) -> StepInput:
        return StepInput(columns, variables=self.run.plan.variables)

    def _pass(self, spool: str) -> PassResult | None:
        return next((done for done in self.run.passes if f"{done.transform.relation}_audit" == spool), None)

    def _judged(self, spool: str) -> int:
        if spool in self.shown:
            return int(self.session.rows(f"SELECT COUNT(*) FROM {quote_name(spool)}")[0][0])
        done = self._pass(spool)
        return done.tally.judged if done is not None else 0


HISTORY = 500
"""Receipts looked at for what earlier runs remembered."""


def _open(run: Run, preview: Preview) -> None:
    """A target's table as it will be, as a relation of the engine, in the types of the plan."""
    assert run.session is not None
    write = next(s for s in run.plan.stages if isinstance(s, Write) and s.target == preview.target)
    names = [item.name for item in preview.columns]
    transaction = run.transactions[write.store]
    if not isinstance(transaction, Previews):
        raise FatalError(
            Code.UNSUPPORTED,
            "this target cannot show its table before the commit, so rules of stage: load cannot be checked",
            operation="audit",
            object=write.table,
            hint="use stage: transform",
        )
    opened = transaction.preview(write.table, names)
    try:
        raw = f"{preview.relation}_raw"
        run.session.register(raw, opened)
        columns = ", ".join(f"CAST({quote_name(c.name)} AS {c.type}) AS {quote_name(c.name)}" for c in preview.columns)
        typed = run.session.stream(f"SELECT {columns} FROM {quote_name(raw)}", ENGINE_ROWS)
        run.session.materialise(preview.relation, OpenScan(SourceSchema(typed.schema), batches=typed))
    finally:
        opened.close()


def head(session: EngineSession, query: str) -> list[dict[str, Any]]:
    """The first rows of a query, for people."""
    return row_values(session.stream(f"SELECT * FROM ({query}) LIMIT {SAMPLE}", SAMPLE).read_all())


def _list(names: Sequence[str]) -> str:
    return ", ".join(quote_name(name) for name in names)
