"""``categorize``: a name for each row, by bands, lists of values or conditions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.core.models import Model, Names, StepOptions
from headgate.sql.bounds import bounded
from headgate.sql.conditions import among, below, type_of
from headgate.sql.failures import attempt, can_fail, failed
from headgate.sql.naming import distinct
from headgate.sql.orders import refuse_empty, refuse_unordered
from headgate.sql.shapes import Flag, Project, Shape, StepInput, column
from headgate.sql.templates import refuse_in_value
from headgate.sql.types import SqlType
from headgate.sql.windows import over

HIDDEN = "_hg_quantile"
Edge = int | float | Decimal | datetime | date | time | str


class Category(Model):
    """One category: a band, a list of values, or a condition."""

    name: str = Field(description="What such rows are called.")
    min: Edge | None = Field(default=None, description="The lowest value of the band; default no limit.")
    below: Edge | None = Field(default=None, description="The first value above the band; default no limit.")
    min_quantile: float | None = Field(
        default=None, ge=0, le=1, description="Instead of min: the value below which this share of all rows lies."
    )
    below_quantile: float | None = Field(default=None, ge=0, le=1, description="Instead of below, likewise.")
    values: tuple[Any, ...] | None = Field(default=None, min_length=1, description="A list of values.")
    condition: str | None = Field(default=None, description="A SQL condition; needs no column.")

    @model_validator(mode="after")
    def _one_form(self) -> Category:
        band = [self.min, self.below, self.min_quantile, self.below_quantile]
        forms = [any(edge is not None for edge in band), self.values is not None, self.condition is not None]
        if sum(forms) != 1:
            raise ValueError(f"{self.name} needs a band (min, below), or values, or a condition")
        if None not in (self.min, self.min_quantile) or None not in (self.below, self.below_quantile):
            raise ValueError(f"{self.name} has an edge twice")
        refuse_empty(("min", "below"), self.min, self.below, strict=self.below != math.inf)  # it takes infinity in
        refuse_empty(("min_quantile", "below_quantile"), self.min_quantile, self.below_quantile, strict=True)
        return self


class Options(StepOptions):
    """Name a category for each row: the first whose band, list or condition fits. Those behind it are not asked.

    Bands are half open: ``min`` lies inside, ``below`` does not, so bands that meet leave no gap. Quantiles are those
    of the column over all rows of the run that are still good, interpolated; NULLs do not count.
    """

    type: Literal["categorize"]
    column: str | None = Field(default=None, description="The column that bands and lists look at.")
    into: str | None = Field(default=None, description="The new column; default COLUMN_category.")
    categories: tuple[Category, ...] = Field(default=(), description="In the order in which they are tried.")
    bins: tuple[Edge, ...] | None = Field(
        default=None, min_length=2, description="Instead of categories: edges of bands that meet; the last may be .inf."
    )
    labels: Names | None = Field(
        default=None, description="With bins: names of the bands between them; one more is for all above."
    )
    else_: str = Field(default="Other", alias="else", description="For rows that fit none.")
    no_else: bool = Field(default=False, description="Rows that fit none are NULL instead.")
    nulls: str | None = Field(default=None, description="For rows whose column is NULL; default NULL.")

    @model_validator(mode="after")
    def _complete(self) -> Options:
        if bool(self.categories) == (self.bins is not None):
            raise ValueError("say either categories, or bins and labels")
        if self.bins is not None and len(self.labels or ()) not in (len(self.bins) - 1, len(self.bins)):
            raise ValueError("labels name the bands between bins, so there is one fewer; one more is for those above")
        refuse_unordered(self.bins or (), "bins")
        if self.no_else and "else_" in self.model_fields_set:
            raise ValueError("no_else says that rows that fit none are NULL: drop it, or else")
        if self.column is None and (self.bins or any(one.condition is None for one in self.categories)):
            raise ValueError("bands and lists need a column")
        if self.column is None and self.into is None:
            raise ValueError("say into: the name of the new column")
        return self


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One projection; quantiles are windows over all rows, in a projection before it."""
    name = step.resolve(options.column) if options.column is not None else None
    into = options.into or f"{name}_category"
    found: list[Shape] = []
    edges = _quantiles(options, name, step)
    if edges:
        found.append(Project((*step.keep_all(), *edges.values())))
    case, flags = exp.Case(), []
    decided: list[exp.Expr] = []
    if name is not None:
        decided.append(exp.Is(this=column(name), expression=exp.null()))
        case = case.when(decided[0].copy(), _text(options.nulls))
    for category in _categories(options):
        fits = _fits(category, name, edges, step)
        if can_fail(fits, [*step.columns, *(Column(alias, "DOUBLE") for alias, _ in edges.values())]):
            wrong = exp.and_(*(_untrue(one) for one in decided), failed(fits))
            flags.append(Flag(f"categorize {category.name}", wrong, (into,), f"it can be told: {category.condition}"))
            fits = attempt(fits)
        decided.append(fits)
        case = case.when(fits.copy(), exp.Literal.string(category.name))
    spelling = {other.lower(): other for other in step.names}
    old = spelling.get(into.lower(), into)
    values = {into if other == old else other: value for other, value in step.keep_all()}
    values[into] = exp.cast(case.else_(_text(None if options.no_else else options.else_)), exp.DType.TEXT)
    distinct(values)
    return [*found, Project(tuple(values.items()), tuple(flags))]


def _untrue(decided: exp.Expr) -> exp.Expr:
    """It is false or NULL: a category behind one that fits is not asked, as if it were not there."""
    return exp.func("COALESCE", exp.Not(this=exp.paren(decided.copy())), exp.true())


def _categories(options: Options) -> Iterator[Category]:
    if options.bins is None:
        yield from options.categories
        return
    ends = [*options.bins[1:], None]
    for label, low, high in zip(options.labels or (), options.bins, ends, strict=False):
        yield Category(name=label, min=low, below=high)


def _fits(category: Category, name: str | None, edges: dict[float, tuple[str, exp.Expr]], step: StepInput) -> exp.Expr:
    if category.condition is not None:
        return exp.paren(step.condition(category.condition))
    assert name is not None
    type_ = type_of(name, step)
    refuse_in_value([category.min, category.below, *(category.values or ())])
    if category.values is not None:
        return among(name, type_, category.values)
    parts = []
    if category.min == math.inf:
        parts.append(_infinite(name, type_))
    elif category.min is not None and category.min != -math.inf:
        parts.append(bounded(column(name), name, type_, category.min, None))
    if category.below == -math.inf:
        parts.append(exp.false())
    elif category.below is not None and category.below != math.inf:
        parts.append(below(name, type_, category.below))
    number = exp.cast(column(name), exp.DType.DOUBLE)
    if category.min_quantile is not None:
        parts.append(exp.GTE(this=number.copy(), expression=column(edges[category.min_quantile][0])))
    if category.below_quantile is not None:
        parts.append(exp.LT(this=number.copy(), expression=column(edges[category.below_quantile][0])))
    if type_.family == "float":
        parts.append(exp.Not(this=exp.Anonymous(this="ISNAN", expressions=[column(name)])))
    return exp.and_(*parts) if parts else exp.EQ(this=column(name), expression=column(name))


def _infinite(name: str, type_: SqlType) -> exp.Expr:
    """At or above infinity: what only doubles reach."""
    if type_.family != "float":
        return exp.false()
    infinite = exp.Anonymous(this="ISINF", expressions=[column(name)])
    return exp.and_(infinite, exp.GT(this=column(name), expression=exp.Literal.number(0)))


def _quantiles(options: Options, name: str | None, step: StepInput) -> dict[float, tuple[str, exp.Expr]]:
    """Every quantile that an edge asks for: a hidden column and its value over all rows."""
    asked = [edge for one in options.categories for edge in (one.min_quantile, one.below_quantile) if edge is not None]
    if not asked or name is None:
        return {}
    if type_of(name, step).family not in ("integer", "decimal", "float"):
        raise FatalError(
            Code.PLAN_INVALID,
            f"{name} is {step.type_of(name)}; quantiles are those of numbers",
            operation="plan",
            object=name,
            hint="cast it to a number in a step before, or write min and below",
        )
    number = exp.cast(column(name), exp.DType.DOUBLE)
    counted = exp.Where(this=exp.Not(this=exp.Anonymous(this="ISNAN", expressions=[number])))
    found = {}
    for place, share in enumerate(dict.fromkeys(asked)):
        quantile = exp.Anonymous(this="QUANTILE_CONT", expressions=[number.copy(), exp.Literal.number(repr(share))])
        found[share] = (f"{HIDDEN}{place}", over(exp.Filter(this=quantile, expression=counted.copy())))
    return found


def _text(value: str | None) -> exp.Expr:
    return exp.null() if value is None else exp.Literal.string(value)
