"""Columns of a SELECT, found by the binder, with errors that name the nearest known column; and names that are free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from headgate.core.engines import BindingError, Column, TypeBinder
from headgate.core.errors import Code, FatalError
from headgate.plan.flags import INTERNAL
from headgate.plan.passes import DIALECT
from headgate.sql.shapes import missing_column


def bound(
    binder: TypeBinder,
    query: exp.Expr,
    relation: str,
    columns: Sequence[Column],
    others: Mapping[str, Sequence[Column]],
) -> tuple[Column, ...]:
    """The columns that a SELECT over one relation (and others) gives. Raises FatalError PLAN_INVALID."""
    try:
        return binder.bind(query.sql(DIALECT), {**others, relation: columns})
    except BindingError as error:
        if error.missing:
            names = [item.name for item in columns]
            raise missing_column(error.missing, names, candidates=error.candidates) from error
        raise FatalError(Code.PLAN_INVALID, error.message, operation="plan", object=relation) from error


def checked(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns, none of which has a name that passes need themselves, or that means another one, too."""
    seen: dict[str, str] = {}
    for item in columns:
        if (other := seen.setdefault(item.name.lower(), item.name)) != item.name:
            raise FatalError(
                Code.PLAN_INVALID,
                f'the columns "{other}" and "{item.name}" differ in case only',
                operation="plan",
                object=item.name,
                hint="names are compared without case; rename one of them where it is read",
            )
        if item.name.lower().startswith(INTERNAL):
            raise FatalError(
                Code.PLAN_INVALID,
                f'"{item.name}" starts with {INTERNAL}, which headgate keeps for itself',
                operation="plan",
                object=item.name,
                hint="rename the column in the source's query",
            )
    return columns
