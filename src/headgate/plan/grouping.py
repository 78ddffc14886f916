"""Groups in PostgreSQL's SQL: sums, counts and extremes that are the same there to the last digit, or no translation.

Sums of doubles depend on the order of the rows, and means are computed in doubles, so both are the engine's work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from headgate.core.engines import Column
from headgate.plan.derivation import Derivation, types_over
from headgate.plan.passes import Bind
from headgate.sql.expressions import is_aggregate
from headgate.sql.postgres import BYTEWISE, Translator, Untranslatable, declared, typed
from headgate.sql.shapes import Reshape
from headgate.sql.types import DIALECT, SqlType, parse_type

_KEYS = {"integer", "decimal", "date", "timestamp", "boolean", "text"}
_ORDERED = {"integer", "decimal", "date", "timestamp", "text"}
_SUMMED = {"integer", "decimal"}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


@dataclass(frozen=True)
class Groups:
    """What a step over groups gives: its columns as SQL over the source's, and what makes a group."""

    columns: Mapping[str, str]
    keys: tuple[str, ...]


def grouped(shape: Reshape, before: Sequence[Column], after: Sequence[Column], found: Derivation, bind: Bind) -> Groups:
    """Translate a step.

    Args:
        shape: the step.
        before: the columns that it reads.
        after: those that it gives.
        found: what the columns before it are.
        bind: gives the types of a SELECT over one relation.

    Raises:
        Untranslatable: with what is the engine's work.
    """
    query = shape.query
    clauses = {name for name, value in query.args.items() if value}
    if not shape.grouped or not isinstance(query, exp.Select) or clauses - {"expressions", "from", "from_", "group"}:
        raise Untranslatable("a step over sets of rows is the engine's work")
    group = query.args.get("group")
    names = [item.name for item in group.expressions] if group is not None else []
    writer = _Writer(before, found, bind)
    keys = {name: writer.key(exp.column(exp.to_identifier(name, quoted=True))) for name in names}
    types = {item.name: parse_type(item.type) for item in after}
    columns: dict[str, str] = {}
    for item in query.expressions:
        name, value = item.alias_or_name, item.unalias()
        own = isinstance(value, exp.Column) and value.name in keys
        columns[name] = keys[value.name] if own else writer.metric(value, types[name])
    return Groups(columns, tuple(keys.values()))


class _Writer:
    def __init__(self, before: Sequence[Column], found: Derivation, bind: Bind) -> None:
        self._before, self._found, self._bind = before, found, bind

    def key(self, node: exp.Expr) -> str:
        """A value by which rows are told apart: texts by their bytes, whatever the collation."""
        text, type_ = self._value(node)
        if type_.family not in _KEYS:
            raise Untranslatable(f"groups of {type_.name} are the engine's work")
        return f"(CAST({text} AS text){BYTEWISE})" if type_.family == "text" else text

    def metric(self, node: exp.Expr, wanted: SqlType) -> str:
        """Aggregates, and what is computed from them; an overflow raises."""
        aggregates: dict[str, tuple[exp.Expr, str]] = {}

        def named(part: exp.Expr) -> exp.Expr:
            if not (isinstance(part, exp.Filter) or is_aggregate(part)):
                return part
            name = f"_hg_a{len(aggregates)}"
            aggregates[name] = (part, self._aggregate(part))
            return exp.column(exp.to_identifier(name, quoted=True))

        outer = node.copy().transform(named)
        bound = types_over(self._bind, "groups", self._before)
        kinds = bound(exp.select(*(exp.alias_(part.copy(), name) for name, (part, _) in aggregates.items())))
        found = dict(zip(aggregates, kinds, strict=True))
        types = typed([outer], self._types({**found, **_compared_only(outer, found)}))
        text = Translator(types, lambda name: aggregates[name][1]).sql(outer)
        return f"CAST({text} AS {declared(wanted)})"

    def _types(self, found: Mapping[str, str]) -> Callable[[exp.Expr], list[str]]:
        return types_over(self._bind, "groups", [Column(name, kind) for name, kind in found.items()])

    def _aggregate(self, node: exp.Expr) -> str:  # noqa: C901 - one case an aggregate
        if isinstance(node, exp.Filter):
            condition, type_ = self._value(node.expression.this)
            if type_.family != "boolean" or isinstance(node.this, exp.Filter):
                raise Untranslatable(f"{_shown(node)} is the engine's work")
            return f"{self._aggregate(node.this)} FILTER (WHERE {condition})"
        inner = node.this
        match node:
            case exp.Count() if not node.expressions:
                if isinstance(inner, exp.Star):
                    return "count(*)"
                if isinstance(inner, exp.Distinct) and len(inner.expressions) == 1 and not inner.args.get("on"):
                    return f"count(DISTINCT {self.key(inner.expressions[0])})"
                if not isinstance(inner, exp.Distinct):
                    return f"count({self._value(inner)[0]})"
            case exp.Sum() if not isinstance(inner, exp.Distinct):
                text, type_ = self._value(inner)
                if type_.family in _SUMMED:
                    return f"sum({text})"
                raise Untranslatable(f"a sum of {type_.name} is the engine's work")
            case exp.Min() | exp.Max() if not node.expressions and not isinstance(inner, exp.Distinct):
                text, type_ = self._value(inner)
                if type_.family in _ORDERED:
                    name = "min" if isinstance(node, exp.Min) else "max"
                    return f"{name}({text}{BYTEWISE if type_.family == 'text' else ''})"
        raise Untranslatable(f"{_shown(node)} is the engine's work")

    def _value(self, node: exp.Expr) -> tuple[str, SqlType]:
        value = self._found.over(node)
        writer = Translator(self._found.types(value))
        return writer.sql(value), writer.type_of(value)


def _compared_only(outer: exp.Expr, found: Mapping[str, str]) -> dict[str, str]:
    """Sums of whole numbers that are only compared with literals, as decimals: servers have no wider whole numbers."""
    wide = {name for name, kind in found.items() if kind == "HUGEINT"}
    for column in outer.find_all(exp.Column):
        above = column.parent
        while isinstance(above, exp.Paren):
            above = above.parent
        parts = [part.unnest() for part in above.iter_expressions()] if isinstance(above, _COMPARISONS) else []
        whole = all(isinstance(p, exp.Column) or (isinstance(p, exp.Literal) and p.name.isdigit()) for p in parts)
        if column.name in wide and not (parts and whole):
            wide.discard(column.name)
    return dict.fromkeys(wide, "DECIMAL(38,0)")


def _shown(node: exp.Expr) -> str:
    text = node.sql(DIALECT)
    return text if len(text) <= 60 else text[:57] + "..."
