"""Comparisons of a column with a text that no value of its type can be: they would raise for every row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.sql.types import parse_type

_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)
_DIGITS = re.compile(r"[0-9]")
_WORDS = {
    "integer": (),
    "decimal": (),
    "float": ("inf", "nan", "infinity"),
    "date": ("epoch", "infinity"),
    "timestamp": ("epoch", "infinity"),
    "timestamptz": ("epoch", "infinity"),
    "time": (),
}
"""Texts without a digit that are values all the same, by the column's family."""


def refuse_impossible(expression: exp.Expr, columns: Sequence[Column]) -> None:
    """Raise FatalError PLAN_INVALID for ``amount > 'x'``, where amount is a number, a date or a time.

    Only texts without any digit are looked at: what else the engine reads as a number or a date it says itself.
    """
    types = {column.name.lower(): column.type for column in columns if column.type}  # names alone may be known
    for node in expression.find_all(*_COMPARED):
        sides = list(_sides(node))
        texts = [side.name for side in sides if isinstance(side, exp.Literal) and side.is_string]
        for here in sides if texts else ():
            if not isinstance(here, exp.Column) or here.name.lower() not in types:
                continue
            type_ = parse_type(types[here.name.lower()])
            for text in texts:
                if type_.family in _WORDS and not _possible(text, type_.family):
                    raise FatalError(
                        Code.PLAN_INVALID,
                        f"'{text}' cannot be compared with {here.name}, which is {type_.name}",
                        operation="plan",
                        object=here.name,
                        hint=f"give a value of type {type_.name}, or cast {here.name} to VARCHAR",
                    )


def _sides(node: exp.Expr) -> Iterable[exp.Expr]:
    for key in ("this", "expression", "low", "high"):
        if isinstance(side := node.args.get(key), exp.Expr):
            yield side.unnest()
    yield from (side.unnest() for side in node.args.get("expressions") or ())


def _possible(text: str, family: str) -> bool:
    return bool(_DIGITS.search(text)) or text.strip().lstrip("+-").lower() in _WORDS[family]
