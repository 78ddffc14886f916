"""``clean``: trimming, spellings of NULL, conversions, fills, rows that lack what they need, repeated rows."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from sqlglot import exp

from headgate.core.contracts import Column
from headgate.core.errors import Code, FatalError
from headgate.core.models import Names, StepOptions
from headgate.sql.bounds import matching
from headgate.sql.casts import exact_cast
from headgate.sql.ordering import deduplicated
from headgate.sql.shapes import Drop, Flag, Project, Shape, StepInput, column
from headgate.sql.types import SqlType, parse_type
from headgate.sql.words import changed_case, trimmed

Fill = bool | int | float | Decimal | datetime | date | time | str
Case = Literal["lower", "upper", "title"]


def _as_texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Options(StepOptions):
    """Clean values in a fixed order: trim, spellings of NULL, case, convert, fill, drop rows, deduplicate."""

    type: Literal["clean"]
    trim: bool | Names = Field(default=False, description="Cut white space off: true for all text columns, or names.")
    null_values: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = Field(
        default=(), description="Texts that mean NULL, in all text columns."
    )
    case: dict[str, Case] = Field(default_factory=dict, description="Column to lower, upper or title.")
    convert: dict[str, str] = Field(default_factory=dict, description="Column to SQL type, as in a cast step.")
    fill: dict[str, Fill] = Field(default_factory=dict, description="Column to the value that replaces NULL.")
    remove_nulls: Names | None = Field(default=None, description="Drop rows with NULL in one of these columns.")
    deduplicate: bool | Names = Field(
        default=False, description="true drops equal rows; names are keys of which one row stays."
    )
    order_by: Names | None = Field(default=None, description="For deduplicate: as in a deduplicate step.")
    keep: Literal["last", "first"] = Field(default="last", description="For deduplicate: which row stays.")

    @model_validator(mode="after")
    def _does_something(self) -> Options:
        work = (self.trim, self.null_values, self.case, self.convert, self.fill, self.remove_nulls, self.deduplicate)
        if not any(work):
            raise ValueError("a clean step needs something to do: trim, null_values, case, convert, fill, remove_nulls")
        return self


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """At most one projection, one drop and one deduplication."""
    values, columns, flags = _values(options, step)
    cleaned = StepInput(columns, step.relations, step.variables, step.cursor, step.on_row_error)
    found: list[Shape] = []
    if flags or any(value != column(name) for name, value in values.items()):
        found.append(Project(tuple(values.items()), tuple(flags)))
    if options.remove_nulls:
        names = [cleaned.resolve(name) for name in options.remove_nulls]
        found.append(Drop(exp.and_(*(exp.Not(this=exp.Is(this=column(n), expression=exp.null())) for n in names))))
    if options.deduplicate is True:
        found.append(deduplicated(cleaned.names, options.order_by or (), options.keep, cleaned))
    elif options.deduplicate:
        found.append(deduplicated(options.deduplicate, options.order_by or (), options.keep, cleaned))
    return found


def _values(options: Options, step: StepInput) -> tuple[dict[str, exp.Expr], tuple[Column, ...], list[Flag]]:
    """Each column's value, its type afterwards, and row errors of conversions."""
    trims = {step.resolve(name) for name in options.trim} if not isinstance(options.trim, bool) else None
    cases = {step.resolve(name): case for name, case in options.case.items()}
    converts = {step.resolve(name): type_name for name, type_name in options.convert.items()}
    fills = {step.resolve(name): value for name, value in options.fill.items()}
    values: dict[str, exp.Expr] = {}
    columns, flags = [], []
    for item in step.columns:
        type_, value = parse_type(item.type), column(item.name)
        text = type_.family == "text"
        if item.name in (trims or ()) or item.name in cases:
            _require_text(item.name, type_)
        if text and (options.trim if trims is None else item.name in trims):
            value = trimmed(value)
        if text and options.null_values:
            value = _without_spellings(value, options.null_values)
        if item.name in cases:
            value = changed_case(value, cases[item.name])
        if item.name in converts:
            target = parse_type(converts[item.name])
            cast = exact_cast(value, type_, target)
            if cast.wrong is not None:
                flags.append(
                    Flag(f"clean {item.name}", cast.wrong, (item.name,), f"{item.name} is a value of {target.name}")
                )
            value, type_ = cast.value, target
        if item.name in fills:
            value = _filled(item.name, value, type_, fills[item.name])
        values[item.name] = value
        columns.append(Column(item.name, type_.name if item.name in converts else item.type))
    return values, tuple(columns), flags


def _without_spellings(value: exp.Expr, spellings: tuple[str, ...]) -> exp.Expr:
    literals = [exp.Literal.string(spelling) for spelling in dict.fromkeys(spellings)]
    return exp.Case().when(exp.In(this=value.copy(), expressions=literals), exp.null()).else_(value)


def _filled(name: str, value: exp.Expr, type_: SqlType, fill: Fill) -> exp.Expr:
    literal = matching(name, type_, fill)
    if literal is None:
        raise FatalError(
            Code.PLAN_INVALID,
            f"{fill!r} is not a value of {name}, which is {type_.name}",
            operation="plan",
            object=name,
            hint=f"choose a value of {type_.name}, or convert {name} to a wider type",
        )
    return exp.func("COALESCE", value, literal)


def _require_text(name: str, type_: SqlType) -> None:
    if type_.family != "text":
        raise FatalError(
            Code.PLAN_INVALID,
            f"{name} is {type_.name}, not text",
            operation="plan",
            object=name,
            hint="leave it out of trim and case",
        )
