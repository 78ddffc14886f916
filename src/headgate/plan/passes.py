"""One pass of a plan: shapes become CTEs, and one verdict column says what became of each row.

The verdict ``_hg_m`` is 0 for a good row, -k for a row that left at drop k, and a mask of held flags otherwise; a row
that is not 0 takes no part in later steps. Rules that fail, warn or record set bits in ``_hg_w`` and hold nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.secrets import Secret
from headgate.plan.checks import Action, Rule
from headgate.plan.flags import BITS, GROUP, HELD, MARKER, MASK, NOTES, RAW, DropCode, HoldFlag, NoteFlag, Verdict
from headgate.plan.kept import refuse_kept
from headgate.plan.lineage import origin
from headgate.plan.trail import Step
from headgate.plan.trees import any_bit, bigint, is_cte, named, narrowed_sums, record, referring, table, unless
from headgate.plan.verdicts import all_clear, among, among_flag, flag_words, is_alive
from headgate.sql.naming import distinct
from headgate.sql.shapes import (
    Branch,
    Call,
    Deduplicate,
    Drop,
    Lookup,
    Note,
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
    keys: dict[str, Secret] = field(default_factory=dict)
    setwise: int | None = None
    """The last step that looked at all rows."""
    exempt: exp.Expr | None = None
    """True for rows that only name a key to be deleted: rules ask nothing of them, and they are no row errors."""
    trail: list[Step] = field(default_factory=list)
    ruled: list[tuple[Rule, RowRule]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.lineage:
            self.lineage = {item.name: frozenset({f"{self.reads}.{item.name}"}) for item in self.columns}

    @property
    def verdict(self) -> Verdict:
        alone = (replace(flag, alone=self.setwise is None or flag.applied > self.setwise) for flag in self.holds)
        exempt = self.exempt.name if self.exempt is not None else ""
        return Verdict(tuple(self.drops), tuple(alone), tuple(self.notes), exempt)

    @property
    def judged(self) -> bool:
        """Whether some row may not be good at this point."""
        return bool(self.drops or self.holds)

    @property
    def last(self) -> str:
        return self.ctes[-1][0] if self.ctes else self.reads

    def add(self, shape: Shape, step: str, on_row_error: Action) -> None:
        """Append one shape of ``step``."""
        self.trail.append(Step(shape, self.columns, self.applied))
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
            case Branch():
                raise AssertionError("a branch is a pass of its own")
            case Note():
                pass
            case _:
                assert_never(shape)

    # ------------------------------------------------------------------------------------------- row by row

    def _project(self, shape: Project, step: str, on_row_error: Action) -> None:
        before = self.columns
        self.keys |= shape.keys
        shape = self._among_alive(shape)
        if self.setwise == self.applied:
            shape = self._narrowed(shape)
        select = exp.select(*(named(value, name) for name, value in shape.columns))
        checks = [named(exp.paren(flag.condition), f"c{index}") for index, flag in enumerate(shape.flags)]
        bound = self.bind(select.copy().select(*checks).from_(table(self.last)), self.last, (*before, *self._masks()))
        columns = bound[: len(shape.columns)]
        lineage = {
            name: frozenset().union(*(self.lineage.get(c.name, frozenset()) for c in value.find_all(exp.Column)))
            for name, value in shape.columns
        }
        if not shape.flags:
            self.push(step, select.select(*(column(name) for name in self.extra)), columns, lineage)
            return
        self._flag(shape, step, before, columns, lineage, on_row_error)

    def _among_alive(self, shape: Project) -> Project:
        """Windows of the shape see rows that are still good, and make what was held before them unfit for replay."""
        asked = [value for _, value in shape.columns] + [flag.condition for flag in shape.flags]
        if not any(value.find(exp.Window) for value in asked):
            return shape
        self.setwise = self.applied
        if not self.judged:
            return shape
        alive = self.alive()
        flags = [among_flag(flag, alive) for flag in shape.flags]
        values = tuple((name, among(value, alive)) for name, value in shape.columns)
        return replace(shape, columns=values, flags=tuple(flags))

    def _narrowed(self, shape: Project) -> Project:
        select = exp.select(*(named(value, name) for name, value in shape.columns)).from_(table(self.last))
        narrow = narrowed_sums(select, self.bind(select, self.last, (*self.columns, *self._masks())))
        return replace(shape, columns=tuple((item.alias, item.this) for item in narrow.expressions))

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
        self.push(step, exp.select(*values, *kept, *(column(name) for name in self.extra)), columns, lineage)

        held, first = f"{HELD}{len(self.verdict.held_columns)}", len(self.holds)
        computed = {value: name for name, value in shape.columns if not isinstance(value, exp.Column)}
        holding: list[tuple[int, exp.Expr]] = []
        noting: list[tuple[int, exp.Expr]] = []
        nulled: dict[str, list[exp.Expr]] = {name: [] for name, _ in shape.columns}
        for flag in shape.flags:
            condition, wanted = referring(flag.condition, computed, raw), flag.on_error or action
            if wanted == "count":
                noting.append((len(self.notes), condition))
                self.notes.append(NoteFlag(len(self.notes), step, flag.message, wanted))
            elif wanted in ("null", "log"):
                bit, was = len(self.notes), held if wanted == "log" else ""
                noting.append((bit, condition))
                self.notes.append(NoteFlag(bit, f"{step}: {flag.name}", flag.message, wanted, was, step))
                for name in nulled.keys() & set(flag.columns):
                    nulled[name].append(condition)
            else:
                number = len(self.holds)
                holding.append((number, condition))
                self.holds.append(
                    HoldFlag(
                        number, flag.name, "row_error", step, flag.message, wanted, self.applied, held, flag.columns
                    )
                )
        if any((flag.on_error or action) in ("quarantine", "log") for flag in shape.flags):
            refuse_kept(before)
        clear, judged = all_clear(shape.flags, computed, raw), self.asked()
        masks = flag_words(holding, MASK, self.extra, judged, clear)
        notes = flag_words(noting, NOTES, self.extra, judged, clear)
        others = [name for name in self.extra if not name.startswith((MASK, NOTES))]
        everything = [*masks, *notes, *(column(name) for name in others)]
        logged = [note.bit for note in self.notes if note.held == held]
        kept_raw = [column(name) for name in raw.values()] if holding or logged else []
        selected = [
            named(unless(exp.or_(*wrong), name) if wrong else column(name), name) for name, wrong in nulled.items()
        ]
        self.push(step, exp.select(*selected, *everything, *kept_raw), columns, lineage)
        self.extra = [*(word.alias for word in (*masks, *notes)), *others]
        if not kept_raw:
            return
        asked = [any_bit(range(first, len(self.holds)))] if holding else []
        asked += [any_bit(logged, NOTES)] if logged else []
        kept_row = exp.Case().when(exp.or_(*asked), record(raw, before))
        own = [column(name) for name in (*nulled, *self.extra)]
        self.extra = [*self.extra, held]
        self.push(step, exp.select(*own, named(kept_row, held)), columns, lineage)

    def _masks(self) -> tuple[Column, ...]:
        return tuple(Column(name, "BIGINT") for name in self.extra if name.startswith(MASK))

    def _judge(self, step: str, reason: Reason, gone: exp.Expr, relations: Sequence[str] = ()) -> None:
        """Rows that are alive and for which ``gone`` is true leave."""
        code = len(self.drops) + 1
        alive = self.alive()
        self.bind(exp.select(named(gone, "c")).from_(table(self.last)), self.last, (*self.columns, *self._masks()))
        previous: exp.Expr = column(MASK) if MASK in self.extra else exp.Literal.number(0)
        verdict = exp.Case().when(exp.and_(alive, exp.paren(gone)), exp.Literal.number(-code)).else_(previous)
        self.drops.append(DropCode(code, step, reason))
        self.sides.extend(name for name in relations if name not in self.sides)
        names = [item.name for item in self.columns]
        others = [name for name in self.extra if name != MASK]
        select = exp.select(*(column(name) for name in names), bigint(verdict, MASK), *(column(n) for n in others))
        self.extra = [MASK, *others]
        self.push(step, select, self.columns, self.lineage)

    def _deduplicate(self, shape: Deduplicate, step: str) -> None:
        if shape.reason != "deduplicated":
            self.setwise = self.applied
        window = exp.Window(
            this=exp.RowNumber(),
            partition_by=[*([self.alive()] if self.judged else []), *(column(key) for key in shape.keys)],
            order=exp.Order(expressions=[item.copy() for item in shape.order]),
        )
        self._judge(step, shape.reason, exp.GT(this=window, expression=exp.Literal.number(shape.count)))

    def _lookup(self, shape: Lookup, step: str) -> None:
        left, right, hit = "l", "r", "_hg_hit"
        alive = self.alive(left)
        keys = [exp.EQ(this=column(mine, left), expression=column(theirs, right)) for mine, theirs in shape.on]
        values = [column(item.name, left) for item in self.columns]
        added = [named(column(theirs, right), name) for theirs, name in shape.columns]

        def joined(on: exp.Expr) -> exp.Select:
            other = exp.select("*", named(exp.true(), hit)).from_(table(shape.relation)).subquery(right)
            select = exp.select(*values, *added).from_(table(self.last, left))
            return select.join(other, on=on, join_type="left")

        bound = self.bind(joined(exp.and_(*keys)), self.last, self.columns)
        select = joined(exp.and_(*([alive] if self.judged else []), *keys))
        missing = exp.Is(this=column(hit, right), expression=exp.null())
        bit = len(self.notes)
        name = MASK if not shape.optional else NOTES if bit < BITS else f"{NOTES}{bit // BITS}"
        previous: exp.Expr = column(name, left) if name in self.extra else exp.Literal.number(0)
        if shape.optional:
            self.notes.append(NoteFlag(bit, step, "no match", "count"))
            found: exp.Expr = exp.Add(this=previous.copy(), expression=exp.Literal.number(1 << bit % BITS))
        else:
            self.drops.append(DropCode(len(self.drops) + 1, step, "unmatched"))
            found = exp.Literal.number(-len(self.drops))
        verdict = exp.Case().when(exp.and_(self.asked(left), missing), found).else_(previous)
        others = [other for other in self.extra if other != name]
        self.extra = [name, *others]
        select = select.select(bigint(verdict, name), *(column(other, left) for other in others))
        lineage = dict(self.lineage)
        lineage |= {name: frozenset({f"{shape.relation}.{theirs}"}) for theirs, name in shape.columns}
        if shape.relation not in self.sides:
            self.sides.append(shape.relation)
        self.push(step, select, bound, lineage, placed=True)

    # ------------------------------------------------------------------------------------------- sets of rows

    def _reshape(self, shape: Reshape, step: str) -> None:
        assert not self.judged, "a pass ends before rows that are held or dropped could be lost"
        self.setwise = self.applied
        query = shape.query.copy()
        last = self.last
        for found in list(query.find_all(exp.Table)):
            if found.name.lower() == "input" and not is_cte(found):
                found.replace(exp.alias_(table(last), found.alias_or_name, table=True))
        bound = self.bind(query, last, self.columns)
        distinct(item.name for item in bound)
        if shape.grouped and isinstance(query, exp.Select):
            query = narrowed_sums(query, bound)
            bound = self.bind(query, last, self.columns)
        lineage = {item.name: origin(query, item.name, last, self.lineage) for item in bound}
        if shape.grouped and isinstance(query, exp.Select):
            query = query.select(named(exp.Count(this=exp.Star()), GROUP))
            self.grouped, self.extra = True, [GROUP]
        else:
            self.reshaped, self.extra = True, []
        self.sides.extend(name for name in shape.relations if name not in self.sides)
        self.push(step, query, bound, lineage, placed=True)

    # ------------------------------------------------------------------------------------------- end

    def mark(self, name: str, condition: exp.Expr) -> None:
        """Add a column that says for which rows a condition is true."""
        value = exp.Coalesce(this=exp.paren(condition.copy()), expressions=[exp.false()])
        names = [*(item.name for item in self.columns), *self.extra]
        select = exp.select(*(column(each) for each in names), named(value, name))
        self.extra = [*self.extra, name]
        self.push("marked", select, self.columns, self.lineage)

    @property
    def marks(self) -> list[str]:
        """Columns that say which rows delete their key, where the source says it and so each pass is to hand it on."""
        return [name for name in self.extra if name.startswith(MARKER)] if self.exempt is not None else []

    def sql(self) -> str:
        """The whole pass as one SELECT."""
        names = [*(item.name for item in self.columns), *self.extra]
        query = exp.select(*(column(name) for name in names)).from_(table(self.last))
        for name, body in self.ctes:
            query = query.with_(exp.to_identifier(name, quoted=True), as_=body.copy(), copy=False)
        return query.sql(DIALECT, pretty=True)

    # ------------------------------------------------------------------------------------------- parts

    def alive(self, table: str | None = None) -> exp.Expr:
        """Whether a row is still good at this point."""
        return is_alive(self.extra, table)

    def asked(self, table: str | None = None) -> exp.Expr:
        """Whether something is asked of a row: it is good so far, and does not only name a key to be deleted."""
        alive = self.alive(table)
        if self.exempt is None:
            return alive
        return exp.and_(alive, exp.Not(this=column(self.exempt.name, table)))

    def push(
        self,
        step: str,
        select: exp.Expr,
        columns: tuple[Column, ...],
        lineage: dict[str, frozenset[str]],
        *,
        placed: bool = False,
    ) -> None:
        """Append a CTE that gives the columns, and ``extra``; ``placed``: it has its FROM already."""
        if not placed:
            assert isinstance(select, exp.Select)
            select = select.from_(table(self.last), copy=False)
        taken = {name for name, _ in self.ctes}
        name, number = step, 1
        while name in taken or name == self.reads:
            number += 1
            name = f"{step}_{number}"
        self.ctes.append((name, select))
        self.columns, self.lineage = columns, lineage


def narrowed(builder: PassBuilder, columns: tuple[Column, ...]) -> PassBuilder:
    """A builder for the pass that follows ``builder`` and reads what it gives."""
    return PassBuilder(
        builder.reads,
        columns,
        builder.bind,
        builder.applied,
        lineage=builder.lineage,
        extra=builder.marks,
        exempt=builder.exempt,
        setwise=builder.setwise if builder.exempt is not None else None,
    )
