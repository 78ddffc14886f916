"""``drift``: values are spread as they were."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import sqlglot
from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Model, RuleOptions
from headgate.core.values import plain
from headgate.sql.conditions import type_of
from headgate.sql.shapes import Judgement, Measure, Measured, StepInput, column
from headgate.sql.types import SqlType

_NUMBERS = ("integer", "decimal", "float")
_LIMITS = {"psi": 0.2, "ks": 0.1}
_FLOOR = 1e-4
"""A bin that is empty counts as this share: PSI takes logarithms."""
_LESS = 1e-12
_CHI2_Z = 3.0902
"""The 99.9th percentile of the normal distribution."""


class Given(Model):
    """A distribution that is written down: bins, and how many rows (or which share) each holds."""

    edges: tuple[float, ...] | None = Field(default=None, min_length=1, description="Of numbers: a bin ends at each.")
    values: tuple[str, ...] | None = Field(default=None, min_length=1, description="Of texts: a bin each.")
    counts: tuple[float, ...] = Field(description="Rows or shares of each bin, and last of what lies beyond them.")

    @model_validator(mode="after")
    def _fits(self) -> Given:
        bins = self.edges or self.values or ()
        if (self.edges is None) == (self.values is None):
            raise ValueError("a baseline has either edges (of numbers) or values (of texts)")
        if list(bins) != sorted(set(bins), key=list(bins).index) or (self.edges and list(bins) != sorted(bins)):
            raise ValueError("edges grow, and values differ")
        if len(self.counts) != len(bins) + 1 or min(self.counts) < 0 or not sum(self.counts):
            raise ValueError(f"counts are {len(bins) + 1} numbers, none negative: of each bin, and of what is beyond")
        return self


class Options(RuleOptions):
    """The distribution of a column is that of an earlier published run that read alike (see volume), within a limit.

    Numbers fall into bins that hold equal shares of the first run's values; texts and truth values into their most
    frequent ones and the rest. NULLs are not looked at. The first two runs make and fill the bins, unless the
    distribution is written down.
    """

    type: Literal["drift"]
    column: str = Field(description="A number, text or truth value.")
    method: Literal["psi", "ks", "chi2"] = Field(
        default="psi",
        description="psi: population stability index; ks: the largest distance of the distribution functions, for "
        "numbers; chi2: whether the counts can come from one distribution, at 99.9 %.",
    )
    threshold: float | None = Field(
        default=None, gt=0, description="The largest value that passes; default 0.2 for psi, 0.1 for ks. Not for chi2."
    )
    bins: int = Field(default=10, ge=2, le=50, description="Bins of numbers, or frequent values of texts.")
    baseline: Literal["first", "last"] = Field(
        default="first", description="Compare with the first run that is remembered, or with the last one."
    )
    expected: Given | None = Field(
        default=None,
        description="Compare with this distribution, and remember none: {edges, counts} or {values, counts}.",
    )

    @model_validator(mode="after")
    def _about_all(self) -> Options:
        self.refuse_max_failed("threshold is its limit")
        if self.on_fail == "quarantine":
            raise ValueError("a distribution cannot hold single rows back; use fail, warn or record")
        if self.method == "chi2" and self.threshold is not None:
            raise ValueError("chi2 has its limit from the number of bins")
        if self.method == "chi2" and self.expected is not None and any(count % 1 for count in self.expected.counts):
            raise ValueError("chi2 compares numbers of rows; write those as counts, or choose psi or ks")
        return self


def shapes(options: Options, step: StepInput) -> Measure:
    """Counts of bins."""
    name = step.resolve(options.column)
    type_ = type_of(name, step)
    if type_.family not in (*_NUMBERS, "text", "boolean") or (options.method == "ks" and type_.family not in _NUMBERS):
        raise FatalError(
            Code.PLAN_INVALID,
            f"drift by {options.method} cannot be told of {name}, which is {type_.name}",
            operation="plan",
            object=name,
            hint="choose a number, a text or a truth value; ks is for numbers",
        )
    given = options.expected
    if given is not None and (given.edges is None) == (type_.family in _NUMBERS):
        raise FatalError(
            Code.PLAN_INVALID,
            f"{name} is {type_.name}, and the baseline is of {'texts' if given.edges is None else 'numbers'}",
            operation="plan",
            object=name,
            hint="write edges for numbers, values for texts",
        )
    return Measure((name,), f"{name} spread as before ({options.method})", remembers=given is None, delivery=True)


def values(options: Options, step: StepInput, past: Sequence[Mapping[str, Any]]) -> tuple[exp.Expr, ...]:
    """The counts in the baseline's bins; without one, what bins are made of: quantiles, or frequent values."""
    name = step.resolve(options.column)
    type_ = type_of(name, step)
    here = exp.cast(column(name), "DOUBLE" if type_.family in _NUMBERS else "TEXT")
    before = _baseline(options, past)
    if before is not None:
        return tuple(exp.CountIf(this=condition) for condition in _bins(here, before["edges"], type_))
    if type_.family in _NUMBERS:
        # 5/6 as a double is a little more: times 6 rows it would be rounded up to the next row
        steps = [exp.Literal.number(f"{number / options.bins - _LESS:.15f}") for number in range(1, options.bins)]
        made: exp.Expr = exp.Anonymous(this="QUANTILE_DISC", expressions=[here, exp.Array(expressions=steps)])
    else:
        made = _frequent(here, options.bins)
    return (made, exp.Count(this=here.copy()))


def _frequent(here: exp.Expr, most: int) -> exp.Expr:
    """The most frequent values, of equally frequent ones the smaller: no approximation, which threads would change."""
    counted = "LIST_TRANSFORM(MAP_ENTRIES(HISTOGRAM(x)), LAMBDA e : {'n': -CAST(e.value AS BIGINT), 'v': e.key})"
    text = f"LIST_TRANSFORM(LIST_SORT({counted})[1:{most}], LAMBDA e : e.v)"
    made = sqlglot.parse_one(text, dialect="duckdb")
    for found in list(made.find_all(exp.Column)):
        if found.name == "x":
            found.replace(here.copy())
    return made


def verdict(options: Options, measured: Measured) -> Judgement:
    """Remember the first run's bins; compare later ones with them."""
    before = _baseline(options, measured.past)
    if before is None:
        found, count = measured.values
        edges = list(dict.fromkeys(_edge(edge) for edge in found or ()))
        if not count or not edges:
            return Judgement(0, "no values to compare with yet", evaluated=False)
        remember = {"edges": edges, "counts": None, "rows": count}
        return Judgement(0, "nothing to compare with yet", remember, evaluated=False)
    counts = [int(value or 0) for value in measured.values]
    given = options.expected is not None
    if not sum(counts):
        return Judgement(0, "no values to compare", evaluated=False)
    remember = {} if given else {"edges": before["edges"], "counts": counts, "rows": sum(counts)}
    if before["counts"] is None:
        return Judgement(0, "the bins are filled for the first time", remember, evaluated=False)
    value, limit = _distance(options, before["counts"], counts)
    beyond = value > limit and not math.isclose(value, limit)  # a sum of shares that is the limit may be a digit off
    return Judgement(int(beyond), f"{options.method} {value:.4g}, limit {limit:.4g}", remember)


def _baseline(options: Options, past: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The remembered run to compare with; what was remembered with other bins is forgotten."""
    if (given := options.expected) is not None:
        return {"edges": list(given.edges or given.values or ()), "counts": given.counts}
    if not past:
        return None
    alike = [one for one in past if one["edges"] == past[0]["edges"]]
    filled = [one for one in alike if one["counts"] is not None]
    if not filled:
        return alike[0]
    return filled[-1] if options.baseline == "first" else filled[0]


def _bins(here: exp.Expr, edges: Sequence[Any], type_: SqlType) -> list[exp.Expr]:
    """Conditions of disjoint bins that hold every value."""
    if type_.family not in _NUMBERS:
        known = [exp.Literal.string(str(edge)) for edge in edges]
        rest = exp.Not(this=exp.paren(exp.In(this=here.copy(), expressions=[edge.copy() for edge in known])))
        return [*(exp.EQ(this=here.copy(), expression=edge) for edge in known), rest]
    bounds = [exp.cast(exp.Literal.string(repr(edge)), "DOUBLE") for edge in sorted(map(float, edges))]
    inner = [
        exp.and_(exp.GT(this=here.copy(), expression=low.copy()), exp.LTE(this=here.copy(), expression=high.copy()))
        for low, high in itertools.pairwise(bounds)
    ]
    lowest = exp.LTE(this=here.copy(), expression=bounds[0].copy())
    return [lowest, *inner, exp.GT(this=here.copy(), expression=bounds[-1].copy())]


def _edge(value: Any) -> Any:
    """As receipts keep it: JSON has no NaN and no infinity, and NaN as a number is not equal to itself."""
    numeric = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return plain(float(value)) if numeric else str(value)


def _distance(options: Options, before: Sequence[float], now: Sequence[int]) -> tuple[float, float]:
    """(how far apart the counts are, the limit)."""
    expected = [count / sum(before) for count in before]
    found = [count / sum(now) for count in now]
    match options.method:
        case "psi":
            shares = [(max(e, _FLOOR), max(f, _FLOOR)) for e, f in zip(expected, found, strict=True)]
            value = sum((f - e) * math.log(f / e) for e, f in shares)
        case "ks":
            value = max(abs(sum(expected[:n]) - sum(found[:n])) for n in range(1, len(found) + 1))
        case "chi2":
            return _chi2(before, now)
    return value, options.threshold or _LIMITS[options.method]


def _chi2(before: Sequence[float], now: Sequence[int]) -> tuple[float, float]:
    """Two samples in the same bins; the limit is Wilson and Hilferty's approximation of the quantile."""
    total, value, used = sum(before) + sum(now), 0.0, 0
    for e, f in zip(before, now, strict=True):
        if e + f:
            used += 1
            for count, rows in ((e, sum(before)), (f, sum(now))):
                wanted = rows * (e + f) / total
                value += (count - wanted) ** 2 / wanted
    degrees = max(used - 1, 1)
    limit: float = degrees * (1 - 2 / (9 * degrees) + _CHI2_Z * math.sqrt(2 / (9 * degrees))) ** 3
    return value, limit
