"""``cast``: columns of another type, exactly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.core.models import StepOptions
from headgate.sql.casts import Cast, exact_cast, formatted_cast, impossible
from headgate.sql.conversions import Conversion, as_conversion
from headgate.sql.formats import strptime_format
from headgate.sql.naming import distinct
from headgate.sql.shapes import Flag, OnError, Project, Shape, StepInput, column
from headgate.sql.types import SqlType, parse_type

_MOMENTS = ("date", "time", "timestamp", "timestamptz")


class CastTo(Conversion):
    """What one column becomes."""

    format: Annotated[str, AfterValidator(strptime_format)] | None = Field(
        default=None, description="How dates and times are written: DD.MM.YYYY or %d.%m.%Y."
    )


class Options(StepOptions):
    """Change the type of columns.

    A value that does not convert, or that would be another one afterwards, makes its row a row error. NULL stays NULL.
    """

    type: Literal["cast"]
    columns: dict[str, Annotated[CastTo, BeforeValidator(as_conversion)]] = Field(
        min_length=1, description="Column to SQL type, such as DECIMAL(18, 2), or to {type, format, on_error}."
    )
    on_error: OnError | None = Field(
        default=None, description="For all columns of the step; default error_handling.on_row_error."
    )
    round: bool = Field(
        default=False,
        description="Round numbers half away from zero, and cut the time of day off dates, instead of refusing them.",
    )


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One projection, with a row error for each column that may not fit."""
    distinct(step.resolve(name) for name in options.columns)
    casts = {}
    for wanted, to in options.columns.items():
        name = step.resolve(wanted)
        casts[name] = _cast(name, to, options, step), to.on_error or options.on_error
    return [_projected(casts, step)]


def of_source(types: Mapping[str, str], certain: Collection[str], step: StepInput) -> Project:
    """The columns of a source in their true types; those that are ``certain`` need only convert."""
    casts = {}
    for name, type_ in types.items():
        source, target = parse_type(step.type_of(name)), parse_type(type_)
        _refuse_impossible(name, source, target)
        casts[name] = (exact_cast(column(name), source, target, certain=name in certain), _told(name, target)), None
    return _projected(casts, step)


def _projected(casts: Mapping[str, tuple[tuple[Cast, str], OnError | None]], step: StepInput) -> Project:
    values = dict(step.keep_all())
    flags = []
    for name, ((cast, message), on_error) in casts.items():
        values[name] = cast.value
        if cast.wrong is not None:
            flags.append(Flag(f"cast {name}", cast.wrong, (name,), message, cast.clear, on_error, cast.plain))
    return Project(tuple(values.items()), tuple(flags))


def _told(name: str, target: SqlType) -> str:
    return f"{name} is a value of {target.name}"


def _cast(name: str, to: CastTo, options: Options, step: StepInput) -> tuple[Cast, str]:
    source, target = parse_type(step.type_of(name)), parse_type(to.type)
    message = _told(name, target)
    if to.format is None:
        _refuse_impossible(name, source, target)
        return exact_cast(column(name), source, target, rounded=options.round), message
    if source.family == "text" and target.family in _MOMENTS:
        cast = formatted_cast(column(name), target, to.format, rounded=options.round)
        return cast, f"{message} written as {to.format}"
    if target.family == "text" and source.family in _MOMENTS:
        written = exp.Anonymous(
            this="STRFTIME", expressions=[_moment(name, source.family), exp.Literal.string(to.format)]
        )
        return Cast(written, None), message
    raise FatalError(
        Code.PLAN_INVALID,
        f"a format is about dates and times as text, but {name} is {source.name} and becomes {target.name}",
        operation="plan",
        object=name,
        hint="leave format out",
    )


def _refuse_impossible(name: str, source: SqlType, target: SqlType) -> None:
    if impossible(source, target):
        raise FatalError(
            Code.PLAN_INVALID,
            f"no value of {name}, which is {source.name}, is a {target.name}",
            operation="plan",
            object=name,
            hint="calculate what is meant in a step before, or cast to VARCHAR first",
        )


def _moment(name: str, family: str) -> exp.Expr:
    """A time of day is formatted on the first day of the calendar."""
    if family != "time":
        return column(name)
    day = exp.cast(exp.Literal.string("1900-01-01"), exp.DType.DATE)
    return exp.Add(this=day, expression=column(name))
