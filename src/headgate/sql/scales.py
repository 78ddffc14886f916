"""Numbers on one scale, over all rows of a run or of a group."""

from __future__ import annotations

from typing import Literal, assert_never

from pydantic import Field
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Model, Names
from headgate.sql.shapes import StepInput, column
from headgate.sql.types import parse_type
from headgate.sql.windows import over


class Scale(Model):
    """How a column is brought to scale."""

    method: Literal["standard", "min_max", "robust"] = Field(
        description="standard: distance to the mean in standard deviations (of the population); min_max: 0 to 1; "
        "robust: distance to the median in interquartile ranges."
    )
    by: Names | None = Field(default=None, description="Each group of these columns for itself.")


def scaled(name: str, scale: Scale, step: StepInput) -> exp.Expr:
    """The column on its scale, a double; 0 where all values are equal, NULL where it is NULL.

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
    number = exp.cast(column(name), exp.DType.DOUBLE)

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
