"""``aggregate``: a condition about sums, means and counts, of all rows or of each group."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, RuleOptions
from headgate.sql import expressions
from headgate.sql.shapes import Judgement, Measure, Measured, SetRule, StepInput, column


class Options(RuleOptions):
    """A condition with aggregates is not false, such as AVG(total) BETWEEN 10 AND 20. NULL passes."""

    type: Literal["aggregate"]
    condition: str = Field(
        description="A SQL condition over aggregates: SUM, AVG, MIN, MAX, COUNT, COUNT(DISTINCT x) …"
    )
    group_by: Names | None = Field(default=None, description="Ask it of each group; failing groups are counted.")

    @model_validator(mode="after")
    def _about_all(self) -> Options:
        if not self.group_by:
            self.refuse_max_failed("put the limit into the condition")
        elif self.tolerance.percent is not None:
            raise ValueError(
                "groups that break the condition are counted: say as a number how many may, not as a share"
            )
        if self.on_fail == "quarantine":
            raise ValueError("a condition about all rows cannot hold single rows back; use fail, warn or record")
        return self


def shapes(options: Options, step: StepInput) -> Measure | SetRule:
    """Without groups it shares the scan of all aggregates; with groups it has its own."""
    condition = _condition(options, step)
    read = tuple(expressions.columns(condition))
    message = options.description or options.condition
    if not options.group_by:
        return Measure(read or (step.names[0],), message, delivery=True)
    groups = [step.resolve(name) for name in dict.fromkeys(options.group_by)]
    failing = (
        exp.select(*(column(name) for name in groups), *_observed(condition, named=True))
        .from_("input")
        .group_by(*(column(name) for name in groups))
        .having(exp.Not(this=exp.paren(condition)))
    )
    count = exp.select(
        exp.Count(this=exp.Star()), exp.DPipe(this=exp.cast(exp.Count(this=exp.Star()), "TEXT"), expression=_GROUPS)
    ).from_(failing.subquery("g"))
    columns = tuple(dict.fromkeys((*groups, *read)))
    return SetRule(columns, count, f"{message} in each {', '.join(groups)}", failing, delivery=True)


_GROUPS = exp.Literal.string(" groups")


def values(options: Options, step: StepInput, past: object) -> tuple[exp.Expr, ...]:  # noqa: ARG001 - of measures
    """The condition, and each aggregate in it for people to see."""
    condition = _condition(options, step)
    return (condition, *_observed(condition, named=False))


def verdict(options: Options, measured: Measured) -> Judgement:  # noqa: ARG001 - the signature of measures
    """NULL passes."""
    holds, *found = measured.values
    observed = ", ".join("NULL" if value is None else str(value) for value in found)
    return Judgement(int(holds is False), observed)


def _condition(options: Options, step: StepInput) -> exp.Expr:
    condition = step.condition(options.condition, aggregates=True)
    if not any(expressions.is_aggregate(node) for node in condition.walk()):
        raise FatalError(
            Code.PLAN_INVALID,
            "the condition has no aggregate",
            operation="plan",
            object=options.condition,
            hint="write AVG(x) > 1, or use expression for a condition about each row",
        )
    return exp.cast(exp.paren(condition), exp.DType.BOOLEAN)


def _observed(condition: exp.Expr, *, named: bool) -> list[exp.Expr]:
    """The aggregates of the condition, each once, as text."""
    found: dict[str, exp.Expr] = {}
    for node in condition.walk():
        inner = any(expressions.is_aggregate(outer) for outer in _above(node))
        if expressions.is_aggregate(node) and not inner and not isinstance(node.parent, exp.Filter):
            found.setdefault(node.sql("duckdb"), exp.cast(node.copy(), "TEXT"))
    if named:
        return [exp.alias_(value, exp.to_identifier(text, quoted=True), quoted=True) for text, value in found.items()]
    return list(found.values())


def _above(node: exp.Expr) -> list[exp.Expr]:
    parents = []
    parent = node.parent
    while parent is not None:
        parents.append(parent)
        parent = parent.parent
    return parents
