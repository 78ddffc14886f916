"""``clean``: trimming, spellings of NULL, conversions, fills, rows that lack what they need, repeated rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.core.models import Model, Names, StepOptions
from headgate.sql.bounds import matching
from headgate.sql.casts import exact_cast
from headgate.sql.conversions import Conversion, as_conversion
from headgate.sql.fills import Strategy, filled, known_first
from headgate.sql.ordering import deduplicated
from headgate.sql.shapes import Drop, Flag, Note, Project, Shape, StepInput, column
from headgate.sql.templates import refuse_in_value
from headgate.sql.types import SqlType, parse_type
from headgate.sql.words import changed_case, trimmed, without_specials

Value = bool | int | float | Decimal | datetime | date | time | str
KNOWN = "_hg_known"
Case = Literal["lower", "upper", "title"]


def _as_texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Fill(Model):
    """What replaces NULL: a value, or one that comes from the other rows."""

    value: Value | None = Field(default=None, description="A value.")
    strategy: Strategy | None = Field(
        default=None,
        description="zero; mean, median (rounded to the column's type) or mode (of several the smallest) of the rows "
        "that have a value; forward or backward: the nearest value before or after in order_by.",
    )
    by: Names | None = Field(default=None, description="Only rows with equal values of these columns count.")
    order_by: Names | None = Field(default=None, description="For forward and backward.")

    @model_validator(mode="after")
    def _one_kind(self) -> Fill:
        if (self.value is None) == (self.strategy is None):
            raise ValueError("a fill is either a value or a strategy")
        if (self.order_by is not None) != (self.strategy in ("forward", "backward")):
            raise ValueError("order_by goes with forward and backward, and they need it")
        if self.by is not None and self.strategy in (None, "zero"):
            raise ValueError("by goes with a strategy that looks at other rows")
        return self


def _as_fill(value: Any) -> Any:
    return value if isinstance(value, dict | Fill) else {"value": value}


def _as_kept(value: Any) -> Any:
    """Names alone keep letters, digits and white space."""
    if isinstance(value, str):
        return {value: ""}
    return dict.fromkeys(value, "") if isinstance(value, list | tuple) else value


class Options(StepOptions):
    """Clean values in a fixed order: special characters, trim, spellings of NULL, case, convert, fill, drop rows,
    deduplicate. Fills from other rows see the cleaned rows of the whole run: also the values and zeros that other
    columns are filled with, and not what other fills find.
    """

    type: Literal["clean"]
    trim: bool | Names = Field(default=False, description="Cut white space off: true for all text columns, or names.")
    null_values: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = Field(
        default=(), description="Texts that mean NULL, in all text columns."
    )
    remove_special: Annotated[dict[str, str], BeforeValidator(_as_kept)] = Field(
        default_factory=dict,
        description="Columns that keep only letters, digits and white space: names, or a mapping of column to other "
        'characters that stay, such as {email: "@._-"}.',
    )
    case: dict[str, Case] = Field(default_factory=dict, description="Column to lower, upper or title.")
    convert: dict[str, Annotated[Conversion, BeforeValidator(as_conversion)]] = Field(
        default_factory=dict, description="Column to SQL type, as in a cast step, or to {type, on_error}."
    )
    fill: dict[str, Annotated[Fill, BeforeValidator(_as_fill)]] = Field(
        default_factory=dict,
        description="Column to what replaces NULL: a value, or {strategy, by, order_by}; a word alone is a value.",
    )
    remove_nulls: Names | None = Field(default=None, description="Drop rows with NULL in one of these columns.")
    deduplicate: bool | Names = Field(
        default=False, description="true drops equal rows; names are keys of which one row stays."
    )
    order_by: Names | None = Field(default=None, description="For deduplicate: as in a deduplicate step.")
    keep: Literal["last", "first"] = Field(default="last", description="For deduplicate: which row stays.")
    missing: Literal["error", "warn"] = Field(
        default="error", description="Columns that are not there: refuse the plan, or leave them out and say so."
    )

    @model_validator(mode="after")
    def _does_something(self) -> Options:
        work = (self.trim, self.null_values, self.case, self.convert, self.fill, self.remove_nulls, self.deduplicate)
        if not any(work) and not self.remove_special:
            raise ValueError("a clean step needs something to do: trim, null_values, case, convert, fill, remove_nulls")
        return self


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """Projections, then at most one drop and one deduplication."""
    found: list[Shape] = []
    if options.missing == "warn":
        keys = options.deduplicate if isinstance(options.deduplicate, tuple) else ()
        options, absent = _present(options, step)
        told = {True: "rows are not deduplicated", False: "it is not cleaned"}
        found += [Note(f'there is no column "{name}", so {told[name in keys]}') for name in absent]
    values, columns, flags = _values(options, step)
    cleaned = replace(step, columns=columns)
    if flags or any(value != column(name) for name, value in values.items()):
        found.append(Project(tuple(values.items()), tuple(flags)))
    found += _fills(options, cleaned, {name for flag in flags for name in flag.columns})
    if options.remove_nulls:
        names = [cleaned.resolve(name) for name in options.remove_nulls]
        found.append(Drop(exp.and_(*(exp.Not(this=exp.Is(this=column(n), expression=exp.null())) for n in names))))
    if options.deduplicate is True:
        found.append(deduplicated(cleaned.names, options.order_by or (), options.keep, cleaned))
    elif options.deduplicate:
        found.append(deduplicated(options.deduplicate, options.order_by or (), options.keep, cleaned))
    return found


def _present(options: Options, step: StepInput) -> tuple[Options, list[str]]:
    """The options for the columns that are there, and the names of the others."""
    known = {name.lower() for name in step.names}
    absent: list[str] = []

    def there(name: str) -> bool:
        if name.lower() not in known and name not in absent:
            absent.append(name)
        return name.lower() in known

    changes: dict[str, Any] = {}
    for key in ("trim", "remove_special", "case", "convert", "fill", "remove_nulls", "deduplicate"):
        match getattr(options, key):
            case dict() as chosen:
                changes[key] = {name: value for name, value in chosen.items() if there(name)}
            case tuple() as names:
                left = tuple(name for name in names if there(name))
                if key == "deduplicate" and left != names:
                    left = ()  # rows with the same values of fewer keys are no repetitions
                changes[key] = left or (False if key != "remove_nulls" else None)
            case _:
                pass
    return options.model_copy(update=changes), absent


def _fills(options: Options, step: StepInput, converted: Collection[str]) -> list[Shape]:
    """Values for what ``converted`` may leave NULL, and fills by a strategy.

    Zeros and values come before fills from other rows, which see them as they see any value.
    """
    wanted = {step.resolve(name): fill for name, fill in options.fill.items() if fill.strategy is not None}
    zeros = {name: fill for name, fill in wanted.items() if fill.strategy == "zero"}
    others = {name: fill for name, fill in wanted.items() if name not in zeros}
    late = {step.resolve(name): fill.value for name, fill in options.fill.items() if fill.value is not None}
    values = dict(step.keep_all())
    for name in late.keys() & set(converted):
        values[name] = _filled(name, column(name), parse_type(step.type_of(name)), late[name])
    found: list[Shape] = [Project(tuple(values.items()))] if late.keys() & set(converted) else []
    return [*found, *(shape for fills in (zeros, others) if fills for shape in _filled_at_once(fills, step))]


def _filled_at_once(wanted: Mapping[str, Fill], step: StepInput) -> list[Shape]:
    """Fills that do not see each other; what modes and means need to know is computed in a projection before."""
    values, known = dict(step.keep_all()), dict[str, exp.Expr]()
    for name, fill in wanted.items():
        assert fill.strategy is not None
        group = [step.resolve(one) for one in fill.by or ()]
        first = known_first(name, fill.strategy, group, step)
        named = {f"{KNOWN}{len(known) + place}": value for place, value in enumerate(first)}
        known |= named
        values[name] = filled(name, fill.strategy, group, fill.order_by or (), step, known=list(named))
    before: list[Shape] = [Project((*step.keep_all(), *known.items()))] if known else []
    return [*before, Project(tuple(values.items()))]


def _values(options: Options, step: StepInput) -> tuple[dict[str, exp.Expr], tuple[Column, ...], list[Flag]]:
    """Each column's value, its type afterwards, and row errors of conversions."""
    trims = {step.resolve(name) for name in options.trim} if not isinstance(options.trim, bool) else None
    cases = {step.resolve(name): case for name, case in options.case.items()}
    converts = {step.resolve(name): to for name, to in options.convert.items()}
    fills = {step.resolve(name): fill.value for name, fill in options.fill.items()}
    specials = {step.resolve(name): kept for name, kept in options.remove_special.items()}
    values: dict[str, exp.Expr] = {}
    columns, flags = [], []
    for item in step.columns:
        type_, value = parse_type(item.type), column(item.name)
        text = type_.family == "text"
        if item.name in (trims or ()) or item.name in cases or item.name in specials:
            _require_text(item.name, type_)
        if item.name in specials:
            value = without_specials(value, specials[item.name])
        if text and (options.trim if trims is None else item.name in trims):
            value = trimmed(value)
        if text and options.null_values:
            value = _without_spellings(value, options.null_values)
        if item.name in cases:
            value = changed_case(value, cases[item.name])
        if item.name in converts:
            target, on_error = parse_type(converts[item.name].type), converts[item.name].on_error
            cast = exact_cast(value, type_, target)
            if cast.wrong is not None:
                message = f"{item.name} is a value of {target.name}"
                flags.append(Flag(f"clean {item.name}", cast.wrong, (item.name,), message, on_error=on_error))
            value, type_ = cast.value, target
        failing = bool(flags) and flags[-1].columns == (item.name,)
        if (fill := fills.get(item.name)) is not None and not failing:
            value = _filled(item.name, value, type_, fill)
        values[item.name] = value
        columns.append(Column(item.name, type_.name if item.name in converts else item.type))
    return values, tuple(columns), flags


def _without_spellings(value: exp.Expr, spellings: tuple[str, ...]) -> exp.Expr:
    literals = [exp.Literal.string(spelling) for spelling in dict.fromkeys(spellings)]
    return exp.Case().when(exp.In(this=value.copy(), expressions=literals), exp.null()).else_(value)


def _filled(name: str, value: exp.Expr, type_: SqlType, fill: Value) -> exp.Expr:
    refuse_in_value(fill)
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
            hint="leave it out of trim, case and remove_special",
        )
