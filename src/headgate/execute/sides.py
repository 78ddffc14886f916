"""What steps and rules look up, in its true types: exactly, since a rounded key would be that of another row."""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

from headgate.core.contracts import SourceSchema
from headgate.core.engines import TypeBinder
from headgate.execute.hiding import HIDDEN
from headgate.plan.stages import Scan
from headgate.plan.trees import named, table
from headgate.sql.casts import Cast, exact_cast
from headgate.sql.shapes import column
from headgate.sql.types import parse_type


def typed(
    stage: Scan, schema: SourceSchema, raw: str, binder: TypeBinder, hidden: Collection[str], *, files: bool
) -> str:
    """A SELECT over the relation ``raw`` that gives the columns of the plan, and breaks off at a value that is none.

    Args:
        hidden: columns, in lower case, whose values are not told.
        files: whether the types are said by, or found out for, the pipeline.
    """
    kinds = {item.name: item.type for item in binder.columns(schema.raw)}
    values = []
    for item in stage.columns:
        here = column(item.name)
        if item.name in schema.casts:
            source, target = parse_type(kinds[item.name]), parse_type(item.type)
            cast = exact_cast(here, source, target, certain=item.name in schema.certain)
            hint = f"; say what the column is, as in types: {{{item.name}: VARCHAR}}" if files else ""
            told = (f"{stage.object}: {item.name} ", f" is no value of {item.type}{hint}")
            value = _or_break_off(item.name, cast, item.type, told, hide=item.name.lower() in hidden)
            values.append(named(value, item.name))
        else:
            values.append(here)
    return exp.select(*values).from_(table(raw)).sql("duckdb")


def _or_break_off(name: str, cast: Cast, type_: str, told: tuple[str, str], *, hide: bool) -> exp.Expr:
    """``told``: what is said before and after a value that is wrong."""
    if cast.wrong is None:
        return cast.value
    shown: exp.Expr = exp.cast(column(name), "TEXT")
    if hide:  # still of the row: the engine would compute a constant before it reads one
        shown = exp.Case().when(exp.Is(this=shown, expression=exp.null()), exp.null()).else_(exp.Literal.string(HIDDEN))
    message = exp.func("CONCAT", exp.Literal.string(told[0]), shown, exp.Literal.string(told[1]))
    broken = exp.cast(exp.Anonymous(this="ERROR", expressions=[message]), type_, dialect="duckdb")
    return exp.Case().when(cast.wrong, broken).else_(cast.value)
