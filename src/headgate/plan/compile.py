"""From a pipeline's model to its plan: a pure function of the models and of the schemas that were read before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlglot import exp

from headgate.config.models import Pipeline
from headgate.core.contracts import Registry
from headgate.core.engines import Column, TypeBinder
from headgate.core.errors import HeadgateError
from headgate.plan.affected import TOUCHED, Regrouping, recomputed
from headgate.plan.binding import bound, checked
from headgate.plan.changes import follow, followed, refuse_losing
from headgate.plan.checks import Rule
from headgate.plan.finish import apart, fingerprint, unique_names, wanted_steps, with_replayability
from headgate.plan.hiding import Hiding
from headgate.plan.inputs import Inputs, Probe
from headgate.plan.partial import refuse_partial_groups, refuse_windows_beside
from headgate.plan.passes import PassBuilder, narrowed
from headgate.plan.places import located
from headgate.plan.prepare import prepared
from headgate.plan.rules import RuleBook, alone
from headgate.plan.stages import (
    KEY_COLUMNS,
    Check,
    Counted,
    Keep,
    Plan,
    Stage,
    Transform,
)
from headgate.plan.targets import Targets
from headgate.plan.trail import Trail
from headgate.plan.trees import named, table
from headgate.plan.whole import whole_run
from headgate.sql.shapes import Branch, Call, Note, Reshape, Shape, StepInput


def compile_plan(
    project: str, pipeline: Pipeline, inputs: Inputs, registry: Registry, binder: TypeBinder, probe: Probe
) -> Plan:
    """Compile.

    Raises:
        FatalError: PLAN_INVALID or UNSUPPORTED, with file, line and path of the step or rule at fault.
    """
    compiler = _Compiler(project, pipeline, inputs, registry, binder, probe)
    plan, regrouping = compiler.plan(), compiler.regrouping
    if regrouping is None or regrouping.chosen is None:
        return plan
    # which columns tell groups apart is known when all steps were seen
    return _Compiler(project, pipeline, inputs, registry, binder, probe, regrouping.chosen).plan()


class _Compiler:
    def __init__(
        self,
        project: str,
        pipeline: Pipeline,
        inputs: Inputs,
        registry: Registry,
        binder: TypeBinder,
        probe: Probe,
        groups: Collection[str] = (),
    ) -> None:
        self.project, self.pipeline, self.inputs = project, pipeline, inputs
        self.registry, self.binder, self.probe = registry, binder, probe
        self.sides = {scan.relation: scan.columns for scan in inputs.scans[1:]}
        self.steps = pipeline.transformations
        self.names = unique_names(
            [step.name or step.type for step in self.steps], {scan.relation for scan in inputs.scans}
        )
        judge = {"holds": "BOOLEAN"}  # a Python rule as a call, as far as its fingerprint goes
        self.rules = RuleBook(
            pipeline, registry, self._target_step, lambda name, rows: probe(Call(name, columns=judge), rows)[1]
        )
        self.targets = Targets(pipeline, inputs.stores, inputs.tables)
        self.gate = self.rules.extracted()
        self.gated: tuple[Rule, ...] = ()
        self.wanted = wanted_steps(pipeline, self.names, registry)
        self.warnings: list[str] = []
        self.stages: list[Stage] = []
        self.trails: dict[str, Trail] = {}
        self.regrouping: Regrouping | None = None
        if recomputed(pipeline.sources[0]) and inputs.resume is None:
            plain = {item.name for item in inputs.main.columns if item.name not in inputs.casts}
            self.regrouping = Regrouping(plain)
        self.groups = groups
        self.hiding = Hiding(pipeline.header.sensitive)
        self.builder = PassBuilder(inputs.main.relation, self._source_columns(), self._bind)

    def _source_columns(self) -> tuple[Column, ...]:
        try:
            return checked(self.inputs.main.columns)
        except HeadgateError as error:
            raise located(error, self.pipeline, ("source",)) from None

    # --------------------------------------------------------------------------------------------- the walk

    def plan(self) -> Plan:
        refuse_windows_beside(self.pipeline)
        resume = self.inputs.resume
        start = self.builder.applied = 0 if resume is None else max(resume.applied, 0)
        if (resume is None or resume.applied < 0) and self.inputs.casts:
            self._cast_source()
        if resume is None and followed(self.pipeline):
            self._follow()
        if resume is None or resume.applied < 0 or (resume.at_rules and start == 0):
            self._extract_gate()
        if resume is not None and resume.at_rules and 0 < start < len(self.steps):
            self._close(start - 1)
        for index in range(start, len(self.steps)):
            try:
                self._step(index)
            except HeadgateError as error:
                raise located(error, self.pipeline, ("transformations", index)) from error.__cause__
        last = self._close(len(self.steps) - 1)
        return self._assemble(last)

    def _cast_source(self) -> None:
        self.builder.applied = -1
        module = self.registry.module("transforms", "cast")
        try:
            shape = module.of_source(self.inputs.casts, self.inputs.certain, self._input())
            self.builder.add(shape, "source", self.pipeline.error_handling.on_row_error)
        except HeadgateError as error:
            raise located(error, self.pipeline, ("source",)) from error.__cause__
        self.builder.applied = 0

    def _follow(self) -> None:
        try:
            follow(self.pipeline, self.builder)
        except HeadgateError as error:
            raise located(error, self.pipeline, ("targets", 0)) from error.__cause__

    def _extract_gate(self) -> None:
        """Rules about rows as they were read: within the first pass if they are about single rows.

        At its end where nothing else judges the rows: a gate lets through what the next one sees.
        """
        builder = self.builder
        later = self.steps or self.rules.after("extracted", last=True) or self.targets.refuses("extracted", builder)
        if not self.gate or not later:
            return
        if self.rules.about_sets(self.gate, self._input()):
            self._close(-1, gate=True)
            return
        rules, self.gate = self.gate, []
        self.gated, _ = self.rules.judge(rules, builder, self._input(), builder.reads, "extracted", within=True)

    def _look_up(self, index: int) -> None:
        """Whether the columns that a record says it reads are there."""
        for name in self.pipeline.reads(index):
            try:
                self._input().resolve(name)
            except HeadgateError as error:
                raise located(error, self.pipeline, ("transformations", index, "source_columns")) from None

    def _step(self, index: int) -> None:
        options, name = self.steps[index], self.names[index]
        self.builder.applied = index
        self._look_up(index)
        module = self.registry.module("transforms", options.type)
        self.hiding.see(self.builder.lineage, module.hides(options) if hasattr(module, "hides") else ())
        options = prepared(module, options, self._input(), lambda shape: self._add(shape, name))
        shapes = module.shapes(options, self._input())
        refuse_partial_groups(self.pipeline.sources[0], options, shapes)
        if followed(self.pipeline):
            refuse_losing(shapes, name)
        for shape in shapes:
            self._regroup(shape, name)
            match shape:
                case Call():
                    self._call(shape, index)
                    continue
                case Branch():
                    self._branch(shape, index)
                    continue
                case Note():
                    self.warnings.append(f"{name}: {shape.message}")
                case Reshape() if self._must_end(shape):
                    self._close(index - 1, before=name)
                case _:
                    pass
            self._add(shape, name)
        checked(self.builder.columns)
        if not any(isinstance(shape, Call) for shape in shapes):
            self.builder.steps.append(name)
        self.builder.applied = index + 1
        if name in self.wanted and index < len(self.steps) - 1:
            self._close(index)

    def _add(self, shape: Shape, name: str) -> None:
        self.builder.add(shape, name, self.pipeline.error_handling.on_row_error)
        self.hiding.see(self.builder.lineage)

    def _regroup(self, shape: Shape, name: str) -> None:
        """In front of the first step over groups, only rows of groups that new rows touched go on."""
        regrouping = self.regrouping
        if regrouping is None:
            return
        first = regrouping.chosen is None
        regrouping.see(shape, self.builder, name, self.inputs.main.relation)
        if first and regrouping.chosen is not None and self.groups:
            regrouping.chosen &= set(self.groups)
            self.sides[TOUCHED] = tuple(item for item in self.builder.columns if item.name in self.groups)
            self._add(regrouping.drop(), "recompute")

    def _must_end(self, shape: Reshape) -> bool:
        """Whether the pass must end before a reshape: rows held would be lost, or the input is scanned twice."""
        builder = self.builder
        if builder.judged or builder.notes or builder.grouped or builder.reshaped:
            return True
        return not shape.grouped and (bool(builder.ctes) or builder.reads == self.inputs.main.relation)

    def _call(self, call: Call, index: int) -> None:
        """A Python step is a pass of its own, between a spool and a spool."""
        name = self.names[index]
        self._set_aside(index)
        columns, source_hash = self.probe(call, self.builder.columns)
        reads, before = self.builder.reads, self.builder.lineage
        relation = self._relation(name)
        self.stages.append(
            Transform(
                relation, reads, checked(columns), (name,), call=call, source_hash=source_hash, counted="reshaped"
            )
        )
        self.stages.append(Check(relation, (), self.builder.verdict))
        everything = frozenset().union(*before.values())
        self.builder = narrowed(self.builder, columns)
        self.builder.reads = relation
        self.builder.lineage = {item.name: before.get(item.name, everything) for item in columns}
        self._spool(relation, columns)

    def _set_aside(self, index: int) -> None:
        """The rows before step ``index`` as a relation that can be read again."""
        if self.builder.ctes or self.builder.reads == self.inputs.main.relation:
            self._close(index - 1, before=self.names[index])

    def _branch(self, branch: Branch, index: int) -> None:
        """A second output of a step: a pass beside the main chain, over the same rows."""
        self._set_aside(index)
        relation = self._relation(branch.name)
        side = narrowed(self.builder, self.builder.columns)
        for shape in branch.shapes:
            side.add(shape, branch.name, self.pipeline.error_handling.on_row_error)
        given = replace(self._input(), columns=checked(side.columns))
        self.targets.judge(side, given, branch.name, last=False)
        rules = self.rules.after(branch.name, last=False)
        if not rules and not self.targets.take(branch.name):
            lost = f"the rows of {branch.name} go nowhere: no target takes them (from: {branch.name})"
            self.warnings.append(f"{self.names[index]}: {lost}")
        noted, audited = self.rules.judge(rules, side, given, relation, branch.name)
        stage = self._transform(side, relation, "reshaped", (branch.name,))
        self.stages.append(replace(stage, branch=True))
        self.stages.append(Check(relation, noted, side.verdict, self.pipeline.error_handling.on_row_error))
        if audited is not None:
            self.stages.append(audited)
        self._write(branch.name, relation, side, last=False)

    def _transform(self, builder: PassBuilder, relation: str, counted: Counted, steps: tuple[str, ...]) -> Transform:
        return Transform(
            relation,
            builder.reads,
            builder.columns,
            steps,
            sql=builder.sql(),
            verdict=builder.verdict,
            counted=counted,
            sides=tuple(dict.fromkeys(builder.sides)),
            setwise=builder.setwise is not None,
            keys=dict(builder.keys),
        )

    def _close(self, index: int, before: str = "", *, gate: bool = False) -> str:
        """End the pass after step ``index`` (in front of step ``before``; at the gate of extraction)."""
        builder = self.builder
        name = self.names[index] if index >= 0 and not before else f"{before}_input" if before else "extracted"
        relation = self._relation(name)
        last = index == len(self.steps) - 1 and not gate
        if not before and not gate:
            self.targets.judge(builder, self._input(), name, last=last)
        rules = [] if before or gate else self.rules.after(name, last=last)
        if gate or not self.steps:
            rules, self.gate = [*self.gate, *rules], []
        only_judges = not builder.ctes
        noted, audited = self.rules.judge(rules, builder, self._input(), relation, name)
        noted, self.gated = (*self.gated, *noted), ()
        self.trails[relation] = Trail(tuple(builder.trail), tuple(builder.ruled))
        counted: Counted = "groups" if builder.grouped else "reshaped" if builder.reshaped else "rows"
        self.stages.append(self._transform(builder, relation, counted, tuple(builder.steps)))
        on_row_error = self.pipeline.error_handling.on_row_error
        broken = alone(builder.ruled) if only_judges else ()
        self.stages.append(Check(relation, noted, builder.verdict, on_row_error, self._keys(), broken))
        if audited is not None:
            self.stages.append(audited)
        if not before and not gate:
            self._write(name, relation, builder, last=last)
        if not last:
            self._spool(relation, builder.columns, builder.marks)
        lineage = builder.lineage
        self.builder = narrowed(builder, builder.columns)
        self.builder.reads, self.builder.lineage = relation, lineage
        return relation

    def _spool(self, relation: str, columns: Sequence[Column], marks: Sequence[str] = ()) -> None:
        self.stages.append(Keep(relation, relation, tuple(item.name for item in columns), marks=tuple(marks)))

    # --------------------------------------------------------------------------------------------- targets

    def _target_step(self, target: int) -> str:
        return self.pipeline.targets[target].from_ or (self.names[-1] if self.names else "extracted")

    def _write(self, name: str, relation: str, builder: PassBuilder, *, last: bool) -> None:
        for stage in self.targets.stages(builder, name, relation, last=last):
            self.stages.append(stage)
            given = replace(self._input(), columns=stage.columns)
            self.rules.load_gate(name, stage.target, given, self._bind, last=last)

    # --------------------------------------------------------------------------------------------- parts

    def _keys(self) -> tuple[str, ...]:
        """Columns that identify a row for people: merge keys, the key of the source."""
        incremental = self.pipeline.sources[0].incremental
        named = [key for target in self.pipeline.targets for key in target.keys or ()]
        named += incremental.key or () if incremental else ()
        wanted = {name.lower() for name in named}
        return tuple(item.name for item in self.builder.columns if item.name.lower() in wanted)

    def _input(self) -> StepInput:
        incremental = self.pipeline.sources[0].incremental
        return StepInput(
            self.builder.columns,
            self.sides,
            self.inputs.variables,
            incremental.column if incremental else None,
            self.pipeline.error_handling.on_row_error,
            self._expression_type,
        )

    def _expression_type(self, expression: exp.Expr, columns: Sequence[Column]) -> str:
        relation = self.builder.last
        return self._bind(exp.select(named(expression, "c")).from_(table(relation)), relation, columns)[0].type

    def _bind(self, query: exp.Expr, relation: str, columns: Sequence[Column]) -> tuple[Column, ...]:
        keys = dict.fromkeys(self.builder.keys, KEY_COLUMNS)
        return bound(self.binder, query, relation, columns, {**self.sides, **keys})

    def _relation(self, name: str) -> str:
        taken = {stage.relation for stage in self.stages if isinstance(stage, Transform)}
        taken |= {scan.relation for scan in self.inputs.scans}
        return apart(name, taken)

    def _assemble(self, last: str) -> Plan:
        self.rules.refuse_unplaced()
        self.rules.refuse_remembering(self.hiding.names)
        affected = self.regrouping.affected(self.pipeline) if self.regrouping is not None else None
        compiled = with_replayability(self.stages)
        placement, stages = whole_run(
            self.pipeline, self.inputs, compiled, self.rules, self.trails, affected, self._bind
        )
        columns = next(s.columns for s in stages if isinstance(s, Transform) and s.relation == last)
        lineage = {name: tuple(sorted(origin)) for name, origin in self.builder.lineage.items()}
        notes = tuple(scan.note for scan in self.inputs.scans if scan.note)
        return Plan(
            self.project,
            self.pipeline.name,
            stages,
            columns,
            lineage,
            fingerprint(stages),
            notes,
            placement,
            self.inputs.variables,
            tuple(self.warnings),
            self.hiding.names,
        )
