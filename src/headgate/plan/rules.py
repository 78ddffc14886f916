"""Rules become flags of a pass's verdict, or checks of the audit; each stands at a gate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from headgate.config.models import Pipeline
from headgate.core.contracts import Registry
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.models import RuleOptions
from headgate.plan.audits import AuditBook, Hash, Place
from headgate.plan.checks import Action, Preview, Rule, TableCheck
from headgate.plan.finish import unique_names
from headgate.plan.judging import bind_rules, judge
from headgate.plan.kept import refuse_kept
from headgate.plan.passes import PassBuilder
from headgate.plan.places import located
from headgate.plan.stages import Keep
from headgate.sql.shapes import ALIVE, Measure, RowRule, RuleShape, StepInput, TableRule

Ruled = tuple[Rule, RuleOptions]
_TOGETHER = 50
"""Rules that are bound in one statement: the engine's parser limits how deep it may be."""


@dataclass
class RuleBook:
    """The rules of a pipeline, and what they ask of the audit so far."""

    pipeline: Pipeline
    registry: Registry
    target_step: Callable[[int], str]
    """The name of the step that a target is written from."""
    source_hash: Hash
    audits: AuditBook = field(init=False)
    placed: set[int] = field(default_factory=set)
    """Places of the rules about tables that a target was found for."""

    def __post_init__(self) -> None:
        self.audits = AuditBook(self.registry, self.source_hash)
        options = self.pipeline.quality_rules
        names = unique_names([rule.name or rule.type for rule in options], set())
        mode = self.pipeline.error_handling.validation
        rules = [
            (Rule(name, rule.severity, _action(rule, mode), "", place, rule.type, rule.stage), rule)
            for place, (name, rule) in enumerate(zip(names, options, strict=True))
        ]
        self._rules = [(rule, one) for rule, one in rules if one.enabled and mode != "off"]
        self.audits.skipped = [rule for rule, one in rules if not one.enabled or mode == "off"]

    def after(self, step: str, *, last: bool) -> list[Ruled]:
        """The rules to check after a step; those that name none belong to the last."""
        return [
            (rule, options)
            for rule, options in self._rules
            if options.stage == "transform" and (options.step == step or (last and not options.step))
        ]

    def extracted(self) -> list[Ruled]:
        """The rules about rows as they were read."""
        return [(rule, options) for rule, options in self._rules if options.stage == "extract"]

    def about_sets(self, rules: Sequence[Ruled], given: StepInput) -> bool:
        """Whether some of the rules are about all rows together."""
        return any(not isinstance(self._shape(rule, options, given), RowRule) for rule, options in rules)

    def judge(
        self,
        rules: Sequence[Ruled],
        builder: PassBuilder,
        given: StepInput,
        relation: str,
        step: str,
        *,
        within: bool = False,
    ) -> tuple[tuple[Rule, ...], Keep | None]:
        """Row rules go into the verdict of the pass, the others into the audit.

        Args:
            within: more steps follow in the same pass.

        Returns:
            The rules with their messages, and the columns to spool for the audit, if any.
        """
        rows: list[tuple[Rule, RowRule]] = []
        bound = 0
        known: list[Rule] = []
        spooled: list[str] = []
        place = Place(f"{relation}_audit", relation, given, builder.bind)
        for rule, options in rules:
            try:
                shape = self._shape(rule, options, given)
            except HeadgateError:
                self._bind(rows[bound:], builder)  # what is wrong with an earlier rule is told first
                raise
            rule = _described(rule, shape)
            known.append(rule)
            if isinstance(shape, RowRule):
                self._refuse_kept(rule, given)
                rows.append((rule, shape))
                continue
            self._bind(rows[bound:], builder)
            bound = len(rows)
            try:
                if isinstance(shape, TableRule):
                    self._table_rule(rule, shape, step)
                else:
                    spooled += self.audits.add(rule, options, shape, place)
            except HeadgateError as error:
                raise self._at(rule, error) from error.__cause__
        self._bind(rows[bound:], builder)
        judge(builder, rows, step, within=within)
        return tuple(known), self._spool(relation, place.spool, tuple(dict.fromkeys(spooled)), builder)

    def _refuse_kept(self, rule: Rule, given: StepInput) -> None:
        if rule.action == "quarantine":
            try:
                refuse_kept(given.columns)
            except FatalError as error:
                raise self._at(rule, error) from None

    def _bind(self, rows: Sequence[tuple[Rule, RowRule]], builder: PassBuilder) -> None:
        """Bind rules about rows; one by one only to find which is wrong, so that the error points to its line."""
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            try:
                bind_rules(builder, [shape for _, shape in some])
            except HeadgateError:
                for rule, shape in some:
                    try:
                        bind_rules(builder, [shape])
                    except HeadgateError as error:
                        raise self._at(rule, error) from error.__cause__

    def _spool(self, relation: str, spool: str, columns: tuple[str, ...], builder: PassBuilder) -> Keep | None:
        """What the audit reads of the pass; rows that break several rules are to be told from each other."""
        ruled = any(note.of_rule for note in builder.notes)
        audits = self.audits
        nulls = [check.nulls for check in audits.measures if check.spool == spool and check.nulls]
        calls = any(check.spool == spool for check in audits.calls)
        told = calls or any(check.rows for check in audits.sets if check.spool == spool)
        alone = not (ruled or told) and sum(map(len, nulls)) < 2
        missing = () if alone else tuple(dict.fromkeys(name for names in nulls for name in names))
        if not columns and not missing:
            return None
        notes = builder.verdict.note_columns if ruled and (told or missing) else ()
        return Keep(relation, spool, columns, notes, missing, calls)

    def load_gate(self, step: str, target: int, given: StepInput, bind: Callable[..., object], *, last: bool) -> None:
        """The rules about the table that ``target`` writes from ``step``, as it will be."""
        wanted: list[str] = []
        place = Place(f"{step}_load_{target}", "", given, bind)  # type: ignore[arg-type]
        for rule, options in self._rules:
            if options.stage != "load" or not (options.step == step or (last and not options.step)):
                continue
            shape = self._shape(rule, options, given)
            again = rule.place in self.placed
            self.placed.add(rule.place)
            rule = _described(rule, shape)
            try:
                if again and isinstance(shape, Measure) and shape.remembers:
                    raise FatalError(
                        Code.PLAN_INVALID,
                        f"{rule.kind} remembers one table, and the step is written into several",
                        operation="plan",
                        object=rule.name,
                        hint="leave out stage: load, or give each target a named step of its own and the rule step:",
                    )
                match shape:
                    case RowRule():
                        wanted += self.audits.count(rule, shape, place)
                    case TableRule():
                        self.audits.tables.append(TableCheck(rule, target, shape.columns))
                    case _:
                        wanted += self.audits.add(rule, options, shape, place)
            except HeadgateError as error:
                raise self._at(rule, error) from error.__cause__
        if self.audits.reads(place.spool):
            columns = tuple(item for item in given.columns if item.name in wanted) or given.columns[:1]
            self.audits.previews.append(Preview(place.spool, target, columns))

    def refuse_unplaced(self) -> None:
        """A rule about a table that no target writes would never be checked."""
        if self.pipeline.targets:
            for rule, options in self._rules:
                if options.stage == "load" and rule.place not in self.placed:
                    error = FatalError(
                        Code.PLAN_INVALID,
                        f'stage: load needs a target that is written from "{options.step}"',
                        operation="plan",
                        object=rule.name,
                        hint="name the step of a target with step:, or drop it",
                    )
                    raise self._at(rule, error)

    def refuse_remembering(self, hidden: Collection[str]) -> None:
        """Texts that a rule compares with are kept in receipts, where personal data must not stand."""
        for check in self.audits.measures:
            for item in check.columns if check.remembers else ():
                if item.name.lower() in hidden and item.type.upper() == "VARCHAR":
                    error = FatalError(
                        Code.PLAN_INVALID,
                        f"{item.name} holds personal data, and its frequent values would be remembered in receipts",
                        operation="plan",
                        object=check.rule.name,
                        hint="look at another column",
                    )
                    raise self._at(check.rule, error)

    def _shape(self, rule: Rule, options: RuleOptions, given: StepInput) -> RuleShape:
        try:
            shape: RuleShape = self.registry.module("quality", options.type).shapes(options, given)
        except HeadgateError as error:
            raise self._at(rule, error) from error.__cause__
        return shape

    def _at(self, rule: Rule, error: HeadgateError) -> HeadgateError:
        return located(error, self.pipeline, ("quality_rules", rule.place))

    def _table_rule(self, rule: Rule, shape: TableRule, step: str) -> None:
        found = [index for index in range(len(self.pipeline.targets)) if self.target_step(index) == step]
        if not found:
            raise FatalError(
                Code.PLAN_INVALID,
                f'scope: table needs a target that is written from "{step}"',
                operation="plan",
                object=rule.name,
                hint="name the step of a target with step:, or drop scope: table",
            )
        self.audits.tables.extend(TableCheck(rule, target, shape.columns) for target in found)


def _action(rule: RuleOptions, mode: str) -> Action:
    return "warn" if mode == "warn" and rule.action == "fail" else rule.action


def _described(rule: Rule, shape: RuleShape) -> Rule:
    """The rule with what it expects and what it reads."""
    columns = (
        tuple(dict.fromkeys(found.name for found in shape.holds.find_all(exp.Column) if found.name != ALIVE))
        if isinstance(shape, RowRule)
        else shape.columns
    )
    return replace(rule, message=shape.message, columns=columns)


def alone(rules: Sequence[tuple[Rule, RowRule]]) -> tuple[tuple[str, str], ...]:
    """For each rule the condition of rows that break it, if each can be asked alone: none looks at other rows."""
    if any(shape.holds.find(exp.Window) for _, shape in rules):
        return ()
    return tuple((rule.name, exp.Not(this=exp.paren(shape.holds.copy())).sql("duckdb")) for rule, shape in rules)
