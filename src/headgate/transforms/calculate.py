"""``calculate``: new columns from expressions."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import StepOptions
from headgate.sql import expressions
from headgate.sql.casts import fits
from headgate.sql.comparisons import refuse_impossible
from headgate.sql.failures import attempt, can_fail, failed, there
from headgate.sql.naming import distinct
from headgate.sql.shapes import Flag, Project, Shape, StepInput, column, missing_column
from headgate.sql.templates import render_sql
from headgate.sql.truncations import of_moments
from headgate.sql.types import parse_type

MAX_NODES = 5_000
"""Nodes of one expression after the names of earlier ones were put in; a chain of them doubles quickly."""


class Options(StepOptions):
    """Add columns, or replace them, by expressions; each may use the columns before it, in the order written."""

    type: Literal["calculate"]
    columns: dict[str, str | int | float | Decimal | bool] = Field(
        min_length=1, description="Column to SQL expression. An expression that raises makes its row a row error."
    )
    condition: str | None = Field(
        default=None,
        description="Compute only where this is true; elsewhere columns keep their value, new ones are NULL.",
    )


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One projection: earlier columns are put into later expressions, so that held rows stay as they came in."""
    distinct(options.columns)
    spelling = {name.lower(): name for name in step.names}
    values = dict(step.keep_all())
    earlier: dict[str, exp.Expr] = {}
    flags = []
    for wanted, written in options.columns.items():
        text = str(written)
        parsed = _parse(text, step, [*step.names, *options.columns], earlier)
        if options.condition is not None:
            before = earlier.get(wanted.lower()) or (
                column(spelling[wanted.lower()]) if wanted.lower() in spelling else None
            )
            met = exp.paren(step.condition(options.condition))
            chosen = exp.Case().when(met, parsed).else_(before.copy() if before else exp.null())
            if before is not None:
                _refuse_rounding(wanted, text, before, chosen, step)
            parsed = chosen
        if can_fail(parsed, step.columns):
            message, computed = f"{wanted} can be computed: {text}", attempt(parsed)
            flags.append(Flag(f"calculate {wanted}", failed(parsed), (wanted,), message, there(computed)))
            parsed = computed
        name = spelling.setdefault(wanted.lower(), wanted)
        values[name] = parsed
        earlier[name.lower()] = exp.paren(parsed)
    if spelling_changed := [name for name in options.columns if spelling[name.lower()] != name]:
        values = _respelled(values, spelling_changed)
    return [Project(tuple(values.items()), tuple(flags))]


def _parse(text: str, step: StepInput, names: list[str], earlier: dict[str, exp.Expr]) -> exp.Expr:
    parsed = expressions.parse(render_sql(text, step.variables))
    known = {name.lower() for name in step.names} | set(earlier)
    quoted = expressions.quoted(parsed)
    for name in expressions.columns(parsed):
        if name.lower() not in known:
            raise _unknown(name, names, [*step.names, *earlier], quoted=name in quoted)
    refuse_impossible(parsed, [known for known in step.columns if known.name.lower() not in earlier])
    whole = expressions.rename_columns(parsed, {name.lower(): column(name) for name in step.names} | earlier)
    whole = of_moments(whole, step.columns)
    if sum(1 for _ in whole.walk()) > MAX_NODES:
        raise FatalError(
            Code.PLAN_INVALID,
            "the expression, with those it builds on, is too large",
            operation="plan",
            object=text[:200],
            hint="split the step in two",
        )
    return whole


def _refuse_rounding(name: str, text: str, before: exp.Expr, chosen: exp.Expr, step: StepInput) -> None:
    """Where the condition is not met a column keeps its value; as a double it might be another one."""
    if step.expression_type is None:
        return
    old, new = (parse_type(step.expression_type(one, step.columns)) for one in (before, chosen))
    if old.family in ("integer", "decimal") and new.family == "float" and not fits(old, new):
        raise FatalError(
            Code.PLAN_INVALID,
            f"{name} is {old.name}, and {text} is {new.name}, which does not hold every value of it",
            operation="plan",
            object=name,
            hint=f"write CAST({text} AS {old.name}), or cast {name} in a step before",
        )


def _unknown(name: str, names: list[str], known: list[str], *, quoted: bool) -> FatalError:
    if name.lower() in {other.lower() for other in names}:
        return FatalError(
            Code.PLAN_INVALID,
            f'"{name}" is used before it is calculated',
            operation="plan",
            object=name,
            hint="expressions are computed in the order written; move it up",
        )
    return missing_column(name, known, quoted=quoted)


def _respelled(values: dict[str, exp.Expr], names: list[str]) -> dict[str, exp.Expr]:
    """Columns that were replaced take the spelling of the step."""
    new = {name.lower(): name for name in names}
    return {new.get(name.lower(), name): value for name, value in values.items()}
