"""Rules become flags of a pass's verdict, or checks of the audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from headgate.config.models import Pipeline
from headgate.core.contracts import Registry
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.models import RuleOptions
from headgate.plan.finish import unique_names
from headgate.plan.passes import DIALECT, PassBuilder
from headgate.plan.places import located
from headgate.plan.stages import Keep, Rule, SetCheck, TableCheck
from headgate.sql.shapes import RowRule, SetRule, StepInput, TableRule


@dataclass
class RuleBook:
    """The rules of a pipeline, and what they ask of the audit so far."""

    pipeline: Pipeline
    registry: Registry
    target_step: Callable[[int], str]
    """The name of the step that a target is written from."""
    sets: list[SetCheck] = field(default_factory=list)
    tables: list[TableCheck] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = unique_names([rule.name or rule.type for rule in self.pipeline.quality_rules], set())
        self._rules = [
            (Rule(name, rule.severity, rule.action, "", place), rule)
            for place, (name, rule) in enumerate(zip(names, self.pipeline.quality_rules, strict=True))
        ]

    def after(self, step: str, *, last: bool) -> list[tuple[Rule, RuleOptions]]:
        """The rules to check after a step; those that name none belong to the last."""
        return [(rule, options) for rule, options in self._rules if options.step == step or (last and not options.step)]

    def judge(
        self,
        rules: Sequence[tuple[Rule, RuleOptions]],
        builder: PassBuilder,
        given: StepInput,
        relation: str,
        step: str,
    ) -> tuple[tuple[Rule, ...], Keep | None]:
        """Row rules go into the verdict of the pass, the others into the audit.

        Returns:
            The rules with their messages, and the columns to spool for the audit, if any.
        """
        rows: list[tuple[Rule, RowRule]] = []
        known: list[Rule] = []
        spooled: list[str] = []
        for rule, options in rules:
            try:
                shape = self.registry.module("quality", options.type).shapes(options, given)
                rule = replace(rule, message=shape.message)
                known.append(rule)
                match shape:
                    case RowRule():
                        _bind_alone(shape, builder)
                        rows.append((rule, shape))
                    case SetRule():
                        spooled += self._set_rule(rule, shape, builder, f"{relation}_audit")
                    case TableRule():
                        self._table_rule(rule, shape, step)
            except HeadgateError as error:
                raise located(error, self.pipeline, ("quality_rules", rule.place)) from error.__cause__
        builder.check(rows, step)
        keep = Keep(relation, f"{relation}_audit", tuple(dict.fromkeys(spooled))) if spooled else None
        return tuple(known), keep

    def _set_rule(self, rule: Rule, shape: SetRule, builder: PassBuilder, spool: str) -> tuple[str, ...]:
        if rule.action == "quarantine":
            raise FatalError(
                Code.UNSUPPORTED,
                "a rule about all rows together cannot hold single rows back",
                operation="plan",
                object=rule.name,
                hint="use on_fail: fail, warn or record",
            )
        columns = shape.columns or (builder.columns[0].name,)
        query = shape.query.copy()
        for table in query.find_all(exp.Table):
            if table.name.lower() == "input":
                table.set("this", exp.to_identifier(spool, quoted=True))
        builder.bind(query, spool, [item for item in builder.columns if item.name in columns])
        self.sets.append(SetCheck(rule, spool, query.sql(DIALECT)))
        return columns

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
        self.tables.extend(TableCheck(rule, target, shape.columns) for target in found)


def _bind_alone(shape: RowRule, builder: PassBuilder) -> None:
    """Bind one rule by itself first, so that an error points to its line."""
    trial = replace(builder, ctes=list(builder.ctes), holds=[], notes=[], extra=list(builder.extra), ruled=[])
    trial.check([(Rule("", "error", "warn", "", 0), shape)], "")
