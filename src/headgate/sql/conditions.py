"""Conditions that are safe for every row, and comparisons of a column with values from YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from headgate.core.engines import Column
from headgate.sql.bounds import bounded, matching
from headgate.sql.failures import attempt, can_fail, failed
from headgate.sql.shapes import Drop, Flag, Project, Shape, StepInput, column
from headgate.sql.types import SqlType, parse_type


def equals(name: str, type_: SqlType, value: Any) -> exp.Expr:
    """``column = value``; a value that the type cannot hold equals nothing."""
    literal = matching(name, type_, value)
    here = column(name)
    if literal is None:
        return exp.Not(this=exp.paren(exp.EQ(this=here.copy(), expression=here)))
    return exp.EQ(this=here, expression=literal)


def among(name: str, type_: SqlType, values: Sequence[Any]) -> exp.Expr:
    """``column IN (values)``; NULL gives NULL, and NULL among the values is not looked at."""
    literals = [matching(name, type_, value) for value in values if value is not None]
    found = [literal for literal in literals if literal is not None]
    here = column(name)
    if not found:
        return exp.Not(this=exp.paren(exp.EQ(this=here.copy(), expression=here)))
    return exp.In(this=here, expressions=found)


def above(name: str, type_: SqlType, value: Any) -> exp.Expr:
    """``column > value``; NaN is above nothing."""
    return _strictly(name, type_, exp.Not(this=exp.paren(bounded(column(name), name, type_, None, value))))


def below(name: str, type_: SqlType, value: Any) -> exp.Expr:
    """``column < value``; NaN is below nothing."""
    return _strictly(name, type_, exp.Not(this=exp.paren(bounded(column(name), name, type_, value, None))))


def _strictly(name: str, type_: SqlType, outside: exp.Expr) -> exp.Expr:
    """Beyond a bound is what is not inside it, but for NaN, which is neither."""
    if type_.family != "float":
        return outside
    return exp.and_(outside, exp.Not(this=exp.Anonymous(this="ISNAN", expressions=[column(name)])))


def keep(condition: exp.Expr, text: str, step: StepInput) -> list[Shape]:
    """Shapes that keep the rows for which ``condition`` is true; where it raises, the row is in error."""
    condition = _boolean(condition)
    if not can_fail(condition, step.columns):
        return [Drop(condition)]
    flag = Flag(
        "filter", failed(condition), tuple(_read(condition, step.columns)), f"the condition can be computed: {text}"
    )
    return [Project(tuple(step.keep_all()), (flag,)), Drop(attempt(condition))]


def holds(condition: exp.Expr, columns: Sequence[Column]) -> exp.Expr:
    """A rule's condition: NULL passes, and a row for which it raises does not."""
    condition = _boolean(condition)
    if not can_fail(condition, columns):
        return condition
    return exp.and_(exp.func("COALESCE", attempt(condition), exp.true()), exp.Not(this=exp.paren(failed(condition))))


def type_of(name: str, step: StepInput) -> SqlType:
    """Type of a column of the step. Raises FatalError with the nearest known column."""
    return parse_type(step.type_of(name))


def _boolean(condition: exp.Expr) -> exp.Expr:
    """Numbers and texts as conditions are converted where errors are caught, not behind that."""
    inner = condition.unnest()
    if isinstance(inner, exp.Predicate | exp.Connector | exp.Not | exp.Boolean | exp.Null):
        return condition.copy()
    return exp.cast(exp.paren(condition), exp.DType.BOOLEAN)


def _read(condition: exp.Expr, columns: Sequence[Column]) -> list[str]:
    read = {found.name.lower() for found in condition.find_all(exp.Column)}
    return [item.name for item in columns if item.name.lower() in read]
