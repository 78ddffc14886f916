"""One pass of a plan: shapes become CTEs, and one verdict column says what became of each row.

The verdict ``_hg_m`` is 0 for a good row, -k for a row that left at drop k, and a mask of held flags otherwise; a row
that is not 0 takes no part in later steps. Rules that fail, warn or record set bits in ``_hg_w`` and hold nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from sqlglot import exp

from headgate.core.contracts import Column
from headgate.plan.lineage import origin
from headgate.plan.stages import (
    BITS,
    GROUP,
    HELD,
    MASK,
    NOTES,
    RAW,
    Action,
    DropCode,
    HoldFlag,
    NoteFlag,
    Rule,
    Verdict,
)
from headgate.plan.trees import any_bit, bigint, is_cte, named, referring, table
from headgate.sql.shapes import (
    ALIVE,
    Call,
    Deduplicate,
    Drop,
    Lookup,
    Project,
    Reason,
    Reshape,
    RowRule,
    Shape,
    column,
)

DIALECT = "duckdb"
Bind = Callable[[exp.Expr, str, Sequence[Column]], tuple[Column, ...]]
"""Types of a SELECT over one relation with the given columns (and the sides)."""


@dataclass
class PassBuilder:
    """Collects the CTEs of one pass. ``reads`` is the relation that the pass starts from."""

    reads: str
    columns: tuple[Column, ...]
    bind: Bind
    applied: int = 0
    steps: list[str] = field(default_factory=list)
    ctes: list[tuple[str, exp.Expr]] = field(default_factory=list)
    drops: list[DropCode] = field(default_factory=list)
    holds: list[HoldFlag] = field(default_factory=list)
    notes: list[NoteFlag] = field(default_factory=list)
    sides: list[str] = field(default_factory=list)
    lineage: dict[str, frozenset[str]] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    grouped: bool = False
    reshaped: bool = False

    def __post_init__(self) -> None:
        if not self.lineage:
            self.lineage = {item.name: frozenset({f"{self.reads}.{item.name}"}) for item in self.columns}

    @property
    def verdict(self) -> Verdict:
        return Verdict(tuple(self.drops), tuple(self.holds), tuple(self.notes))

    @property
    def judged(self) -> bool:
        """Whether some row may not be good at this point."""
        return bool(self.drops or self.holds)

    @property
    def last(self) -> str:
        return self.ctes[-1][0] if self.ctes else self.reads

    def add(self, shape: Shape, step: str, on_row_error: Action) -> None:
        """Append one shape of ``step``."""
        match shape:
            case Project():
                self._project(shape, step, on_row_error)
            case Drop():
                gone = exp.Not(this=exp.Is(this=exp.paren(shape.keep), expression=exp.true()))
                self._judge(step, shape.reason, gone, shape.relations)
            case Deduplicate():
                self._deduplicate(shape, step)
            case Lookup():
                self._lookup(shape, step)
            case Reshape():
                self._reshape(shape, step)
            case Call():
                raise AssertionError("a Python step is a pass of its own")
            case _:
                assert_never(shape)

    # ------------------------------------------------------------------------------------------- row by row

    def _project(self, shape: Project, step: str, on_row_error: Action) -> None:
        before = self.columns
        select = exp.select(*(named(value, name) for name, value in shape.columns))
        checks = [named(exp.paren(flag.condition), f"c{index}") for index, flag in enumerate(shape.flags)]
        bound = self.bind(select.copy().select(*checks).from_(table(self.last)), self.last, before)
        columns = bound[: len(shape.columns)]
        lineage = {
            name: frozenset().union(*(self.lineage.get(c.name, frozenset()) for c in value.find_all(exp.Column)))
            for name, value in shape.columns
        }
        if not shape.flags:
            self._push(step, select.select(*(column(name) for name in self.extra)), columns, lineage)
            return
        self._flag(shape, step, before, columns, lineage, on_row_error)

    def _flag(
        self,
        shape: Project,
        step: str,
        before: tuple[Column, ...],
        columns: tuple[Column, ...],
        lineage: dict[str, frozenset[str]],
        action: Action,
    ) -> None:
        """A step that may find row errors, in three CTEs: values beside what they come from, verdict, rows as held.

        DuckDB computes an expression again for each CASE that it stands in, so the verdict refers to values by name.
        """
        raw = {item.name: f"{RAW}{index}" for index, item in enumerate(before)}
        values = [named(value, name) for name, value in shape.columns]
        kept = [named(column(name), alias) for name, alias in raw.items()]
        self._push(step, exp.select(*values, *kept, *(column(name) for name in self.extra)), columns, lineage)

        held = f"{HELD}{len(self.verdict.held_columns)}"
        alive, first = self._alive(), len(self.holds)
        computed = {value: name for name, value in shape.columns if not isinstance(value, exp.Column)}
        conditions = [referring(flag.condition, computed, raw) for flag in shape.flags]
        for flag in shape.flags:
            number = len(self.holds)
            self.holds.append(
                HoldFlag(number, flag.name, "row_error", step, flag.message, action, self.applied, held, flag.columns)
            )
        suspect = alive
        if all(flag.clear is not None for flag in shape.flags):
            clear = exp.and_(*(referring(flag.clear, computed, raw) for flag in shape.flags if flag.clear is not None))
            suspect = exp.and_(alive, exp.Not(this=exp.Is(this=exp.paren(clear), expression=exp.true())))
        words = self._words([(first + index, condition) for index, condition in enumerate(conditions)], MASK, suspect)
        masks = [word.alias for word in words]
        others = [name for name in self.extra if not name.startswith(MASK)]
        passed = [column(name) for name, _ in shape.columns]
        self._push(
            step,
            exp.select(*passed, *words, *(column(name) for name in (*others, *raw.values()))),
            columns,
            lineage,
        )
        record = exp.Struct(
            expressions=[
                exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=column(alias))
                for name, alias in raw.items()
            ]
        )
        # In a list of one: an empty list costs nothing to hand over, a NULL struct costs each of its columns.
        was = exp.Case().when(any_bit(range(first, len(self.holds))), exp.Array(expressions=[record]))
        self.extra = [*masks, *others, held]
        self._push(
            step,
            exp.select(*passed, *(column(name) for name in (*masks, *others)), named(was, held)),
            columns,
            lineage,
        )

    def _judge(self, step: str, reason: Reason, gone: exp.Expr, relations: Sequence[str] = ()) -> None:
        """Rows that are alive and for which ``gone`` is true leave."""
        code = len(self.drops) + 1
        alive = self._alive()
        words = tuple(Column(name, "BIGINT") for name in self.extra if name.startswith(MASK))
        self.bind(exp.select(named(gone, "c")).from_(table(self.last)), self.last, (*self.columns, *words))
        previous: exp.Expr = column(MASK) if MASK in self.extra else exp.Literal.number(0)
        verdict = exp.Case().when(exp.and_(alive, exp.paren(gone)), exp.Literal.number(-code)).else_(previous)
        self.drops.append(DropCode(code, step, reason))
        self.sides.extend(name for name in relations if name not in self.sides)
        names = [item.name for item in self.columns]
        others = [name for name in self.extra if name != MASK]
        select = exp.select(*(column(name) for name in names), bigint(verdict, MASK), *(column(n) for n in others))
        self.extra = [MASK, *others]
        self._push(step, select, self.columns, self.lineage)

    def _deduplicate(self, shape: Deduplicate, step: str) -> None:
        window = exp.Window(
            this=exp.RowNumber(),
            partition_by=[*([self._alive()] if self.judged else []), *(column(key) for key in shape.keys)],
            order=exp.Order(expressions=[item.copy() for item in shape.order]),
        )
        self._judge(step, "deduplicated", exp.GT(this=window, expression=exp.Literal.number(1)))

    def _lookup(self, shape: Lookup, step: str) -> None:
        left, right, hit = "l", "r", "_hg_hit"
        on = exp.and_(
            *([self._alive(left)] if self.judged else []),
            *(exp.EQ(this=column(mine, left), expression=column(theirs, right)) for mine, theirs in shape.on),
        )
        other = exp.select("*", named(exp.true(), hit)).from_(table(shape.relation)).subquery(right)
        values = [column(item.name, left) for item in self.columns]
        added = [named(column(theirs, right), name) for theirs, name in shape.columns]
        select = exp.select(*values, *added).from_(table(self.last, left)).join(other, on=on, join_type="left")
        bound = self.bind(
            exp.select(*values, *added)
            .from_(table(self.last, left))
            .join(
                exp.select("*", named(exp.true(), hit)).from_(table(shape.relation)).subquery(right),
                on=exp.and_(*(exp.EQ(this=column(m, left), expression=column(t, right)) for m, t in shape.on)),
                join_type="left",
            ),
            self.last,
            self.columns,
        )
        if not shape.optional:
            code = len(self.drops) + 1
            missing = exp.Is(this=column(hit, right), expression=exp.null())
            previous: exp.Expr = column(MASK, left) if MASK in self.extra else exp.Literal.number(0)
            verdict = exp.Case().when(exp.and_(self._alive(left), missing), exp.Literal.number(-code)).else_(previous)
            self.drops.append(DropCode(code, step, "unmatched"))
            select = select.select(bigint(verdict, MASK))
            others = [name for name in self.extra if name != MASK]
            self.extra = [MASK, *others]
        else:
            others = list(self.extra)
        select = select.select(*(column(name, left) for name in others))
        lineage = dict(self.lineage)
        lineage |= {name: frozenset({f"{shape.relation}.{theirs}"}) for theirs, name in shape.columns}
        if shape.relation not in self.sides:
            self.sides.append(shape.relation)
        self._push(step, select, bound, lineage, placed=True)

    # ------------------------------------------------------------------------------------------- sets of rows

    def _reshape(self, shape: Reshape, step: str) -> None:
        assert not self.judged, "a pass ends before rows that are held or dropped could be lost"
        query = shape.query.copy()
        last = self.last
        for found in list(query.find_all(exp.Table)):
            if found.name.lower() == "input" and not is_cte(found):
                found.replace(exp.alias_(table(last), found.alias_or_name, table=True))
        bound = self.bind(query, last, self.columns)
        lineage = {item.name: origin(query, item.name, last, self.lineage) for item in bound}
        if shape.grouped and isinstance(query, exp.Select):
            query = query.select(named(exp.Count(this=exp.Star()), GROUP))
            self.grouped, self.extra = True, [GROUP]
        else:
            self.reshaped, self.extra = True, []
        self.sides.extend(name for name in shape.relations if name not in self.sides)
        self._push(step, query, bound, lineage, placed=True)

    # ------------------------------------------------------------------------------------------- rules, end

    def check(self, rules: Iterable[tuple[Rule, RowRule]], step: str) -> None:
        """Judge the rows at the end of the pass by row rules."""
        holding: list[tuple[int, exp.Expr]] = []
        noting: list[tuple[int, exp.Expr]] = []
        alive = self._alive()
        for rule, shape in rules:
            holds = shape.holds.copy().transform(
                lambda node: alive.copy() if isinstance(node, exp.Column) and node.name == ALIVE else node
            )
            broken = exp.Not(this=exp.paren(holds))
            probe = shape.holds.copy().transform(
                lambda node: exp.true() if isinstance(node, exp.Column) and node.name == ALIVE else node
            )
            self.bind(exp.select(named(probe, "c")).from_(table(self.last)), self.last, self.columns)
            if rule.action == "quarantine":
                holding.append((len(self.holds), broken))
                self.holds.append(
                    HoldFlag(len(self.holds), rule.name, "rule", step, rule.message, "quarantine", self.applied)
                )
            else:
                noting.append((len(self.notes), broken))
                self.notes.append(NoteFlag(len(self.notes), rule.name, rule.message, rule.action))
        if not holding and not noting:
            return
        masks = self._words(holding, MASK, alive) if holding else [column(n) for n in self.extra if n.startswith(MASK)]
        notes = self._words(noting, NOTES, alive)
        others = [name for name in self.extra if not name.startswith(MASK)]
        names = [item.name for item in self.columns]
        select = exp.select(*(column(name) for name in names), *masks, *notes, *(column(name) for name in others))
        self.extra = [*(m.alias_or_name for m in masks), *(n.alias for n in notes), *others]
        self._push("rules", select, self.columns, self.lineage)

    def sql(self) -> str:
        """The whole pass as one SELECT."""
        names = [*(item.name for item in self.columns), *self.extra]
        query = exp.select(*(column(name) for name in names)).from_(table(self.last))
        for name, body in self.ctes:
            query = query.with_(exp.to_identifier(name, quoted=True), as_=body)
        return query.sql(DIALECT, pretty=True)

    # ------------------------------------------------------------------------------------------- parts

    def _alive(self, table: str | None = None) -> exp.Expr:
        words = [name for name in self.extra if name.startswith(MASK)]
        if not words:
            return exp.true()
        return exp.and_(*(exp.EQ(this=column(name, table), expression=exp.Literal.number(0)) for name in words))

    def _words(self, flags: Sequence[tuple[int, exp.Expr]], prefix: str, alive: exp.Expr) -> list[exp.Expr]:
        """All words of a mask: bits of ``flags`` for rows that are alive, what they were for the others."""
        by_word: dict[int, list[exp.Expr]] = {}
        for bit, condition in flags:
            term = (
                exp.Case()
                .when(exp.paren(condition.copy()), exp.Literal.number(1 << bit % BITS))
                .else_(exp.Literal.number(0))
            )
            by_word.setdefault(bit // BITS, []).append(exp.paren(term))
        words = []
        count = (
            max([*by_word, *(int(n[len(prefix) :] or 0) for n in self.extra if n.startswith(prefix))], default=-1) + 1
        )
        for word in range(count):
            name = prefix if word == 0 else f"{prefix}{word}"
            previous: exp.Expr = column(name) if name in self.extra else exp.Literal.number(0)
            terms: list[exp.Expr] | None = by_word.get(word)
            if not terms:
                words.append(bigint(previous, name))
                continue
            total: exp.Expr = terms[0]
            for other in terms[1:]:
                total = exp.Add(this=total, expression=other)
            words.append(bigint(exp.Case().when(alive.copy(), total).else_(previous), name))
        return words

    def _push(
        self,
        step: str,
        select: exp.Expr,
        columns: tuple[Column, ...],
        lineage: dict[str, frozenset[str]],
        *,
        placed: bool = False,
    ) -> None:
        if not placed:
            assert isinstance(select, exp.Select)
            select = select.from_(table(self.last))
        taken = {name for name, _ in self.ctes}
        name, number = step, 1
        while name in taken or name == self.reads:
            number += 1
            name = f"{step}_{number}"
        self.ctes.append((name, select))
        self.columns, self.lineage = columns, lineage


def narrowed(builder: PassBuilder, columns: tuple[Column, ...]) -> PassBuilder:
    """A builder for the pass that follows ``builder`` and reads what it gives."""
    return replace(
        builder,
        columns=columns,
        steps=[],
        ctes=[],
        drops=[],
        holds=[],
        notes=[],
        sides=[],
        extra=[],
        grouped=False,
        reshaped=False,
    )
