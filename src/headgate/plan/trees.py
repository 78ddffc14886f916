"""Small syntax trees that passes are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from headgate.core.engines import Column
from headgate.plan.flags import BITS, INTERNAL, MASK
from headgate.sql.shapes import column


def table(name: str, alias: str | None = None) -> exp.Expr:
    """A relation of the pass by its quoted name."""
    found = exp.Table(this=exp.to_identifier(name, quoted=True))
    return exp.alias_(found, alias, table=True) if alias else found


def named(value: exp.Expr, name: str) -> exp.Expr:
    """A copy of the value as a quoted output column."""
    return exp.alias_(value.copy(), exp.to_identifier(name, quoted=True), quoted=True, copy=False)


def bigint(value: exp.Expr, name: str) -> exp.Expr:
    """A word of flags: always 64 bits, whatever the engine would infer."""
    return named(exp.cast(value, exp.DType.BIGINT), name)


def referring(condition: exp.Expr, computed: dict[exp.Expr, str], raw: dict[str, str]) -> exp.Expr:
    """The condition with values that are computed already by their names, and columns as they were."""

    def replace_node(node: exp.Expr) -> exp.Expr:
        if node in computed:
            return column(computed[node])
        if isinstance(node, exp.Column):
            return column(raw[node.name])
        return node

    return condition.copy().transform(replace_node)


def record(raw: dict[str, str], columns: Iterable[Column]) -> exp.Expr:
    """The columns as they were: a map of their names, or a list of one struct where they differ in type.

    Where no row is kept, DuckDB makes room for each column of a struct all the same (0.7 CPU seconds for 16 columns of
    6 M rows), and hands a NULL struct over with each of them; a map and a list of nothing cost next to nothing.
    """
    types = {item.type for item in columns if not item.name.startswith(INTERNAL)}
    kept = [(name, column(alias)) for name, alias in raw.items() if not name.startswith(INTERNAL)]
    if len(types) == 1:
        keys = exp.Array(expressions=[exp.Literal.string(name) for name, _ in kept])
        return exp.Map(keys=keys, values=exp.Array(expressions=[value for _, value in kept]))
    fields = [exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value) for name, value in kept]
    return exp.Array(expressions=[exp.Struct(expressions=fields)])


def unless(condition: exp.Expr, name: str) -> exp.Expr:
    """The column, NULL where the condition is true."""
    return exp.Case().when(exp.paren(condition.copy()), exp.null()).else_(column(name))


def any_bit(bits: Iterable[int], prefix: str = MASK) -> exp.Expr:
    """Whether one of the flags is set: a row is held for it or, with NOTES for ``prefix``, noted."""
    by_word: dict[int, int] = {}
    for bit in bits:
        by_word[bit // BITS] = by_word.get(bit // BITS, 0) | 1 << bit % BITS
    tests = []
    for word, mask in by_word.items():
        name = column(prefix if word == 0 else f"{prefix}{word}")
        found = exp.NEQ(
            this=exp.paren(exp.BitwiseAnd(this=name.copy(), expression=exp.Literal.number(mask))),
            expression=exp.Literal.number(0),
        )
        tests.append(exp.and_(exp.GT(this=name, expression=exp.Literal.number(0)), found))
    return exp.or_(*tests)


def narrowed_sums(select: exp.Select, bound: Sequence[Column]) -> exp.Select:
    """Sums of whole numbers as BIGINT, as databases have them, unless a type was asked for; an overflow raises."""
    items = []
    for item, result in zip(select.expressions, bound, strict=True):
        wide = result.type == "HUGEINT" and not isinstance(item.unalias(), exp.Cast | exp.Column)
        items.append(named(exp.cast(item.unalias().copy(), exp.DType.BIGINT), result.name) if wide else item)
    return select.copy().select(*items, append=False)


def is_cte(table: exp.Table) -> bool:
    """Whether the name ``input`` is one that the query itself defines."""
    node = table.parent
    while node is not None:
        with_ = node.args.get("with_") or node.args.get("with")
        if with_ and any(cte.alias.lower() == table.name.lower() for cte in with_.expressions):
            return True
        node = node.parent
    return False
