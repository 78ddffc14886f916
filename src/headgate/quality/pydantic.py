"""``pydantic``: rows judged by a model of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import AliasChoices, AliasPath, BaseModel, Field, ValidationError, model_validator

from headgate.core.errors import Code, FatalError, nearest
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

    @model_validator(mode="after")
    def _after_the_pass(self) -> Options:
        if self.on_fail == "quarantine":
            raise ValueError("Python judges rows after the pass, and cannot hold them back; use fail, warn or record")
        return self


def shapes(options: Options, step: StepInput) -> CallRule:
    """A call of the model over rows."""
    wanted = [step.resolve(name) for name in options.columns] if options.columns else step.names
    message = options.description or f"rows are valid by {options.model}"
    return CallRule(f"pydantic={options.model}", "batch", tuple(dict.fromkeys(wanted)), message)


def judge(what: str, root: Path) -> Callable[[pa.Table], list[bool | None]]:
    """The function that says of each row whether the model takes it. Raises CONFIG_INVALID for what is no model."""
    model = _model(what, root)

    def holds(rows: pa.Table) -> list[bool | None]:
        return [_is_valid(model, row) for row in row_values(rows)]

    return holds


def check(what: str, root: Path, columns: Sequence[str]) -> None:
    """Raise PLAN_INVALID where the model requires a field that no column is: it would take no row."""
    model = _model(what, root)
    before = model.__pydantic_decorators__.model_validators.values()
    if any(validator.info.mode != "after" for validator in before):
        return  # it may make fields of others
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    by_alias = model.model_config.get("validate_by_alias", True)
    for name, of in model.model_fields.items():
        taken = _aliases(of.validation_alias) if by_alias else []
        taken = [*taken, *([name] if by_name or not taken else [])]
        if of.is_required() and not set(taken) & set(columns):
            raise FatalError(
                Code.PLAN_INVALID,
                f'{what} requires "{taken[0]}", which it is not given; {nearest(taken[0], columns)}',
                operation="plan",
                object=taken[0],
                hint="names are compared with case; give the field a default, or the column that name in a step before",
            )


digest = source_hash


def _aliases(alias: object) -> list[str]:
    """The columns of which the value of a field may come."""
    match alias:
        case str():
            return [alias]
        case AliasPath():
            return [str(alias.path[0])]
        case AliasChoices():
            return [name for choice in alias.choices for name in _aliases(choice)]
        case _:
            return []


def _model(what: str, root: Path) -> type[BaseModel]:
    model = load_function(what, root)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model
    raise FatalError(
        Code.CONFIG_INVALID,
        "it is no pydantic model",
        operation="load",
        object=what,
        hint="name a class that inherits from pydantic.BaseModel",
    )


def _is_valid(model: type[BaseModel], row: dict[str, object]) -> bool:
    try:
        model.model_validate(row)
    except ValidationError:
        return False
    return True
