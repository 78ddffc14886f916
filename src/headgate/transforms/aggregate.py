"""``aggregate``: one row for each group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, StepOptions
from headgate.sql import expressions
from headgate.sql.expressions import is_aggregate
from headgate.sql.medians import in_doubles
from headgate.sql.metrics import inside_aggregate, metric_text, ordered, outside_aggregates, refuse_unordered
from headgate.sql.naming import distinct
from headgate.sql.ordering import directed
from headgate.sql.shapes import Drop, Note, Project, Reshape, Shape, StepInput, column
from headgate.sql.templates import render_sql
from headgate.sql.truth import refuse_no_condition

HAVING = "_hg_having"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Options(StepOptions):
    """Group rows (NULL is a group too) and compute metrics of each group; without ``group_by`` there is one row.

    Aggregates skip NULLs and see all rows of the run at once.
    """

    type: Literal["aggregate"]
    group_by: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="Columns whose values make a group."
    )
    metrics: dict[str, str] = Field(
        default_factory=dict, description="Column to aggregate expression, such as SUM(total) or COUNT(*)."
    )
    aggregations: dict[str, Names] = Field(
        default_factory=dict,
        description="Column to functions (sum, mean, median, count, nunique, min, max, std, first, p95 …): "
        "each gives a column, such as total_sum; first and last are the values of those rows by order_by, also NULL.",
    )
    having: str | None = Field(
        default=None, description="Keep groups for which this is true; the others count as filtered."
    )
    order_by: Names | None = Field(
        default=None, description="What FIRST, LAST and lists go by, where they say no order."
    )


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """A grouped select. Aggregates skip NULLs, and are NULL (COUNT: 0) where nothing is left."""
    groups = [step.resolve(name) for name in options.group_by]
    metrics = dict(_metrics(options, step))
    if not groups and not metrics:
        return [Note("there is nothing to aggregate: neither group_by nor metrics; the rows go on as they are")]
    distinct([*groups, *metrics])
    query = exp.select(*(column(name) for name in groups)).from_(exp.Table(this=exp.to_identifier("input")))
    for name, text in metrics.items():
        query = query.select(
            exp.alias_(_metric(name, text, groups, options, step), exp.to_identifier(name, quoted=True), quoted=True)
        )
    if groups:
        query = query.group_by(*(column(name) for name in groups))
    if options.having is None:
        return [Reshape(query, grouped=True)]
    query = query.select(exp.alias_(_having(options.having, groups, metrics, options, step), HAVING))
    kept = tuple((name, column(name)) for name in (*groups, *metrics))
    return [Reshape(query, grouped=True), Drop(column(HAVING)), Project(kept)]


def _metrics(options: Options, step: StepInput) -> Iterator[tuple[str, str]]:
    """Each metric's name and expression: those written, then those of ``aggregations``."""
    yield from options.metrics.items()
    for wanted, functions in options.aggregations.items():
        name = wanted if wanted == "*" else step.resolve(wanted)
        for function in functions:
            made = f"{'rows' if name == '*' else name}_{function.lower()}"
            if made in options.metrics:
                raise _refuse(made, f'"{made}" is a metric already', "rename one of them")
            yield made, metric_text(function, name)


def _metric(name: str, text: str, groups: list[str], options: Options, step: StepInput) -> exp.Expr:
    expression = step.expression(text, aggregates=True)
    if not any(is_aggregate(node) for node in expression.walk()):
        raise _refuse(name, f"{text} is not an aggregate", "write SUM(…), COUNT(*) or another aggregate")
    return _checked(name, text, expression, groups, options, step)


def _checked(
    name: str, text: str, expression: exp.Expr, groups: list[str], options: Options, step: StepInput
) -> exp.Expr:
    expression = ordered(expression, [directed(item, step) for item in options.order_by or ()])
    refuse_unordered(expression, text, name)
    for found in outside_aggregates(expression):
        if found.lower() not in {group.lower() for group in groups}:
            raise _refuse(name, f"{found} is neither grouped nor in an aggregate", "add it to group_by")
    return expression


def _having(text: str, groups: list[str], metrics: dict[str, str], options: Options, step: StepInput) -> exp.Expr:
    """A condition over groups, aggregates, and metrics by their names."""
    named = {name.lower(): metric for name, metric in metrics.items()}
    parsed = exp.paren(expressions.parse(render_sql(text, step.variables), aggregates=True))
    for found in list(parsed.find_all(exp.Column)):
        metric = None if inside_aggregate(found) else named.get(found.name.lower())
        meant = column(step.resolve(found.name)) if metric is None else step.expression(metric, aggregates=True)
        found.replace(meant if metric is None else exp.paren(meant))
    refuse_no_condition(parsed, text, step.columns, step.expression_type)
    asked = in_doubles(parsed, step.columns, step.expression_type)
    return _checked("having", text, asked, groups, options, step)


def _refuse(name: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.PLAN_INVALID, why, operation="plan", object=name, hint=hint)
