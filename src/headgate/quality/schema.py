"""``schema``: which columns there are, of which types, with which values; as JSON Schema says it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import Model, Names, RuleOptions
from headgate.sql.bounds import bounded
from headgate.sql.conditions import above, among, below, type_of
from headgate.sql.orders import refuse_empty
from headgate.sql.patterns import checked_pattern
from headgate.sql.shapes import RowRule, StepInput, column, missing_column
from headgate.sql.texts import formatted, full_match, known
from headgate.sql.types import SqlType, parse_type

Bound = int | float | Decimal | datetime | date | str
Kind = Literal["string", "number", "integer", "boolean", "object", "array", "null", "date", "date-time"]
_FAMILIES: dict[str, tuple[str, ...]] = {
    "string": ("text",),
    "number": ("integer", "decimal", "float"),
    "integer": ("integer",),
    "boolean": ("boolean",),
    "date": ("date",),
    "date-time": ("timestamp", "timestamptz"),
    "object": ("other",),
    "array": ("other",),
    "null": (),
}
_TEMPORAL = {"date": ("date",), "date-time": ("timestamp", "timestamptz"), "time": ("time",)}
"""JSON has no dates: a string of such a format may be a column of the type; so it is with UUIDs."""


class Property(Model):
    """What one column must be."""

    type: Kind | tuple[Kind, ...] | None = Field(default=None, description="string, number, integer, boolean, null …")
    minimum: Bound | None = Field(default=None, description="The smallest value that passes.")
    maximum: Bound | None = Field(default=None, description="The largest value that passes.")
    exclusive_minimum: Bound | None = Field(default=None, alias="exclusiveMinimum", description="Values are above it.")
    exclusive_maximum: Bound | None = Field(default=None, alias="exclusiveMaximum", description="Values are below it.")
    min_length: int | None = Field(default=None, alias="minLength", ge=0, description="At least so many characters.")
    max_length: int | None = Field(default=None, alias="maxLength", ge=0, description="At most so many characters.")
    pattern: str | None = Field(default=None, description="What some part of the text matches, as JSON Schema has it.")
    enum: tuple[Any, ...] | None = Field(default=None, min_length=1, description="What may stand there.")
    const: Any = Field(default=None, description="The one value that may stand there.")
    format: str | None = Field(default=None, description="A format's name, as in the format rule.")
    nullable: bool | None = Field(default=None, description="Whether a required column may be NULL.")
    description: str | None = Field(default=None, description="What it is.")

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        return pattern if pattern is None else checked_pattern(pattern)

    @field_validator("format")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            return value if value is None else known(value)
        except FatalError as error:
            raise ValueError(f"{error.message}; {error.hint}") from None

    @model_validator(mode="after")
    def _possible(self) -> Property:
        low, high = self.exclusive_minimum, self.exclusive_maximum
        refuse_empty(("minimum", "maximum"), self.minimum, self.maximum)
        refuse_empty(("exclusiveMinimum", "exclusiveMaximum"), low, high, strict=True)
        refuse_empty(("minimum", "exclusiveMaximum"), self.minimum, high, strict=True)
        refuse_empty(("exclusiveMinimum", "maximum"), low, self.maximum, strict=True)
        refuse_empty(("minLength", "maxLength"), self.min_length, self.max_length)
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types that the column may be of."""
        return () if self.type is None else (self.type,) if isinstance(self.type, str) else self.type


class Options(RuleOptions):
    """Columns are there, are of their types, and hold what their properties say; a row that breaks several counts once.

    Required columns have a value in every row. Columns and types are checked before the first row is read.
    """

    type: Literal["schema"]
    properties: dict[str, Property] = Field(default_factory=dict, description="What each column must be.")
    required: Names | None = Field(default=None, description="Columns that must be there and not NULL.")
    columns: dict[str, str] | None = Field(
        default=None, min_length=1, description="SQL types by column; any type of the same family passes."
    )
    additional: bool = Field(
        default=True, alias="additionalProperties", description="Whether other columns may be there."
    )

    @field_validator("columns")
    @classmethod
    def _types(cls, columns: dict[str, str] | None) -> dict[str, str] | None:
        for text in (columns or {}).values():
            try:
                parse_type(text)
            except FatalError as error:
                raise ValueError(f"{error.message}; {error.hint}") from None
        return columns

    @model_validator(mode="after")
    def _something(self) -> Options:
        if not (self.properties or self.required or self.columns):
            raise ValueError("a schema needs properties, required or columns")
        return self


def shapes(options: Options, step: StepInput) -> RowRule:
    """Faults of structure end the plan; faults of values are one condition."""
    known_names = {name.lower(): name for name in step.names}
    parts: list[exp.Expr] = []
    properties = {name.lower(): wanted for name, wanted in options.properties.items()}
    for name in options.required or ():
        if name.lower() not in known_names:
            raise _violated(missing_column(name, step.names))
        of = properties.get(name.lower())
        if of is None or not (of.nullable or "null" in of.kinds):
            parts.append(exp.Not(this=exp.Is(this=column(known_names[name.lower()]), expression=exp.null())))
    for name, text in (options.columns or {}).items():
        found = known_names.get(name.lower())
        if found is None:
            raise _violated(missing_column(name, step.names))
        _same_family(found, type_of(found, step), parse_type(text))
    for name, wanted in options.properties.items():
        if name.lower() in known_names:
            parts += _conditions(known_names[name.lower()], wanted, step)
    _refuse_others(options, step)
    # NULL passes each part, and must not hide that another is false
    holds = [exp.Coalesce(this=exp.paren(part), expressions=[exp.true()]) for part in parts]
    return RowRule(exp.and_(*holds) if holds else exp.true(), options.description or "rows as the schema has them")


def _refuse_others(options: Options, step: StepInput) -> None:
    if options.additional:
        return
    allowed = {name.lower() for name in (*options.properties, *(options.required or ()), *(options.columns or {}))}
    for name in step.names:
        if name.lower() not in allowed:
            raise _violated(
                _fault(f'column "{name}" is not in the schema', name, "add it, or drop additionalProperties: false")
            )


def _conditions(name: str, wanted: Property, step: StepInput) -> list[exp.Expr]:
    type_ = type_of(name, step)
    _of_kind(name, type_, wanted)
    if wanted.kinds == ("null",):
        return [exp.Is(this=column(name), expression=exp.null())]
    found: list[exp.Expr] = []
    if wanted.minimum is not None or wanted.maximum is not None:
        found.append(bounded(column(name), name, type_, wanted.minimum, wanted.maximum))
    if wanted.exclusive_minimum is not None:
        found.append(above(name, type_, wanted.exclusive_minimum))
    if wanted.exclusive_maximum is not None:
        found.append(below(name, type_, wanted.exclusive_maximum))
    if wanted.enum is not None:
        found.append(among(name, type_, wanted.enum))
    if wanted.const is not None:
        found.append(among(name, type_, (wanted.const,)))
    elif "const" in wanted.model_fields_set:
        found.append(exp.Is(this=column(name), expression=exp.null()))
    return found + _text_conditions(name, type_, wanted)


def _text_conditions(name: str, type_: SqlType, wanted: Property) -> list[exp.Expr]:
    format_ = None if wanted.format is None or _always(type_, wanted.format) else wanted.format
    asked = (wanted.min_length, wanted.max_length, wanted.pattern, format_)
    if any(each is not None for each in asked) and type_.family != "text":
        raise _violated(_fault(f"{name} is {type_.name}, not text", name, "cast it, or drop what is about texts"))
    found: list[exp.Expr] = []
    length = exp.Length(this=column(name))
    if wanted.min_length is not None:
        found.append(exp.GTE(this=length.copy(), expression=exp.Literal.number(wanted.min_length)))
    if wanted.max_length is not None:
        found.append(exp.LTE(this=length.copy(), expression=exp.Literal.number(wanted.max_length)))
    if wanted.pattern is not None:
        found.append(full_match(column(name), f"(?s:.*)(?:{wanted.pattern})(?s:.*)"))
    if format_ is not None:
        found.append(formatted(column(name), format_))
    return found


def _of_kind(name: str, type_: SqlType, wanted: Property) -> None:
    kinds = [kind for kind in wanted.kinds if kind != "null"]
    if not kinds:
        return
    has_format = "string" in kinds and wanted.format is not None and _always(type_, wanted.format)
    whole = "integer" in kinds and type_.family == "decimal" and type_.scale == 0
    if not (has_format or whole) and not any(type_.family in _FAMILIES[kind] for kind in kinds):
        raise _violated(_fault(f"{name} is {type_.name}, not {' or '.join(kinds)}", name, "cast it in a step before"))


def _always(type_: SqlType, format_: str) -> bool:
    """Whether each value of the type has the format as a text."""
    return type_.family in _TEMPORAL.get(format_, ()) or (format_ == "uuid" and type_.name == "UUID")


def _same_family(name: str, found: SqlType, wanted: SqlType) -> None:
    if found.family != wanted.family or (found.family == "other" and found.name != wanted.name):
        raise _violated(_fault(f"{name} is {found.name}, not {wanted.name}", name, "cast it in a step before"))


def _fault(message: str, name: str, hint: str) -> FatalError:
    return FatalError(Code.SCHEMA_MISMATCH, message, operation="check", object=name, hint=hint)


def _violated(error: FatalError) -> FatalError:
    message = f"Schema validation failed: {error.message}"
    return FatalError(Code.SCHEMA_MISMATCH, message, operation="check", object=error.object, hint=error.hint)
