"""``drift``: values are spread as they were."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import RuleOptions
from headgate.sql.conditions import type_of
from headgate.sql.shapes import Judgement, Measure, Measured, StepInput, column
from headgate.sql.types import SqlType

_NUMBERS = ("integer", "decimal", "float")
_LIMITS = {"psi": 0.2, "ks": 0.1}
_FLOOR = 1e-4
"""A bin that is empty counts as this share: PSI takes logarithms."""
_CHI2_Z = 3.0902
"""The 99.9th percentile of the normal distribution."""


class Options(RuleOptions):
    """The distribution of a column is that of an earlier published run, within a limit.

    Numbers fall into bins that hold equal shares of the first run's values; texts and truth values into their most
    frequent ones and the rest. NULLs are not looked at. The first two runs make and fill the bins.
    """

    type: Literal["drift"]
    column: str = Field(description="A number, text or truth value.")
    method: Literal["psi", "ks", "chi2"] = Field(
        default="psi",
        description="psi: population stability index; ks: the largest distance of the distribution functions, for "
        "numbers; chi2: whether the counts can come from one distribution, at 99.9 %.",
    )
    threshold: float | None = Field(
        default=None, gt=0, description="The largest value that passes; default 0.2 for psi, 0.1 for ks."
    )
    bins: int = Field(default=10, ge=2, le=50, description="Bins of numbers, or frequent values of texts.")
    baseline: Literal["first", "last"] = Field(
        default="first", description="Compare with the first run that is remembered, or with the last one."
    )

    @model_validator(mode="after")
    def _about_all(self) -> Options:
        if self.on_fail == "quarantine":
            raise ValueError("a distribution cannot hold single rows back; use fail, warn or record")
        if self.method == "chi2" and self.threshold is not None:
            raise ValueError("chi2 has its limit from the number of bins")
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
    return Measure((name,), f"{name} spread as before ({options.method})", remembers=True)


def values(options: Options, step: StepInput, past: Sequence[Mapping[str, Any]]) -> tuple[exp.Expr, ...]:
    """The counts in the baseline's bins; without one, what bins are made of: quantiles, or frequent values."""
    name = step.resolve(options.column)
    type_ = type_of(name, step)
    here = exp.cast(column(name), "DOUBLE" if type_.family in _NUMBERS else "TEXT")
    before = _baseline(options, past)
    if before is not None:
        return tuple(exp.CountIf(this=condition) for condition in _bins(here, before["edges"], type_))
    if type_.family in _NUMBERS:
        steps = [exp.Literal.number(str(round(number / options.bins, 6))) for number in range(1, options.bins)]
        made = exp.Anonymous(this="APPROX_QUANTILE", expressions=[here, exp.Array(expressions=steps)])
    else:
        made = exp.Anonymous(this="APPROX_TOP_K", expressions=[here, exp.Literal.number(options.bins)])
    return (made, exp.Count(this=here.copy()))


def verdict(options: Options, measured: Measured) -> Judgement:
    """Remember the first run's bins; compare later ones with them."""
    before = _baseline(options, measured.past)
    if before is None:
        found, count = measured.values
        edges = [_plain(edge) for edge in dict.fromkeys(found or ())]
        if not count or not edges:
            return Judgement(0, "no values to compare with yet", evaluated=False)
        remember = {"edges": edges, "counts": None, "rows": count}
        return Judgement(0, "nothing to compare with yet", remember, evaluated=False)
    counts = [int(value) for value in measured.values]
    if not sum(counts):
        return Judgement(0, "no values to compare", evaluated=False)
    remember = {"edges": before["edges"], "counts": counts, "rows": sum(counts)}
    if before["counts"] is None:
        return Judgement(0, "the bins are filled for the first time", remember, evaluated=False)
    value, limit = _distance(options, before["counts"], counts)
    return Judgement(int(value > limit), f"{options.method} {value:.4g}, limit {limit:.4g}", remember)


def _baseline(options: Options, past: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The remembered run to compare with; what was remembered with other bins is forgotten."""
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


def _plain(value: Any) -> Any:
    numeric = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return float(value) if numeric else str(value)


def _distance(options: Options, before: Sequence[int], now: Sequence[int]) -> tuple[float, float]:
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


def _chi2(before: Sequence[int], now: Sequence[int]) -> tuple[float, float]:
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
