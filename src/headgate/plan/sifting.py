"""Filters that a source applies itself: the rows that it leaves out never travel, and are counted there.

The filters stay in the first pass, so the source may leave out fewer rows than they drop, but none that they would
keep, hold back, or drop elsewhere. Only those in front are asked of it: a row that a step before holds back must come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.grounds import Ground
from headgate.plan.derivation import Derivation
from headgate.plan.passes import Bind
from headgate.plan.stages import Check, Scan, Stage, Transform
from headgate.plan.trail import Trail
from headgate.sql.postgres import Untranslatable
from headgate.sql.shapes import Drop, Note, Project
from headgate.sql.sifting import DIALECTS, Sifter, Unsiftable


def sifted_scan(stages: Sequence[Stage], trails: Mapping[str, Trail], ground: Ground, bind: Bind) -> tuple[Stage, ...]:
    """The stages, whose first scan leaves rows out, or says why it does not.

    Args:
        stages: scans and passes of the plan.
        trails: how each pass came about, by relation.
        ground: what the main source knows.
        bind: gives the types of a SELECT over one relation.
    """
    scan = stages[0]
    assert isinstance(scan, Scan), "a plan begins with what it reads"
    readers = [stage for stage in stages if isinstance(stage, Transform) and stage.reads == scan.relation]
    drops = [drop for stage in readers for drop in stage.verdict.drops if drop.reason == "filtered"]
    if not ground.dialect or not drops:
        return tuple(stages)
    sifting = _Sifting(scan, ground, bind)
    try:
        _check_alone(scan, readers, stages)
        sifting.see(trails[readers[0].relation], readers[0].columns)
    except (Unsiftable, Untranslatable) as reason:
        why = f"{drops[sifting.whole].step} is the engine's work: {reason}" if sifting.whole < len(drops) else ""
        return (replace(scan, keeps=tuple(sifting.keeps), unsifted=why), *stages[1:])
    return (replace(scan, keeps=tuple(sifting.keeps)), *stages[1:])


def _check_alone(scan: Scan, readers: Sequence[Transform], stages: Sequence[Stage]) -> None:
    """Nobody but the first pass may look at the rows as they were read."""
    beside = [stage for stage in stages if isinstance(stage, Transform) and scan.relation in stage.sides]
    if len(readers) != 1 or beside or scan.affected is not None:
        raise Unsiftable("the rows are read more than once")
    check = next(stage for stage in stages if isinstance(stage, Check) and stage.relation == readers[0].relation)
    if any(rule.gate == "extract" for rule in check.rules):
        raise Unsiftable("a rule looks at the rows as they were read")


class _Sifting:
    def __init__(self, scan: Scan, ground: Ground, bind: Bind) -> None:
        self._ground = ground
        self._derivation = Derivation(scan, bind)
        self.keeps: list[str] = []
        self.whole = 0
        """Filters of which everything is asked."""

    def see(self, trail: Trail, last: tuple[Column, ...]) -> None:
        """Collect the conditions of the filters in front. Raises Unsiftable at the first that cannot be asked."""
        if self._ground.obstacle:
            raise Unsiftable(self._ground.obstacle)
        for number, step in enumerate(trail.steps):
            shape = step.shape
            match shape:
                case Project() if step.applied < 0:
                    following = trail.steps[number + 1 :]
                    self._derivation.cast(following[0].columns if following else last)
                case Project():
                    if shape.flags:
                        raise Unsiftable("an expression before it may find errors in rows")
                    if any(value.find(exp.Window) for _, value in shape.columns):
                        raise Unsiftable("a window before it looks at all rows")
                    self._derivation.project(shape)
                case Drop():
                    self._drop(shape)
                case Note():
                    pass
                case _:
                    raise Unsiftable("a step before it is about more than single rows")

    def _drop(self, shape: Drop) -> None:
        """Every part of a conjunction that can be asked is; if some cannot, the engine does the rest, and all after."""
        if shape.relations or shape.reason != "filtered":
            raise Unsiftable("it looks into another relation")
        asked: list[str] = []
        missing: Exception | None = None
        dialect = DIALECTS[self._ground.dialect]
        dialect = replace(dialect, ordered=dialect.ordered and self._ground.ordered)
        for part in _conjuncts(self._derivation.over(shape.keep)):
            sifter = Sifter(dialect, self._derivation.types(part), self._ground.values)
            try:
                asked.append(sifter.sql(part))
            except Unsiftable as reason:
                missing = missing or reason
        if asked:
            self.keeps.append(" AND ".join(asked))
        if missing is not None:
            raise Unsiftable(f"the rest of it: {missing}" if asked else str(missing))
        self.whole += 1


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    inner = condition.unnest()
    if isinstance(inner, exp.And):
        yield from _conjuncts(inner.this)
        yield from _conjuncts(inner.expression)
    else:
        yield inner
