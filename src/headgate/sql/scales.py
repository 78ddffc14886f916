"""Numbers on one scale, over all rows of a run or of a group.

Doubles beyond 1e154 or below 1e-154 have squares that no double holds, and two may lie further apart than any double is
large. So doubles are first multiplied by the power of two that brings the largest of them near 1; no digit changes.
"""

from __future__ import annotations

from typing import Literal, assert_never

from pydantic import Field
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Model, Names
from headgate.sql.shapes import StepInput, column
from headgate.sql.types import parse_type
from headgate.sql.windows import over

_MOST = 1000
"""The exponent of the largest power of two that is taken; its reciprocal is a double, too."""


class Scale(Model):
    """How a column is brought to scale."""

    method: Literal["standard", "min_max", "robust"] = Field(
        description="standard: distance to the mean in standard deviations (of the population); min_max: 0 to 1; "
        "robust: distance to the median in interquartile ranges."
    )
    by: Names | None = Field(default=None, description="Each group of these columns for itself.")


def factor(name: str, scale: Scale, step: StepInput) -> exp.Expr | None:
    """What the column's numbers are multiplied by: a window that a projection before computes; None for no doubles."""
    if parse_type(step.type_of(name)).name != "DOUBLE":
        return None
    finite = exp.Anonymous(this="ISFINITE", expressions=[column(name)])
    sizes = exp.Case().when(finite, exp.Abs(this=column(name)))
    largest = over(exp.Max(this=sizes), [step.resolve(one) for one in scale.by or ()])
    zero, most = exp.Literal.number(0), exp.Literal.number(_MOST)
    power = exp.Anonymous(this="LOG2", expressions=[exp.func("NULLIF", largest, zero)])
    least = exp.Anonymous(this="LEAST", expressions=[exp.Floor(this=power), most])
    bounded = exp.Anonymous(this="GREATEST", expressions=[least, exp.Neg(this=most.copy())])
    shift = exp.Neg(this=exp.func("COALESCE", bounded, zero.copy()))
    return exp.Anonymous(this="POW", expressions=[exp.cast(exp.Literal.number(2), exp.DType.DOUBLE), shift])


def scaled(name: str, scale: Scale, step: StepInput, multiplier: str | None = None) -> exp.Expr:
    """The column on its scale, a double; 0 where all values are equal, NULL where it is NULL.

    Args:
        name: the column.
        scale: how.
        step: the columns.
        multiplier: the column that holds :func:`factor`, where there is one.

    Raises:
        FatalError: PLAN_INVALID if the column is no number.
    """
    if parse_type(step.type_of(name)).family not in ("integer", "decimal", "float"):
        raise FatalError(
            Code.PLAN_INVALID,
            f"{name} is {step.type_of(name)}, not a number",
            operation="plan",
            object=name,
            hint="cast it in a step before",
        )
    group = [step.resolve(one) for one in scale.by or ()]
    number: exp.Expr = exp.cast(column(name), exp.DType.DOUBLE)
    if multiplier is not None:
        number = exp.paren(exp.Mul(this=number, expression=column(multiplier)))

    def whole(function: str, *arguments: float) -> exp.Expr:
        values = [number.copy(), *(exp.Literal.number(repr(argument)) for argument in arguments)]
        return over(exp.Anonymous(this=function, expressions=values), group)

    match scale.method:
        case "standard":
            middle, width = whole("AVG"), whole("STDDEV_POP")
        case "min_max":
            middle, width = whole("MIN"), exp.paren(exp.Sub(this=whole("MAX"), expression=whole("MIN")))
        case "robust":
            quarters = [whole("QUANTILE_CONT", share) for share in (0.75, 0.25)]
            middle = whole("QUANTILE_CONT", 0.5)
            width = exp.paren(exp.Sub(this=quarters[0], expression=quarters[1]))
        case _:
            assert_never(scale.method)
    distance = exp.paren(exp.Sub(this=number.copy(), expression=middle))
    flat = exp.EQ(this=width.copy(), expression=exp.Literal.number(0))
    known = exp.Not(this=exp.Is(this=column(name), expression=exp.null()))
    zero = exp.cast(exp.Literal.number(0), exp.DType.DOUBLE)
    return exp.Case().when(exp.and_(known, flat), zero).when(known, exp.Div(this=distance, expression=width))
