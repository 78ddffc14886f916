"""``python``: a function of the user's own says which rows hold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from headgate.core.models import Names, RuleOptions
from headgate.sql.shapes import CallRule, StepInput


class Options(RuleOptions):
    """A Python function gives True or False for each row (NULL passes), or one for all that it was given.

    It is given Arrow, Polars or pandas, by the annotation of its first parameter.
    """

    type: Literal["python"]
    function: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="Module and function, such as checks:plausible.",
    )
    scope: Literal["batch", "table"] = Field(
        default="batch", description="batch: called for each batch; table: once, with all rows in memory."
    )
    columns: Names | None = Field(default=None, description="The columns that it is given; default all.")

    @model_validator(mode="after")
    def _about_all(self) -> Options:
        if self.on_fail == "quarantine":
            raise ValueError("Python judges rows after the pass, and cannot hold them back; use fail, warn or record")
        return self


def shapes(options: Options, step: StepInput) -> CallRule:
    """A call over columns of the rows."""
    wanted = [step.resolve(name) for name in options.columns] if options.columns else step.names
    message = options.description or f"{options.function} holds"
    return CallRule(options.function, options.scope, tuple(dict.fromkeys(wanted)), message)
