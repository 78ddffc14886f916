"""Relations that steps and rules read beside the rows: what is read, under which name, and how it is asked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.sql.casts import fits
from headgate.sql.shapes import SideRead, StepInput, column, missing_column
from headgate.sql.types import SqlType

_NUMBERS = {"integer", "decimal", "float"}


def side_read(
    prefix: str,
    connection: str | None,
    table: str | None,
    path: str | None,
    columns: Sequence[str] = (),
    *,
    unique: Sequence[str] = (),
    types: Mapping[str, str] | None = None,
) -> SideRead:
    """What is read, under a name that follows from it."""
    said = [connection, table, path, list(columns), *([list(unique)] if unique else []), *([types] if types else [])]
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:6]
    words = re.sub(r"\W+", "_", table or path or "", flags=re.ASCII).strip("_").lower()
    read = (connection, table, path, tuple(columns), tuple(unique), tuple((types or {}).items()))
    return SideRead(f"{prefix}_{words}_{digest}", *read)


def refuse_types_of_tables(table: str | None, types: Mapping[str, str]) -> None:
    """Raise ValueError where types are said of a table, which has its own."""
    if table is not None and types:
        raise ValueError("types are those of files; a table has its own")


def columns_of(side: SideRead, step: StepInput) -> Sequence[Column]:
    """The columns of what was read. Raises SOURCE_NOT_FOUND if it was not."""
    if side.name not in step.relations:
        raise FatalError(
            Code.SOURCE_NOT_FOUND,
            "what is compared with was not read",
            operation="plan",
            object=side.table or side.path or "",
            hint="check table, path and connection",
        )
    return step.relations[side.name]


def resolve(name: str, columns: Sequence[Column]) -> Column:
    """A column by its name without case. Raises FatalError with the nearest known column."""
    for item in columns:
        if item.name.lower() == name.lower():
            return item
    raise missing_column(name, [item.name for item in columns])


def alike(mine: SqlType, theirs: SqlType) -> bool:
    """Whether values of the types are compared as what they are.

    Whole numbers and decimals are not, beside doubles that do not hold them: 2 ** 53 + 1 would be 2 ** 53.
    """
    families = {mine.family, theirs.family}
    if len(families) == 1:
        return mine == theirs or mine.family != "other"
    if not families <= _NUMBERS:
        return False
    return "float" not in families or fits(mine, theirs) or fits(theirs, mine)


def comparable(left: str, mine: SqlType, right: str, theirs: SqlType, path: str | None) -> None:
    """Refuse keys of different families: they would be converted row by row, and raise or match by accident."""
    if alike(mine, theirs):
        return
    raise FatalError(
        Code.PLAN_INVALID,
        f"{left} is {mine.name}, but {right} there is {theirs.name}",
        operation="plan",
        object=left,
        hint=f"cast {left} to {theirs.name} in a step before{or_types(right, mine, path)}",
    )


def or_types(key: str, type_: SqlType, path: str | None) -> str:
    """The other way out where the other side is files, whose types are found out: without values there is none."""
    return f", or say types: {{{key}: {type_.name}}} beside path:" if path is not None else ""


def present(relation: str, names: Sequence[str], keys: Sequence[str]) -> exp.Expr:
    """Whether the relation has the values of ``names`` in its columns ``keys``, or one of them is NULL."""
    filled = [exp.Not(this=exp.Is(this=column(key, "r"), expression=exp.null())) for key in keys]
    source = exp.alias_(exp.Table(this=exp.to_identifier(relation, quoted=True)), "r", table=True)
    query = exp.select(*(column(key, "r") for key in keys)).from_(source).where(*filled)
    values = [column(name) for name in names]
    found = exp.In(this=values[0] if len(names) == 1 else exp.Tuple(expressions=values), query=query.subquery())
    # also where nothing is there: NULL is in no empty set, says SQL
    missing = [exp.Is(this=column(name), expression=exp.null()) for name in names]
    return exp.or_(*missing, found)
