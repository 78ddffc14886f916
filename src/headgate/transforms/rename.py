"""``rename``: columns under other names."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headgate.core.models import StepOptions
from headgate.sql.naming import distinct
from headgate.sql.shapes import Project, Shape, StepInput, column


class Options(StepOptions):
    """Give columns other names; their values and their order stay."""

    type: Literal["rename"]
    columns: dict[str, str] = Field(min_length=1, description="Old name to new name.")


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One projection. Names may be swapped; two columns of one name are refused."""
    new = {step.resolve(old): name for old, name in options.columns.items()}
    distinct(step.resolve(old) for old in options.columns)
    names = [(name, new.get(name, name)) for name in step.names]
    distinct(name for _, name in names)
    return [Project(tuple((name, column(old)) for old, name in names))]
