"""The verdict columns of a pass as syntax trees: which rows are alive, and words of flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from headgate.plan.flags import BITS, MASK
from headgate.plan.trees import bigint, referring
from headgate.sql.shapes import Flag, column


def is_alive(extra: Sequence[str], table: str | None = None) -> exp.Expr:
    """Whether a row is still good: every verdict word among the columns ``extra`` is 0."""
    words = [name for name in extra if name.startswith(MASK)]
    if not words:
        return exp.true()
    return exp.and_(*(exp.EQ(this=column(name, table), expression=exp.Literal.number(0)) for name in words))


def flag_words(
    flags: Sequence[tuple[int, exp.Expr]],
    prefix: str,
    extra: Sequence[str],
    alive: exp.Expr,
    clear: Sequence[Sequence[exp.Expr]] = (),
) -> list[exp.Expr]:
    """All words of a mask: bits of ``flags`` for rows that are alive, what they were for the others.

    Args:
        flags: bit and condition.
        prefix: MASK or NOTES.
        extra: the columns beside the rows' own; words among them go on.
        alive: which rows are judged. Notes that are there already stay beside the new ones.
        clear: where all of the first are true, no flag is, nor where all of the second are, and so on: one AND costs
            less than a CASE a flag, and each is asked only where those before it gave no answer.
    """
    by_word: dict[int, list[exp.Expr]] = {}
    for bit, condition in flags:
        raised = exp.Literal.number(1 << bit % BITS)
        term = _case(exp.paren(condition.copy(), copy=False), raised, exp.Literal.number(0))
        by_word.setdefault(bit // BITS, []).append(exp.paren(term, copy=False))
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
        first, *others = [_doubt(conditions) for conditions in clear if conditions] or [exp.true()]
        for doubt in reversed(others):
            total = _case(doubt, total, previous.copy())
        words.append(bigint(_case(exp.and_(alive.copy(), first, copy=False), total, previous.copy()), name))
    return words


def _case(condition: exp.Expr, then: exp.Expr, otherwise: exp.Expr) -> exp.Expr:
    """A CASE that takes its parts over: built step by step, everything would be copied at each."""
    return exp.Case().when(condition, then, copy=False).else_(otherwise, copy=False)


def _doubt(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """Not all are true. As one value: the engine is slower where it narrows the rows condition by condition."""
    clear = exp.paren(exp.and_(*conditions), copy=False)
    return exp.Not(this=exp.paren(exp.Is(this=clear, expression=exp.true()), copy=False))


def all_clear(
    flags: Sequence[Flag], computed: dict[exp.Expr, str], raw: dict[str, str]
) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """What is true only of rows that raise none of the flags: of plain rows, of more; or it cannot be told of one."""
    clear = [referring(flag.clear, computed, raw) for flag in flags if flag.clear is not None]
    plain = [referring(flag.plain or flag.clear, computed, raw) for flag in flags if flag.clear is not None]
    if len(clear) < len(flags):
        return [], []
    return plain, clear if clear != plain else []


def none_of(flags: Sequence[tuple[int, exp.Expr]]) -> list[exp.Expr]:
    """The same of rules, from their conditions; windows and subqueries are not computed twice."""
    costly = any(condition.find(exp.Window, exp.Query) for _, condition in flags)
    return [] if costly else [exp.Not(this=exp.paren(condition.copy())) for _, condition in flags]


def among(expression: exp.Expr, alive: exp.Expr) -> exp.Expr:
    """A copy in which windows see only rows that are alive."""

    def narrow(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Window):
            node.set("partition_by", [alive.copy(), *(node.args.get("partition_by") or ())])
        return node

    return expression.copy().transform(narrow)


def among_flag(flag: Flag, alive: exp.Expr) -> Flag:
    """The flag, all of whose windows see only rows that are alive."""
    clear = among(flag.clear, alive) if flag.clear is not None else None
    return replace(flag, condition=among(flag.condition, alive), clear=clear, plain=None)
