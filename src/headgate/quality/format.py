"""``format``: texts that are addresses, identifiers, dates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import RuleOptions
from headgate.sql.conditions import type_of
from headgate.sql.shapes import RowRule, StepInput, column
from headgate.sql.texts import dated, formatted, known, translated

_TYPED = {
    "date": ("date",),
    "date-time": ("timestamp", "timestamptz", "date"),
    "date_format": ("date", "timestamp", "timestamptz"),
    "time": ("time",),
    "integer": ("integer",),
    "number": ("integer", "decimal", "float"),
}
"""Types whose every value has the format."""


class Options(RuleOptions):
    """The whole text has a format. NULL passes, and so do values of a type that always has it, such as dates.

    Formats are email, uuid, url, ip, ipv4, ipv6, hostname, phone (E.164), iban (its form), country_code, currency_code,
    slug, integer, number, date, time, date-time, or date_format with a format of dates.
    """

    type: Literal["format"]
    column: str = Field(description="A text column.")
    format: str = Field(description="The format's name.")
    date_format: str | None = Field(
        default=None, description="For date_format: YYYY-MM-DD, DD.MM.YYYY HH:mm, or strptime's %Y-%m-%d."
    )

    @field_validator("format")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "date_format":
            return value
        try:
            return known(value)
        except FatalError as error:
            raise ValueError(f"{error.message}; {error.hint}") from None

    @model_validator(mode="after")
    def _dated(self) -> Options:
        if (self.format == "date_format") != (self.date_format is not None):
            raise ValueError("date_format goes with format: date_format")
        if self.date_format is not None:
            try:
                translated(self.date_format)
            except FatalError as error:
                raise ValueError(f"{error.message}; {error.hint}") from None
        return self


def shapes(options: Options, step: StepInput) -> RowRule:
    """One pattern, and a cast where a pattern cannot tell."""
    name = step.resolve(options.column)
    type_ = type_of(name, step)
    message = f"{name} is {options.date_format or options.format}"
    if type_.family in _TYPED.get(options.format, ()) or (options.format == "uuid" and type_.name == "UUID"):
        return RowRule(exp.true(), message)
    if type_.family != "text":
        raise FatalError(
            Code.PLAN_INVALID,
            f"a format is about text, but {name} is {type_.name}",
            operation="plan",
            object=name,
            hint="use range or expression, or cast the column first",
        )
    if options.date_format is not None:
        return RowRule(dated(column(name), options.date_format), message)
    return RowRule(formatted(column(name), options.format), message)
