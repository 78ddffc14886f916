"""``pydantic``: rows judged by a model of the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field, ValidationError

from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, RuleOptions
from headgate.core.values import row_values
from headgate.io.userland import load_function, source_hash
from headgate.sql.shapes import CallRule, StepInput

if TYPE_CHECKING:
    import pyarrow as pa


class Options(RuleOptions):
    """Each row is valid by a pydantic model; NULL is None, so that optional fields take it and others do not.

    The model is in a Python file of the project. It validates rows one by one, in Python.
    """

    type: Literal["pydantic"]
    model: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="Module and class, such as models:Order.",
    )
    columns: Names | None = Field(default=None, description="The columns that it is given; default all.")


def shapes(options: Options, step: StepInput) -> CallRule:
    """A call of the model over rows."""
    wanted = [step.resolve(name) for name in options.columns] if options.columns else step.names
    message = options.description or f"rows are valid by {options.model}"
    return CallRule(f"pydantic={options.model}", "batch", tuple(dict.fromkeys(wanted)), message)


def judge(what: str, root: Path) -> Callable[[pa.Table], list[bool | None]]:
    """The function that says of each row whether the model takes it. Raises CONFIG_INVALID for what is no model."""
    model = load_function(what, root)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise FatalError(
            Code.CONFIG_INVALID,
            "it is no pydantic model",
            operation="load",
            object=what,
            hint="name a class that inherits from pydantic.BaseModel",
        )

    def holds(rows: pa.Table) -> list[bool | None]:
        return [_is_valid(model, row) for row in row_values(rows)]

    return holds


digest = source_hash


def _is_valid(model: type[BaseModel], row: dict[str, object]) -> bool:
    try:
        model.model_validate(row)
    except ValidationError:
        return False
    return True
