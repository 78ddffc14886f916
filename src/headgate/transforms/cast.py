"""``cast``: columns of another type, exactly."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headgate.core.models import StepOptions
from headgate.sql.casts import exact_cast
from headgate.sql.naming import distinct
from headgate.sql.shapes import Flag, Project, Shape, StepInput, column
from headgate.sql.types import parse_type


class Options(StepOptions):
    """Change the type of columns.

    A value that does not convert, or that would be another one afterwards, makes its row a row error.
    """

    type: Literal["cast"]
    columns: dict[str, str] = Field(min_length=1, description="Column to SQL type, such as DECIMAL(18, 2).")
    round: bool = Field(
        default=False,
        description="Round numbers half away from zero, and cut the time of day off dates, instead of refusing them.",
    )


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One projection, with a row error for each column that may not fit."""
    distinct(step.resolve(name) for name in options.columns)
    values = dict(step.keep_all())
    flags = []
    for wanted, type_name in options.columns.items():
        name, target = step.resolve(wanted), parse_type(type_name)
        cast = exact_cast(column(name), parse_type(step.type_of(name)), target, rounded=options.round)
        values[name] = cast.value
        if cast.wrong is not None:
            message = f"{name} is a value of {target.name}"
            flags.append(Flag(f"cast {name}", cast.wrong, (name,), message, cast.clear))
    return [Project(tuple(values.items()), tuple(flags))]
