"""``aggregate``: one row for each group."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import StepOptions
from headgate.sql.expressions import is_aggregate
from headgate.sql.naming import distinct
from headgate.sql.shapes import Reshape, Shape, StepInput, column

_NEED_ORDER: tuple[type[exp.Expr], ...] = (exp.First, exp.Last, exp.ArrayAgg, exp.GroupConcat)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Options(StepOptions):
    """Group rows (NULL is a group too) and compute metrics of each group; without ``group_by`` there is one row."""

    type: Literal["aggregate"]
    group_by: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="Columns whose values make a group."
    )
    metrics: dict[str, str] = Field(
        default_factory=dict, description="Column to aggregate expression, such as SUM(total) or COUNT(*)."
    )


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """A grouped select. Aggregates skip NULLs, and are NULL (COUNT: 0) where nothing is left."""
    if not options.group_by and not options.metrics:
        raise FatalError(
            Code.PLAN_INVALID, "an aggregate needs group_by or metrics", operation="plan", hint="add metrics"
        )
    groups = [step.resolve(name) for name in options.group_by]
    distinct([*groups, *options.metrics])
    query = exp.select(*(column(name) for name in groups)).from_(exp.Table(this=exp.to_identifier("input")))
    for name, text in options.metrics.items():
        query = query.select(
            exp.alias_(_metric(name, text, groups, step), exp.to_identifier(name, quoted=True), quoted=True)
        )
    if groups:
        query = query.group_by(*(column(name) for name in groups))
    return [Reshape(query, grouped=True)]


def _metric(name: str, text: str, groups: list[str], step: StepInput) -> exp.Expr:
    expression = step.expression(text, aggregates=True)
    if not any(is_aggregate(node) for node in expression.walk()):
        raise _refuse(name, f"{text} is not an aggregate", "write SUM(…), COUNT(*) or another aggregate")
    for node in expression.find_all(*_NEED_ORDER):
        if not node.find(exp.Order):
            raise _refuse(
                name,
                f"{text} depends on the order of the rows, which is not fixed",
                "say it: " + "AGGREGATE(x ORDER BY y)",
            )
    for found in expression.find_all(exp.Column):
        if not _inside_aggregate(found) and found.name.lower() not in {group.lower() for group in groups}:
            raise _refuse(name, f"{found.name} is neither grouped nor in an aggregate", "add it to group_by")
    return expression


def _inside_aggregate(node: exp.Expr) -> bool:
    above = node.parent
    while above is not None:
        if is_aggregate(above) or isinstance(above, exp.Filter | exp.WithinGroup):
            return True
        above = above.parent
    return False


def _refuse(name: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.PLAN_INVALID, why, operation="plan", object=name, hint=hint)
