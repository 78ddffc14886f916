"""The interpreter: each stage of a plan is one case. There is no second path through a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from headgate.core.contracts import Scan as OpenScan
from headgate.core.contracts import Sifts, SourceSchema, Window
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.events import Step, shortened
from headgate.execute.audit import audit
from headgate.execute.context import Run
from headgate.execute.fetch import fetch
from headgate.execute.gather import Relation
from headgate.execute.held import HeldRows, held_batches
from headgate.execute.hiding import HIDDEN
from headgate.execute.latest import Latest
from headgate.execute.limits import limits
from headgate.execute.lookups import context_with_lookup
from headgate.execute.mending import HELD, check_whole
from headgate.execute.move import move
from headgate.execute.pour import Counter, Pour, drain
from headgate.execute.publish import acknowledge, clean, publish
from headgate.execute.regroup import again, touched
from headgate.execute.replay import entry_of
from headgate.execute.sides import typed
from headgate.execute.widths import ENGINE_ROWS, Widths
from headgate.io.ledger import fenced
from headgate.io.row_widths import row_width
from headgate.plan.fetching import FETCHED
from headgate.plan.stages import (
    Acknowledge,
    Audit,
    Check,
    Claim,
    Clean,
    Fetch,
    Keep,
    Move,
    Publish,
    Scan,
    Stage,
    Transform,
    Write,
)
from headgate.sql.literals import quote_name

FULL = Window(None)


@dataclass
class Interpreter:
    """Runs the stages of one plan, in order. Side effects are those of the stages; nothing shows before Publish."""

    run: Run
    counter: Counter = field(default_factory=Counter)
    pour: Pour | None = None
    rejected: int = 0
    moved: bool = False
    fetched: Fetch | None = None
    main: tuple[Scan, OpenScan] | None = None
    again: OpenScan | None = None
    regrouped: bool = False
    sides: dict[str, OpenScan] = field(default_factory=dict)

    def interpret(self) -> None:
        """Run every stage. Raises the first error; the caller rolls back."""
        run = self.run
        run.held = HeldRows(run.run_id, run.pipeline.name, run.workdir / "held", len(run.pipeline.transformations))
        run.warnings += run.plan.warnings
        for stage in run.plan.stages:
            self._run(stage)

    def _run(self, stage: Stage) -> None:  # noqa: C901 - one case a stage
        run = self.run
        match stage:
            case Claim():
                self._claim()
            case Move():
                self.moved = move(run, stage)
            case Fetch():
                self._fetch(stage)
            case Scan() | Transform() | Check() | Write() | Keep() if self.moved or self._is_fetched(stage):
                pass  # done
            case Transform() if self.fetched is not None and stage.relation == self.fetched.relation:
                self.pour = Pour(replace(stage, sql=self.fetched.over))
            case Scan():
                self._scan(stage)
            case Transform():
                self._regroup()
                self._drain()
                self.pour = Pour(stage)
            case Check():
                assert self.pour is not None
                self.pour.check = stage
            case Write():
                assert self.pour is not None
                if not run.request.only_check:
                    self.pour.writes.append(stage)
            case Keep():
                assert self.pour is not None
                self.pour.keeps.append(stage)
            case Audit():
                self._drain()
                self._finish_reading()
                if run.request.mend is not None:
                    entry = entry_of(run)
                    check_whole(self.counter.extracted, entry.rows, entry.id)
                with run.emitter.during(Step.AUDIT):
                    audit(run, stage, self.rejected)
            case Publish():
                publish(run, stage)
            case Acknowledge():
                acknowledge(run, stage)
            case Clean():
                clean(run, stage)
            case _:
                assert_never(stage)

    def _claim(self) -> None:
        """Raise the epoch in every store, then open a transaction in each; dead runs' leftovers go."""
        run = self.run
        with run.emitter.during(Step.CLAIM):
            for name, store in run.stores.items():
                run.claims[name] = store.claim(run.key, run.run_id, run.execution_id)
        self._confirm()
        with run.emitter.during(Step.CLEAN, what="leftovers"):
            for name, store in run.stores.items():
                store.sweep(run.claims[name])
        with run.emitter.during(Step.BEGIN):
            for name, store in run.stores.items():
                run.transactions[name] = store.begin(run.claims[name], run.emitter, run.workdir, durable=run.durable)

    def _confirm(self) -> None:
        """Nobody published between the look at the ledger and the claim, from where on nobody can."""
        run = self.run
        state = run.authority.state(run.key)
        claim = run.claims[run.authority.name]
        if state.epoch != claim.epoch:
            raise fenced(claim)
        done = run.authority.published(run.key, run.execution_id)
        if state.watermarks != run.state.watermarks or (done.run_id if done else "") != run.replaces:
            raise RetriableError(
                Code.CONFLICT,
                "another run published while this one began",
                operation="claim",
                object=run.pipeline.name,
                hint="run it again: it will go on from there",
            )

    # ------------------------------------------------------------------------------------------------ reading

    def _scan(self, stage: Scan) -> None:
        run = self.run
        assert run.gathered is not None
        with run.emitter.during(Step.SCAN, relation=stage.relation, object=stage.object) as outcome:
            if self.main is not None:
                _tell_query(outcome, self.sides[stage.relation])
                self._register_side(stage, self.sides[stage.relation])
                return
            if stage.source is None:
                opened = self._replayed(stage)
            else:
                opened = self._open(run.gathered.relations[stage.relation], stage.reads, stage.keeps)
                self.counter.left_out = opened.left_out
            run.scans.append(opened)
            self.main = (stage, opened)
            _tell_query(outcome, opened)
            if stage.affected is not None and opened.files is not None:
                self._read_again(stage, narrow=False)
            self._start_session(opened)

    def _read_again(self, stage: Scan, *, narrow: bool) -> OpenScan:
        run = self.run
        assert run.gathered is not None
        assert stage.affected is not None
        self.again = again(run, run.gathered.relations[stage.relation], stage.affected, narrow=narrow)
        run.scans.append(self.again)
        return self.again

    def _regroup(self) -> None:
        """The groups that the new rows touch are read again, once all relations are there."""
        if self.regrouped or self.main is None or (affected := self.main[0].affected) is None:
            return
        self.regrouped = True
        stage, run = self.main[0], self.run
        with run.emitter.during(Step.SCAN, relation=stage.relation, object="touched groups"):
            touched(run, affected)
            self._register_main(stage, self.again or self._read_again(stage, narrow=True))

    def _open(self, relation: Relation, columns: tuple[str, ...] = (), keeps: tuple[str, ...] = ()) -> OpenScan:
        run = self.run
        read = relation.read.model_copy(update={"columns": columns}) if columns else relation.read
        window = run.window if relation.source == 0 else None
        if run.request.limit is not None and window is not None and relation.read.mode == "full":
            window = replace(window, limit=min(run.request.limit, window.limit or run.request.limit))
        source = run.workspace.source(relation.endpoint)
        context, within = context_with_lookup(run, read), window or FULL
        if keeps and run.request.limit is None:
            assert isinstance(source, Sifts), "a source with a ground sifts"
            opened = source.sifted(read, context, within, keeps)
        else:
            opened = source.scan(read, context, within)
        run.whole = run.whole or opened.whole
        if relation.source is not None and window is not None:
            run.positions[relation.source] = window.high
        return opened

    def _replayed(self, stage: Scan) -> OpenScan:
        """The rows of the quarantine entry that this run replays, without their reasons."""
        import pyarrow as pa

        run = self.run
        entry = entry_of(run)
        assert run.gathered is not None
        names = list(run.gathered.held) or [item.name for item in stage.columns]
        batches = (batch.select(names) for batch in held_batches(run.authority, entry))
        first = next(batches)  # there is one: the plan was made from it
        rest = (batch for group in ([first], batches) for batch in group)
        return OpenScan(SourceSchema(first.schema), batches=pa.RecordBatchReader.from_batches(first.schema, rest))

    def _fetch(self, stage: Fetch) -> None:
        """Groups of the source's server, if it can make them, are where the engine starts."""
        found = fetch(self.run, stage)
        if found is None:
            return
        groups, rows = found
        self.fetched = stage
        self.counter.extracted, self.counter.counted = rows, True
        self._open_session([str(self.run.workdir)])
        assert self.run.session is not None
        self.run.session.register(FETCHED, groups)

    def _is_fetched(self, stage: Stage) -> bool:
        """Whether a stage is about single rows of which groups were fetched."""
        fetched = self.fetched
        if fetched is None:
            return False
        return isinstance(stage, Scan) or (
            isinstance(stage, Transform | Check | Keep) and stage.relation == fetched.before
        )

    def _start_session(self, opened: OpenScan) -> None:
        """The engine starts when the main source is open; it may read that source's files and nothing else."""
        run = self.run
        paths = [str(run.workdir)]
        for scan in (opened, *([self.again] if self.again else []), *self._side_files()):
            paths += scan.files.paths if scan.files else ()
        self._open_session(paths)
        assert run.session is not None
        assert self.main is not None
        if self.main[0].affected is not None:
            run.session.register(self.main[0].relation, opened)
        else:
            self._register_main(self.main[0], opened)

    def _open_session(self, paths: Sequence[str]) -> None:
        run = self.run
        run.workdir.mkdir(parents=True, exist_ok=True)
        memory, threads = limits(run, self.main[1] if self.main else None)
        run.session = run.workspace.engine().session(
            run.workdir / "engine", memory=memory, threads=threads, paths=paths
        )
        run.session.discreet = bool(run.plan.hidden)

    def _side_files(self) -> list[OpenScan]:
        """The other scans are opened first, so that the engine knows all files that it may read."""
        run = self.run
        assert run.gathered is not None
        for relation in run.gathered.relations.values():
            if relation.source != 0:
                opened = self._open(relation)
                self.sides[relation.name] = opened
                run.scans.append(opened)
        return list(self.sides.values())

    def _register_main(self, stage: Scan, opened: OpenScan) -> None:
        run = self.run
        assert run.session is not None
        if opened.batches is None and run.request.limit is None:
            self.counter.foresee(lambda: row_width(opened.files, opened.schema.raw.names))
            run.session.register(stage.relation, opened)
            return
        reader, cancel = opened.batches, opened.cancel
        if run.gathered is not None and run.gathered.mending:
            if run.request.mend is not None and run.request.mend.sql:
                run.session.materialise(HELD, opened)  # a query may look at the rows more than once
            else:
                run.session.register(HELD, opened)
            reader = run.session.stream(run.gathered.mending, ENGINE_ROWS)
            opened = OpenScan(SourceSchema(reader.schema))
        if stage.mode == "cdc" and not opened.distinct:
            latest = Latest(run, stage, opened, self.counter.widths)
            self.counter.left_out, reader = latest.left_out, latest.reader()
        if reader is None:
            everything = f"{stage.relation}_all"
            run.session.register(everything, opened)
            reader = run.session.stream(
                f"SELECT * FROM {quote_name(everything)} LIMIT {run.request.limit}", ENGINE_ROWS
            )
        counted = self.counter.count(reader, run.request.limit)
        run.session.register(stage.relation, OpenScan(opened.schema, batches=counted, cancel=cancel))

    def _register_side(self, stage: Scan, opened: OpenScan) -> None:
        """A relation that steps look up: typed, kept, and its keys checked before the main source is read."""
        run = self.run
        assert run.session is not None
        if opened.schema.casts:
            raw = f"{stage.relation}_raw"
            run.session.register(raw, opened)
            files = opened.files is not None
            query = typed(stage, opened.schema, raw, run.workspace.binder(), run.plan.hidden, files=files)
            widths = Widths()
            widths.see(1, row_width(opened.files, opened.schema.raw.names), enough=0)
            rows = run.session.stream(query, widths.rows)
            run.session.materialise(stage.relation, OpenScan(SourceSchema(rows.schema), batches=rows))
        elif opened.files is not None:
            run.session.register(stage.relation, opened)
        else:
            run.session.materialise(stage.relation, opened)
        if stage.unique:
            self._check_unique(stage)

    def _check_unique(self, stage: Scan) -> None:
        run = self.run
        assert run.session is not None
        keys = ", ".join(quote_name(key) for key in stage.unique)
        filled = " AND ".join(f"{quote_name(key)} IS NOT NULL" for key in stage.unique)
        groups = f"SELECT {keys}, COUNT(*) FROM {quote_name(stage.relation)} WHERE {filled} GROUP BY ALL"
        repeated = run.session.rows(f"{groups} HAVING COUNT(*) > 1 LIMIT 1")
        if repeated:
            *values, count = repeated[0]
            told = HIDDEN if run.plan.hidden else ", ".join(map(repr, values))
            raise FatalError(
                Code.TRANSFORMATION_FAILED,
                f"{', '.join(stage.unique)} = {told} is there {count} times, so rows would multiply",
                operation="join",
                object=stage.object,
                hint="join on columns that are unique there, or say many: true if rows shall multiply",
            )

    # ------------------------------------------------------------------------------------------------ passes

    def _drain(self) -> None:
        if self.pour is not None:
            drain(self.run, self.pour, self.counter)
            self.pour = None

    def _finish_reading(self) -> None:
        if self.moved:
            return
        if self.fetched is None:
            self._reject()
            self._finish_scans()
        assert self.run.held is not None
        self.run.held.close()

    def _reject(self) -> None:
        """Lines that the engine could not read are row errors like any other."""
        run = self.run
        assert self.main is not None
        assert run.session is not None
        assert run.held is not None
        stage, opened = self.main
        if opened.files is not None:
            columns = [item.name for item in stage.columns]
            self.rejected = run.held.take_rejected(
                run.session.rejected(), opened.files, columns, replayable=self._replayable(stage)
            )

    def _replayable(self, stage: Scan) -> bool:
        first = next(s for s in self.run.plan.stages if isinstance(s, Transform) and s.reads == stage.relation)
        return first.replayable and first.counted == "rows" and not first.setwise

    def _finish_scans(self) -> None:
        """A scan knows its final position when its last row was read."""
        run = self.run
        assert self.main is not None
        position = self.main[1].position
        if position is not None:
            run.positions[0] = position()
        run.warnings += self.main[1].warnings()
        for opened in run.scans:
            opened.close()


def _tell_query(outcome: dict[str, object], opened: OpenScan) -> None:
    if opened.query:
        outcome["query"] = shortened(opened.query)
    if opened.estimated_rows is not None:
        outcome["estimated_rows"] = opened.estimated_rows
