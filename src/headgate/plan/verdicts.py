"""The verdict columns of a pass as syntax trees: which rows are alive, and words of flags."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from headgate.plan.stages import BITS, MASK
from headgate.plan.trees import bigint, referring
from headgate.sql.shapes import Flag, column


def is_alive(extra: Sequence[str], table: str | None = None) -> exp.Expr:
    """Whether a row is still good: every verdict word among the columns ``extra`` is 0."""
    words = [name for name in extra if name.startswith(MASK)]
    if not words:
        return exp.true()
    return exp.and_(*(exp.EQ(this=column(name, table), expression=exp.Literal.number(0)) for name in words))


def flag_words(
    flags: Sequence[tuple[int, exp.Expr]], prefix: str, extra: Sequence[str], alive: exp.Expr
) -> list[exp.Expr]:
    """All words of a mask: bits of ``flags`` for rows that are alive, what they were for the others.

    Args:
        flags: bit and condition.
        prefix: MASK or NOTES.
        extra: the columns beside the rows' own; words among them go on.
        alive: which rows are judged. Notes that are there already stay beside the new ones.
    """
    by_word: dict[int, list[exp.Expr]] = {}
    for bit, condition in flags:
        term = (
            exp.Case()
            .when(exp.paren(condition.copy()), exp.Literal.number(1 << bit % BITS))
            .else_(exp.Literal.number(0))
        )
        by_word.setdefault(bit // BITS, []).append(exp.paren(term))
    words: list[exp.Expr] = []
    count = max([*by_word, *(int(n[len(prefix) :] or 0) for n in extra if n.startswith(prefix))], default=-1) + 1
    for word in range(count):
        name = prefix if word == 0 else f"{prefix}{word}"
        previous: exp.Expr = column(name) if name in extra else exp.Literal.number(0)
        terms: list[exp.Expr] = list(by_word.get(word, ()))
        if not terms:
            words.append(bigint(previous, name))
            continue
        if prefix != MASK and name in extra:
            terms.insert(0, column(name))
        total = terms[0]
        for other in terms[1:]:
            total = exp.Add(this=total, expression=other)
        words.append(bigint(exp.Case().when(alive.copy(), total).else_(previous), name))
    return words


def suspects(alive: exp.Expr, flags: Sequence[Flag], computed: dict[exp.Expr, str], raw: dict[str, str]) -> exp.Expr:
    """The rows to look at: those alive for which not all flags are clear."""
    clear = [referring(flag.clear, computed, raw) for flag in flags if flag.clear is not None]
    if len(clear) < len(flags):
        return alive
    return exp.and_(alive, exp.Not(this=exp.Is(this=exp.paren(exp.and_(*clear)), expression=exp.true())))


def among(expression: exp.Expr, alive: exp.Expr) -> exp.Expr:
    """A copy in which windows see only rows that are alive."""

    def narrow(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Window):
            node.set("partition_by", [alive.copy(), *(node.args.get("partition_by") or ())])
        return node

    return expression.copy().transform(narrow)
