"""Values from YAML compared with a column, in the column's own type: never through a float, never by a hidden cast."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Any, Literal

from sqlglot import exp

from headgate.core.errors import Code, FatalError
from headgate.sql.types import DIALECT, SqlType

Side = Literal["min", "max"]
_EXACT = Context(prec=400)


def bounded(column: exp.Expr, name: str, type_: SqlType, low: Any, high: Any) -> exp.Expr:
    """``low <= column <= high``, both inclusive and either None; NaN is outside, NULL gives NULL.

    Raises:
        FatalError: PLAN_INVALID if a bound cannot be compared with the type.
    """
    parts = []
    if low is not None:
        parts.append(_limit(column, name, type_, low, "min"))
    if high is not None:
        parts.append(_limit(column, name, type_, high, "max"))
    if type_.family == "float":
        parts.append(exp.Not(this=exp.Anonymous(this="ISNAN", expressions=[column.copy()])))
    return exp.and_(*parts)


def matching(name: str, type_: SqlType, value: Any) -> exp.Expr | None:
    """``value`` as a literal of the column's type; None if no value of that type equals it.

    Raises:
        FatalError: PLAN_INVALID if the value is of another family than the column.
    """
    match type_.family:
        case "integer" | "decimal":
            number = _decimal(name, type_, value)
            if not number.is_finite() or not _holds(type_, number):
                return None
            return _number(number, type_)
        case "date":
            moment = _moment(name, type_, value)
            return _typed(moment.date().isoformat(), type_) if moment.time() == time() else None
        case "binary" | "other":
            raise _incomparable(name, type_, value)
        case _:
            return _literal(name, type_, value)


def _limit(column: exp.Expr, name: str, type_: SqlType, value: Any, side: Side) -> exp.Expr:
    limit = _nearest(name, type_, value, side)
    if isinstance(limit, bool):
        # The bound lies outside the type. The comparison keeps NULLs NULL.
        same = exp.EQ(this=column.copy(), expression=column.copy())
        return same if limit else exp.Not(this=exp.paren(same))
    compare = exp.GTE if side == "min" else exp.LTE
    return compare(this=column.copy(), expression=limit)


def _nearest(name: str, type_: SqlType, value: Any, side: Side) -> exp.Expr | bool:
    """The nearest value of the type inside the bound; True if the type has no value outside, False if none inside."""
    match type_.family:
        case "integer" | "decimal":
            return _nearest_number(name, type_, value, side)
        case "date":
            moment = _moment(name, type_, value)
            day = moment.date()
            if side == "min" and moment.time() != time():
                if day == date.max:
                    return False
                day += timedelta(days=1)
            return _typed(day.isoformat(), type_)
        case "boolean" | "binary" | "other":
            raise _incomparable(name, type_, value)
        case _:
            return _literal(name, type_, value)


def _nearest_number(name: str, type_: SqlType, value: Any, side: Side) -> exp.Expr | bool:
    number = _decimal(name, type_, value)
    if number.is_nan():
        raise _incomparable(name, type_, value)
    lowest, highest = _span(type_)
    if number > highest:
        return side == "max"
    if number < lowest:
        return side == "min"
    step = Decimal(1).scaleb(-type_.scale)
    return _number(number.quantize(step, ROUND_CEILING if side == "min" else ROUND_FLOOR, _EXACT), type_)


def _span(type_: SqlType) -> tuple[Decimal, Decimal]:
    if type_.family == "integer":
        return Decimal(type_.low), Decimal(type_.high)
    top = _EXACT.subtract(Decimal(10) ** type_.whole_digits, Decimal(1).scaleb(-type_.scale))
    return -top, top


def _holds(type_: SqlType, number: Decimal) -> bool:
    lowest, highest = _span(type_)
    if not lowest <= number <= highest:
        return False
    return number.quantize(Decimal(1).scaleb(-type_.scale), ROUND_FLOOR, _EXACT) == number


def _number(number: Decimal, type_: SqlType) -> exp.Expr:
    return _typed(format(number, "f").split(".")[0] if type_.scale == 0 else format(number, "f"), type_)


def _literal(name: str, type_: SqlType, value: Any) -> exp.Expr:
    match type_.family:
        case "float":
            number = _float(name, type_, value)
            return _typed("NaN" if math.isnan(number) else repr(number), type_)
        case "text" if isinstance(value, str):
            return exp.Literal.string(_without_nul(name, value))
        case "boolean" if isinstance(value, bool):
            return exp.true() if value else exp.false()
        case "time" if isinstance(value, time | str):
            return _typed(_time(name, type_, value).isoformat(), type_)
        case "timestamp" | "timestamptz":
            return _typed(_moment(name, type_, value).isoformat(sep=" "), type_)
        case _:
            raise _incomparable(name, type_, value)


def _decimal(name: str, type_: SqlType, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise _incomparable(name, type_, value)
    try:
        return Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise _incomparable(name, type_, value) from None


def _float(name: str, type_: SqlType, value: Any) -> float:
    try:
        return float(_decimal(name, type_, value))
    except OverflowError:
        raise _incomparable(name, type_, value) from None


def _time(name: str, type_: SqlType, value: time | str) -> time:
    try:
        found = value if isinstance(value, time) else time.fromisoformat(value)
    except ValueError:
        raise _incomparable(name, type_, value) from None
    if found.tzinfo is not None:
        raise _incomparable(name, type_, value)
    return found


def _moment(name: str, type_: SqlType, value: Any) -> datetime:
    """A date is its midnight; without a zone a moment is in UTC where the column has a zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise _incomparable(name, type_, value) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - naive on purpose: the column decides
    if not isinstance(value, datetime):
        raise _incomparable(name, type_, value)
    if type_.family == "timestamptz":
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if value.tzinfo is not None:
        raise _incomparable(name, type_, value)
    return value


def _without_nul(name: str, value: str) -> str:
    if "\x00" in value:
        raise FatalError(
            Code.PLAN_INVALID,
            "a value holds a NUL byte",
            operation="plan",
            object=name,
            hint="remove it from the value",
        )
    return value


def _typed(text: str, type_: SqlType) -> exp.Expr:
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build(type_.name, dialect=DIALECT))


def _incomparable(name: str, type_: SqlType, value: Any) -> FatalError:
    match type_.family:
        case "text":
            hint = f"quote the value, or cast {name} first"
        case "date" | "timestamp" | "timestamptz":
            hint = "write a date or time like 2024-01-31 or 2024-01-31T12:00:00" + (
                ", without a zone" if type_.family != "timestamptz" else ""
            )
        case "other" | "binary":
            hint = f"cast {name} first"
        case _:
            hint = f"give a value of type {type_.name}, or cast {name} first"
    return FatalError(
        Code.PLAN_INVALID,
        f"{value!r} cannot be compared with {name}, which is {type_.name}",
        operation="plan",
        object=name,
        hint=hint,
    )
