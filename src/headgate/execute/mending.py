"""Held rows are mended by SQL on their way back into the plan."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from headgate.core.engines import BindingError, Column, TypeBinder
from headgate.core.errors import Code, FatalError, nearest
from headgate.execute.context import Mend
from headgate.sql.casts import exact_cast
from headgate.sql.expressions import parse_select
from headgate.sql.literals import quote_name
from headgate.sql.shapes import StepInput, column
from headgate.sql.types import parse_type

HELD = "input"
"""What SQL calls the held rows."""


def mending(
    mend: Mend, held: Sequence[Column], binder: TypeBinder, beside: Sequence[Column] = ()
) -> tuple[str, tuple[Column, ...]]:
    """The SELECT that mends rows with the columns ``held``, and the columns that it gives: the same, in their order.

    A column keeps its type, so that what follows finds what it was planned for; a value that the type cannot hold as it
    is ends the run. Columns ``beside`` can be looked at, and do not go on.

    Raises:
        FatalError: USAGE for columns or expressions that do not fit.
    """
    query = _select(mend, held, beside)
    seen = [*held, *beside]
    try:
        found = binder.bind(query, {HELD: seen})
    except BindingError as error:
        raise _wrong(
            error.message, nearest(error.missing, [item.name for item in seen]) if error.missing else ""
        ) from error
    passing = {item.name for item in beside}
    found = tuple(item for item in found if item.name not in passing)
    by_name = {item.name: item for item in found}
    if len(found) != len(held) or set(by_name) != {item.name for item in held}:
        raise _wrong(
            "the query must give the columns of the held rows, no more and no less",
            "its columns: " + ", ".join(item.name for item in held),
        )
    values = (_as_held(by_name[item.name], item) for item in held)
    return f"SELECT {', '.join(values)} FROM ({query})", tuple(held)


def _as_held(mended: Column, held: Column) -> str:
    name = quote_name(held.name)
    if mended.type == held.type:
        return name
    cast = exact_cast(column(held.name), parse_type(mended.type), parse_type(held.type))
    value = cast.value
    if cast.wrong is not None:
        message = f"a mended value of {held.name} is no {held.type}"
        told = exp.Anonymous(this="ERROR", expressions=[exp.Literal.string(message)])
        value = exp.Case().when(cast.wrong, told).else_(value)
    return f"{value.sql('duckdb')} AS {name}"


def _select(mend: Mend, held: Sequence[Column], beside: Sequence[Column]) -> str:
    if mend.sql:
        query: exp.Expr = parse_select(mend.sql, [HELD])
        return query.sql("duckdb")
    step = StepInput((*held, *beside))
    values = {item.name: quote_name(item.name) for item in held}
    for name, text in mend.values.items():
        values[step.resolve(name)] = step.expression(text).sql("duckdb")
    return f"SELECT {', '.join(f'{value} AS {quote_name(name)}' for name, value in values.items())} FROM {HELD}"


def _wrong(message: str, hint: str) -> FatalError:
    return FatalError(Code.USAGE, message, operation="mend", hint=hint)


def check_whole(mended: int, held: int, entry: str) -> None:
    """Raise unless mending gave as many rows as were held: none may vanish, none may be made up."""
    if mended != held:
        raise FatalError(
            Code.USAGE,
            f"mending gave {mended} rows of {held}",
            operation="mend",
            object=entry,
            hint="a query may change rows, not drop or add them; discard rows that are not wanted",
        )
