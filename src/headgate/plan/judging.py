"""Row rules become part of a pass: flags in its verdict words, at its end or within it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from headgate.plan.checks import Rule
from headgate.plan.flags import HELD, MASK, NOTES, HoldFlag, NoteFlag
from headgate.plan.passes import PassBuilder
from headgate.plan.trees import any_bit, named, record, table
from headgate.plan.verdicts import flag_words, none_of
from headgate.sql.shapes import ALIVE, RowRule, column


def bind_rules(builder: PassBuilder, shapes: Sequence[RowRule]) -> None:
    """Bind rules over the rows as they are now, each as a SELECT of its own, all in one statement."""
    selects: list[exp.Query] = []
    for shape in shapes:
        probe = shape.holds.transform(
            lambda node: exp.true() if isinstance(node, exp.Column) and node.name == ALIVE else node
        )
        selects.append(exp.select(named(probe, "c")).from_(table(builder.last)))
    if selects:
        query = selects[0] if len(selects) == 1 else exp.union(*selects, distinct=False, copy=False)
        builder.bind(query, builder.last, builder.columns)


def judge(builder: PassBuilder, rules: Iterable[tuple[Rule, RowRule]], step: str, *, within: bool = False) -> None:
    """Judge the rows at the end of the pass, or ``within`` it, by row rules that were bound.

    Rules that compare rows with each other come last: rows that others hold back are none of theirs.
    """
    rules = list(rules)
    builder.ruled += rules
    comparing = [(rule, shape) for rule, shape in rules if shape.holds.find(exp.Window)]
    _judge(builder, [each for each in rules if each not in comparing], step, within=within)
    _judge(builder, comparing, step, within=within)


def _judge(builder: PassBuilder, rules: Sequence[tuple[Rule, RowRule]], step: str, *, within: bool) -> None:
    """Judge the rows that are alive, each by itself or all among themselves."""
    first, held = len(builder.holds), f"{HELD}{len(builder.verdict.held_columns)}" if within else ""
    holding: list[tuple[int, exp.Expr]] = []
    noting: list[tuple[int, exp.Expr]] = []
    alive = builder.asked()
    for rule, shape in rules:
        holds = shape.holds.copy().transform(
            lambda node: alive.copy() if isinstance(node, exp.Column) and node.name == ALIVE else node
        )
        broken: exp.Expr = exp.Not(this=exp.paren(holds))
        builder.sides.extend(name for name in shape.relations if name not in builder.sides)
        if rule.action == "quarantine":
            holding.append((len(builder.holds), broken))
            builder.holds.append(
                HoldFlag(
                    len(builder.holds), rule.name, "rule", step, rule.message, "quarantine", builder.applied, held,
                    after=first,
                )
            )  # fmt: skip
        else:
            noting.append((len(builder.notes), broken))
            builder.notes.append(NoteFlag(len(builder.notes), rule.name, rule.message, rule.action, after=first))
    if not holding and not noting:
        return
    masks = flag_words(holding, MASK, builder.extra, alive, [none_of(holding)])
    notes = flag_words(noting, NOTES, builder.extra, alive, [none_of(noting)])
    others = [name for name in builder.extra if not name.startswith((MASK, NOTES))]
    names = [item.name for item in builder.columns]
    select = exp.select(*(column(name) for name in names), *masks, *notes, *(column(name) for name in others))
    builder.extra = [*(m.alias_or_name for m in masks), *(n.alias for n in notes), *others]
    builder.push("rules", select, builder.columns, builder.lineage)
    if within and holding:
        was = exp.Case().when(
            any_bit(range(first, len(builder.holds))), record({name: name for name in names}, builder.columns)
        )
        kept = exp.select(*(column(name) for name in (*names, *builder.extra)), named(was, held))
        builder.extra = [*builder.extra, held]
        builder.push("rules", kept, builder.columns, builder.lineage)
