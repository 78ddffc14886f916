"""From a pipeline's model to its plan: a pure function of the models and of the schemas that were read before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlglot import exp

from headgate.config.models import Pipeline
from headgate.core.contracts import BindingError, Column, Registry, TypeBinder
from headgate.core.errors import Code, FatalError, HeadgateError, Problem, nearest
from headgate.core.models import RuleOptions, StepOptions
from headgate.plan.passes import DIALECT, PassBuilder, narrowed
from headgate.plan.stages import (
    INTERNAL,
    Acknowledge,
    Audit,
    Check,
    Claim,
    Clean,
    Keep,
    Plan,
    Publish,
    Rule,
    Scan,
    SetCheck,
    Stage,
    TableCheck,
    Transform,
    Write,
)
from headgate.sql.shapes import Call, Reshape, RowRule, SetRule, StepInput, TableRule

Probe = Callable[[Call, Sequence[Column]], tuple[tuple[Column, ...], str]]
"""The columns that a Python step gives for these columns, and the hash of its source."""


@dataclass(frozen=True)
class Resume:
    """Where a replay enters: ``applied`` steps lie behind the rows (-1: not even the source's casts)."""

    applied: int
    at_rules: bool


@dataclass(frozen=True)
class Inputs:
    """What was read before compiling: scans of the sources and sides, casts of the main source, stores of targets."""

    scans: tuple[Scan, ...]
    casts: Mapping[str, str] = field(default_factory=dict)
    stores: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    resume: Resume | None = None

    @property
    def main(self) -> Scan:
        return self.scans[0]


def compile_plan(
    project: str, pipeline: Pipeline, inputs: Inputs, registry: Registry, binder: TypeBinder, probe: Probe
) -> Plan:
    """Compile.

    Raises:
        FatalError: PLAN_INVALID or UNSUPPORTED, with file, line and path of the step or rule at fault.
    """
    return _Compiler(project, pipeline, inputs, registry, binder, probe).plan()


class _Compiler:
    def __init__(
        self, project: str, pipeline: Pipeline, inputs: Inputs, registry: Registry, binder: TypeBinder, probe: Probe
    ) -> None:
        self.project, self.pipeline, self.inputs = project, pipeline, inputs
        self.registry, self.binder, self.probe = registry, binder, probe
        self.sides = {scan.relation: scan.columns for scan in inputs.scans[1:]}
        self.steps = pipeline.transformations
        self.names = _unique([step.name or step.type for step in self.steps], {scan.relation for scan in inputs.scans})
        self.rules = self._rules()
        self.wanted = self._wanted()
        self.stages: list[Stage] = []
        self.sets: list[SetCheck] = []
        self.audited: list[str] = []
        self.tables: list[TableCheck] = []
        self.builder = PassBuilder(inputs.main.relation, self._checked(inputs.main.columns), self._bind)
        self.closed = 0

    # --------------------------------------------------------------------------------------------- the walk

    def plan(self) -> Plan:
        resume = self.inputs.resume
        start = 0 if resume is None else max(resume.applied, 0)
        if (resume is None or resume.applied < 0) and self.inputs.casts:
            self._cast_source()
        if resume is not None and resume.at_rules and 0 < start < len(self.steps):
            self._close(start - 1)
        for index in range(start, len(self.steps)):
            try:
                self._step(index)
            except HeadgateError as error:
                raise self._located(error, ("transformations", index)) from error.__cause__
        last = self._close(len(self.steps) - 1)
        return self._assemble(last)

    def _cast_source(self) -> None:
        self.builder.applied = -1
        module = self.registry.module("transforms", "cast")
        options = module.Options(type="cast", columns=dict(self.inputs.casts))
        try:
            for shape in module.shapes(options, self._input()):
                self.builder.add(shape, "source", self.pipeline.error_handling.on_row_error)
        except HeadgateError as error:
            raise self._located(error, ("source",)) from error.__cause__
        self.builder.applied = 0

    def _step(self, index: int) -> None:
        options, name = self.steps[index], self.names[index]
        self.builder.applied = index
        self._refuse_partial_groups(options)
        for shape in self.registry.module("transforms", options.type).shapes(options, self._input()):
            if isinstance(shape, Call):
                self._call(shape, index)
                continue
            if isinstance(shape, Reshape) and self._must_end(shape):
                self._close(index - 1, before=name)
            self.builder.add(shape, name, self.pipeline.error_handling.on_row_error)
            self._checked(self.builder.columns)
        self.builder.steps.append(name)
        self.builder.applied = index + 1
        if name in self.wanted and index < len(self.steps) - 1:
            self._close(index)

    def _must_end(self, shape: Reshape) -> bool:
        """Whether the pass must end before a reshape: rows held would be lost, or the input is scanned twice."""
        builder = self.builder
        if builder.judged or builder.grouped or builder.reshaped:
            return True
        return not shape.grouped and (bool(builder.ctes) or builder.reads == self.inputs.main.relation)

    def _call(self, call: Call, index: int) -> None:
        """A Python step is a pass of its own, between a spool and a spool."""
        name = self.names[index]
        if self.builder.ctes or self.builder.reads == self.inputs.main.relation:
            self._close(index - 1, before=name)
        columns, source_hash = self.probe(call, self.builder.columns)
        reads, before = self.builder.reads, self.builder.lineage
        relation = self._relation(name)
        self.stages.append(
            Transform(
                relation, reads, self._checked(columns), (name,), call=call, source_hash=source_hash, counted="reshaped"
            )
        )
        self.stages.append(Check(relation, (), self.builder.verdict))
        everything = frozenset().union(*before.values())
        self.builder = narrowed(self.builder, columns)
        self.builder.reads = relation
        self.builder.lineage = {item.name: before.get(item.name, everything) for item in columns}
        self._spool(relation, columns)

    def _close(self, index: int, before: str = "") -> str:
        """End the pass after step ``index`` (or in front of step ``before``); the relation it gives."""
        builder = self.builder
        name = self.names[index] if index >= 0 and not before else f"{before}_input" if before else "extracted"
        relation = self._relation(name)
        rules = [] if before else self._rules_after(index)
        noted = self._judge(rules, relation, name)
        builder.sides = list(dict.fromkeys(builder.sides))
        counted = "groups" if builder.grouped else "reshaped" if builder.reshaped else "rows"
        verdict = builder.verdict
        self.stages.append(
            Transform(
                relation,
                builder.reads,
                builder.columns,
                tuple(builder.steps),
                sql=builder.sql(),
                verdict=verdict,
                counted=counted,  # type: ignore[arg-type]
                sides=tuple(builder.sides),
            )
        )
        self.stages.append(Check(relation, noted, verdict, self.pipeline.error_handling.on_row_error))
        if self.audited:
            self.stages.append(Keep(relation, f"{relation}_audit", tuple(self.audited)))
            self.audited = []
        if not before:
            self._write(name, relation, index)
        if before or index < len(self.steps) - 1:
            self._spool(relation, builder.columns)
        lineage = builder.lineage
        self.builder = narrowed(builder, builder.columns)
        self.builder.reads, self.builder.lineage = relation, lineage
        self.closed += 1
        return relation

    def _spool(self, relation: str, columns: Sequence[Column]) -> None:
        self.stages.append(Keep(relation, relation, tuple(item.name for item in columns)))

    # --------------------------------------------------------------------------------------------- rules

    def _rules(self) -> list[tuple[Rule, RuleOptions]]:
        names = _unique([rule.name or rule.type for rule in self.pipeline.quality_rules], set())
        return [
            (Rule(name, rule.severity, rule.action, "", place), rule)
            for place, (name, rule) in enumerate(zip(names, self.pipeline.quality_rules, strict=True))
        ]

    def _rules_after(self, index: int) -> list[tuple[Rule, RuleOptions]]:
        last = index == len(self.steps) - 1
        name = self.names[index] if index >= 0 else ""
        return [(rule, options) for rule, options in self.rules if (options.step or (name if last else None)) == name]

    def _judge(self, rules: Sequence[tuple[Rule, RuleOptions]], relation: str, name: str) -> tuple[Rule, ...]:
        """Row rules go into the pass's verdict, the others into the audit."""
        rows: list[tuple[Rule, RowRule]] = []
        known: list[Rule] = []
        for rule, options in rules:
            path = ("quality_rules", rule.place)
            try:
                shape = self.registry.module("quality", options.type).shapes(options, self._input())
                rule = replace(rule, message=shape.message)
                known.append(rule)
                match shape:
                    case RowRule():
                        self._bindable(shape)
                        rows.append((rule, shape))
                    case SetRule():
                        self._set_rule(rule, shape, relation)
                    case TableRule():
                        self._table_rule(rule, shape, name)
            except HeadgateError as error:
                raise self._located(error, path) from error.__cause__
        self.builder.check(rows, name)
        return tuple(known)

    def _bindable(self, shape: RowRule) -> None:
        """Bind one rule alone first, so that an error points to its line."""
        trial = replace(self.builder, ctes=list(self.builder.ctes), holds=[], notes=[], extra=list(self.builder.extra))
        trial.check([(Rule("", "error", "warn", "", 0), shape)], "")

    def _set_rule(self, rule: Rule, shape: SetRule, relation: str) -> None:
        if rule.action == "quarantine":
            raise FatalError(
                Code.UNSUPPORTED,
                "a rule about all rows together cannot hold single rows back",
                operation="plan",
                object=rule.name,
                hint="use on_fail: fail, warn or record",
            )
        columns = shape.columns or (self.builder.columns[0].name,)
        spool = f"{relation}_audit"
        query = shape.query.copy()
        for table in query.find_all(exp.Table):
            if table.name.lower() == "input":
                table.set("this", exp.to_identifier(spool, quoted=True))
        self._bind(query, spool, [item for item in self.builder.columns if item.name in columns])
        self.sets.append(SetCheck(rule, spool, query.sql(DIALECT)))
        self.audited.extend(name for name in columns if name not in self.audited)

    def _table_rule(self, rule: Rule, shape: TableRule, name: str) -> None:
        found = [i for i, target in enumerate(self.pipeline.targets) if self._target_step(i) == name]
        if not found:
            raise FatalError(
                Code.PLAN_INVALID,
                f'scope: table needs a target that is written from "{name}"',
                operation="plan",
                object=rule.name,
                hint="name the step of a target with step:, or drop scope: table",
            )
        self.tables.extend(TableCheck(rule, target, shape.columns) for target in found)

    # --------------------------------------------------------------------------------------------- targets

    def _target_step(self, target: int) -> str:
        return self.pipeline.targets[target].from_ or (self.names[-1] if self.names else "extracted")

    def _wanted(self) -> set[str]:
        """Steps whose rows somebody asks for; each must exist."""
        wanted: set[str] = set()
        asked = [(("targets", i, "from"), target.from_) for i, target in enumerate(self.pipeline.targets)]
        asked += [(("quality_rules", i, "step"), rule.step) for i, rule in enumerate(self.pipeline.quality_rules)]
        for path, name in asked:
            if name is None:
                continue
            if name not in self.names:
                error = FatalError(
                    Code.PLAN_INVALID, f'there is no step "{name}"', operation="plan", object=name,
                    hint=nearest(name, self.names),
                )  # fmt: skip
                raise self._located(error, path)
            wanted.add(name)
        return wanted

    def _write(self, name: str, relation: str, index: int) -> None:
        last = index == len(self.steps) - 1
        for number, target in enumerate(self.pipeline.targets):
            if not (target.from_ == name or (target.from_ is None and last)):
                continue
            columns = self.builder.columns
            known = {item.name.lower(): item.name for item in columns}
            for key in target.keys or ():
                if key.lower() not in known:
                    error = FatalError(
                        Code.PLAN_INVALID,
                        f'merge key "{key}" is not a column of the rows; {nearest(key, known.values())}',
                        operation="plan",
                        object=target.table,
                    )
                    raise self._located(error, ("targets", number, "keys"))
            keys = tuple(known[key.lower()] for key in target.keys or ())
            self.stages.append(
                Write(relation, number, self.inputs.stores[number], target.table, target.mode, keys, columns)
            )

    # --------------------------------------------------------------------------------------------- parts

    def _input(self) -> StepInput:
        incremental = self.pipeline.sources[0].incremental
        return StepInput(
            self.builder.columns,
            self.sides,
            self.inputs.variables,
            incremental.column if incremental else None,
            self.pipeline.error_handling.on_row_error,
        )

    def _refuse_partial_groups(self, options: StepOptions) -> None:
        """An incremental batch may hold a part of a group only: its aggregate would be wrong."""
        source = self.pipeline.sources[0]
        if source.mode == "full" or options.type not in ("aggregate", "window", "pivot"):
            return
        if source.recompute == "affected":
            raise FatalError(
                Code.UNSUPPORTED,
                "recompute: affected is not there yet",
                operation="plan",
                object=options.type,
                hint="read the source in full, or assert groups: complete",
            )
        if source.groups != "complete":
            raise FatalError(
                Code.PLAN_INVALID,
                f"an incremental batch may hold a part of a group, so {options.type} after it would be wrong",
                operation="plan",
                object=options.name or options.type,
                hint="say groups: complete at the source if a batch always holds whole groups, or use mode: full",
            )

    def _bind(self, query: exp.Expr, relation: str, columns: Sequence[Column]) -> tuple[Column, ...]:
        try:
            return self.binder.bind(query.sql(DIALECT), {**self.sides, relation: columns})
        except BindingError as error:
            if error.missing:
                names = [item.name for item in columns]
                hint = nearest(error.missing, error.candidates or names)
                raise FatalError(
                    Code.PLAN_INVALID,
                    f'column "{error.missing}" not found; {hint}',
                    operation="plan",
                    object=error.missing,
                    hint="existing columns: " + ", ".join(names),
                ) from error
            raise FatalError(Code.PLAN_INVALID, error.message, operation="plan", object=relation) from error

    def _checked(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        for item in columns:
            if item.name.lower().startswith(INTERNAL):
                raise FatalError(
                    Code.PLAN_INVALID,
                    f'"{item.name}" starts with {INTERNAL}, which headgate keeps for itself',
                    operation="plan",
                    object=item.name,
                    hint="rename the column in the source's query",
                )
        return columns

    def _relation(self, name: str) -> str:
        taken = {stage.relation for stage in self.stages if isinstance(stage, Transform)}
        taken |= {scan.relation for scan in self.inputs.scans}
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        return unique

    def _located(self, error: HeadgateError, path: Sequence[str | int]) -> FatalError:
        """The error with file, line and path of the YAML that it is about; the innermost place wins."""
        if error.problems or not isinstance(error, FatalError):
            return error  # type: ignore[return-value]
        file, line = self.pipeline.where(path)
        dotted = ".".join(str(part) for part in ("pipelines", self.pipeline.name, *path))
        problem = Problem(error.message, file, line, dotted, error.hint)
        return FatalError(
            error.code,
            error.message,
            operation=error.operation,
            object=f"{file}:{line}" if line else error.object,
            hint=error.hint,
            problems=[problem],
        )

    def _assemble(self, last: str) -> Plan:
        stores = tuple(dict.fromkeys(self.inputs.stores))
        body = _replayability(self.stages)
        stages: tuple[Stage, ...] = (
            Claim(self.pipeline.name, stores[0]),
            *self.inputs.scans,
            *body,
            Audit(tuple(self.sets), tuple(self.tables), self.pipeline.error_handling.max_error_percentage),
            Publish(stores[0], stores[1:]),
            Acknowledge(tuple(scan.source for scan in self.inputs.scans if scan.source is not None)),
            Clean(stores),
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
            _fingerprint(stages),
            notes,
            self.inputs.variables,
        )


def _replayability(stages: Sequence[Stage]) -> list[Stage]:
    """Held rows can be replayed unless rows are grouped or reshaped after them."""
    done: list[Stage] = []
    row_wise = True
    for stage in reversed(stages):
        if isinstance(stage, Transform):
            done.append(replace(stage, replayable=row_wise))
            row_wise = row_wise and stage.counted == "rows" and stage.call is None
        else:
            done.append(stage)
    return done[::-1]


def _fingerprint(stages: Sequence[Stage]) -> str:
    """Hash of what the stages do. Notes for people and the run's place in time are no part of it."""
    documents = []
    for stage in stages:
        document = asdict(stage)
        document.pop("note", None)
        documents.append([type(stage).__name__, document])
    return hashlib.sha256(json.dumps(documents, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _unique(names: Sequence[str], taken: set[str]) -> list[str]:
    """Names with a number from the second of the same name on."""
    seen: set[str] = set(taken)
    result = []
    for name in names:
        unique, number = name, 1
        while unique in seen:
            number += 1
            unique = f"{name}_{number}"
        seen.add(unique)
        result.append(unique)
    return result
