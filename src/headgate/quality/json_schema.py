"""``json_schema``: rows, or the JSON documents of a column, judged by the library jsonschema."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, localcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from headgate.core.errors import Code, FatalError, nearest
from headgate.core.models import RuleOptions
from headgate.core.values import plain, row_values
from headgate.sql.shapes import CallRule, StepInput
from headgate.sql.types import parse_type

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 1000
"""Remainders are exact for numbers of so many digits; others are multiples of nothing."""


class Options(RuleOptions):
    """Each row, or each JSON document of a column, is valid by a JSON Schema: for what the rule ``schema`` lacks.

    Numbers are compared as they are written; dates and times are their ISO texts. A NULL is null where its property
    takes null, and otherwise as if it were not there, so that ``required`` asks for it. Needs the package jsonschema.
    For flat rows ``schema`` is much faster.
    """

    type: Literal["json_schema"]
    file: str = Field(min_length=1, description="The JSON Schema, relative to the project.")
    column: str | None = Field(
        default=None, description="A text column of JSON documents; default the whole row. Text that is none breaks it."
    )

    @model_validator(mode="after")
    def _after_the_pass(self) -> Options:
        if self.on_fail == "quarantine":
            raise ValueError("Python judges rows after the pass, and cannot hold them back; use fail, warn or record")
        return self


def shapes(options: Options, step: StepInput) -> CallRule:
    """A call of the validator over rows or one column."""
    columns = (_text(options.column, step),) if options.column else step.names
    message = options.description or f"{options.column or 'rows'} as {options.file} has it"
    what = f"{'text' if options.column else 'row'}:{options.file}"
    return CallRule(f"json_schema={what}", "batch", tuple(columns), message)


def _text(column: str, step: StepInput) -> str:
    type_ = step.type_of(column)
    if type_ != "JSON" and parse_type(type_).family != "text":
        raise FatalError(
            Code.PLAN_INVALID,
            f"it is about JSON texts, and {column} is {type_}",
            operation="plan",
            object="json_schema",
            hint="leave column out to judge whole rows by the schema",
        )
    return step.resolve(column)


def judge(what: str, root: Path) -> Callable[[pa.Table], list[bool | None]]:
    """The function that says of each row whether it is valid.

    Raises:
        FatalError: DRIVER_MISSING without the library; CONFIG_INVALID for a file that is no schema.
    """
    kind, _, file = what.partition(":")
    validator = _validator(file, root)
    read = _documents if kind == "text" else _rows

    def holds(rows: pa.Table) -> list[bool | None]:
        with localcontext(Context(prec=_DIGITS)):
            return read(rows, validator)

    return holds


def check(what: str, root: Path, columns: Sequence[str]) -> None:
    """Raise PLAN_INVALID where the schema requires of rows a property that no column is: it would take no row."""
    kind, _, file = what.partition(":")
    schema = _validator(file, root).schema
    required = schema.get("required", ()) if kind == "row" and isinstance(schema, dict) else ()
    for name in required:
        if name not in columns:
            raise FatalError(
                Code.PLAN_INVALID,
                f'{file} requires "{name}", which is no column; {nearest(name, columns)}',
                operation="plan",
                object=name,
                hint="names are compared with case; give a column that name in a step before",
            )


def digest(what: str, root: Path) -> str:
    """A fingerprint of the schema, for plans."""
    return hashlib.sha256(_read(what.partition(":")[2], root)).hexdigest()[:16]


def _validator(file: str, root: Path) -> Any:
    try:
        import jsonschema
    except ImportError:
        raise FatalError(
            Code.DRIVER_MISSING,
            "jsonschema is not installed",
            operation="check",
            object="json_schema",
            hint="pip install 'headgate[jsonschema]'",
        ) from None
    try:
        schema = json.loads(_read(file, root), parse_float=partial(_number, whole=True))
        kind = jsonschema.validators.validator_for(schema)
        kind.check_schema(schema)
    except (ValueError, ArithmeticError, jsonschema.exceptions.SchemaError) as error:
        message = getattr(error, "message", str(error))
        raise _invalid(file, f"it is no JSON Schema: {message}", "mend the file") from None
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


def _read(file: str, root: Path) -> bytes:
    path = (root / file).resolve()
    if root.resolve() not in path.parents or not path.is_file():
        raise _invalid(file, "there is no such file in the project", "its path is relative to the project")
    return path.read_bytes()


def _invalid(file: str, message: str, hint: str) -> FatalError:
    return FatalError(Code.CONFIG_INVALID, message, operation="load", object=file, hint=hint)


def _documents(rows: pa.Table, validator: Any) -> list[bool | None]:
    number = partial(_number, whole=_takes_fractions(validator))
    found: list[bool | None] = []
    for text in rows.column(0).to_pylist():
        try:
            document = None if text is None else json.loads(text, parse_float=number, parse_constant=_no_number)
            found.append(None if text is None else validator.is_valid(document))
        except (ValueError, ArithmeticError):
            found.append(False)
    return found


def _number(text: str | Decimal, *, whole: bool) -> int | Decimal:
    """A number as it is written: the double next to 1.1 is larger than a decimal of 1.1.

    Args:
        whole: whether 1.0 is an integer, as it is since draft 6.
    """
    number = Decimal(text)
    if not number.is_finite() or number.adjusted() > _DIGITS:  # 1e999999999 would fill the memory
        return number
    integer = number.as_tuple().exponent == 0 or (whole and number == number.to_integral_value())
    return int(number) if integer else number


def _takes_fractions(validator: Any) -> bool:
    return bool(validator.is_type(1.0, "integer"))


def _no_number(name: str) -> None:
    """NaN and Infinity, which Python reads, are no JSON."""
    raise ValueError(f"{name} is no JSON")


def _rows(rows: pa.Table, validator: Any) -> list[bool | None]:
    absent = {name for name in rows.column_names if not _takes_null(validator, name)}
    whole = _takes_fractions(validator)
    found: list[bool | None] = []
    for row in row_values(rows):
        document = {k: _json(v, whole) for k, v in row.items() if v is not None or k not in absent}
        try:
            found.append(validator.is_valid(document))
        except ArithmeticError:  # NaN is within no bounds
            found.append(False)
    return found


def _takes_null(validator: Any, name: str) -> bool:
    of = validator.schema.get("properties", {}) if isinstance(validator.schema, dict) else {}
    return name in of and bool(validator.evolve(schema=of[name]).is_valid(None))


def _json(value: Any, whole: bool) -> Any:
    """Numbers stay numbers, since a schema compares them."""
    match value:
        case float():
            return _number(repr(value), whole=whole)
        case Decimal():
            return _number(value, whole=whole)
        case dict():
            return {key: _json(item, whole) for key, item in value.items()}
        case list():
            return [_json(item, whole) for item in value]
        case _:
            return plain(value)
