"""``python``: a function of the user's own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headgate.core.models import StepOptions
from headgate.sql.naming import distinct
from headgate.sql.shapes import Call, Shape, StepInput
from headgate.sql.types import parse_type


class Options(StepOptions):
    """Hand the rows to a Python function, as Arrow, Polars or pandas by its annotations."""

    type: Literal["python"]
    function: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="Module and function, such as transforms:score.",
    )
    scope: Literal["batch", "table"] = Field(
        default="batch", description="batch: called for each batch; table: once, with all rows."
    )
    columns: dict[str, str] | None = Field(
        default=None,
        min_length=1,
        description="Columns and SQL types that it gives; default: found by calling it with no rows.",
    )


def shapes(options: Options, step: StepInput) -> list[Shape]:  # noqa: ARG001 - the signature of every kind
    """A call; declared columns have SQL types in DuckDB's spelling."""
    columns = None
    if options.columns is not None:
        distinct(options.columns)
        columns = {name: parse_type(type_name).name for name, type_name in options.columns.items()}
    return [Call(options.function, options.scope, columns)]
