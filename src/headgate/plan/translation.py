"""Steps in the SQL of the source's server: every column as an expression there, and which rows stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from sqlglot import exp

from headgate.core.engines import Column
from headgate.plan.derivation import Derivation
from headgate.plan.grouping import Groups, grouped
from headgate.plan.passes import Bind
from headgate.plan.stages import Scan
from headgate.plan.trail import Step
from headgate.sql.failures import asked, guarded
from headgate.sql.postgres import Translator, Untranslatable
from headgate.sql.shapes import Branch, Call, Deduplicate, Drop, Lookup, Note, Project, Reshape

_NAMES = {Deduplicate: "deduplication", Lookup: "a join", Call: "a Python step", Branch: "a second output"}


class Translation:
    """What a chain of steps does to the rows of a scan. Raises Untranslatable for what is the engine's work.

    Args:
        scan: what is read.
        steps: all of them, of one pass after the other.
        last: the columns after the last.
        bind: gives the types of a SELECT over one relation.
    """

    def __init__(self, scan: Scan, steps: Sequence[Step], last: Sequence[Column], bind: Bind) -> None:
        self._scan, self._steps, self._last, self._bind = scan, steps, last, bind
        self._derivation = Derivation(scan, bind)
        self.where: list[str] = []
        """Conditions that rows which stay fulfil, one a drop."""
        self.groups: Groups | None = None
        self._attempted: list[tuple[int, exp.Expr]] = []
        """What the engine attempts, and how many drops stood before it."""
        for number, step in enumerate(steps, 1):
            self._see(step, steps[number].columns if number < len(steps) else last)

    def columns(self) -> tuple[tuple[str, str], ...]:
        """Each column after the last step, with its SQL over the source's."""
        if self.groups is not None:
            return tuple((item.name, self.groups.columns[item.name]) for item in self._last)
        values = {item.name: self._derivation.values[item.name] for item in self._last}
        computed = [value for value in values.values() if not isinstance(value, exp.Column)]
        translator = Translator(self._derivation.types(*computed))
        return tuple((name, translator.sql(value)) for name, value in values.items())

    def proofs(self) -> tuple[str, ...]:
        """SQL for what the engine computes of rows for which columns and conditions need not be: it raises for the rows
        in which the engine finds an error, also where the row leaves afterwards, or its value."""
        last = [] if self.groups is not None else [self._derivation.values[item.name].unnest() for item in self._last]
        found = []
        for drops, value in self._attempted:
            text = self._translate(value)
            follows = drops < len(self.where) and self.where[drops] == _true(text)
            if follows or (drops == len(self.where) and value in map(guarded, last)):
                continue
            alive = " AND ".join(self.where[:drops])
            found.append(f"CASE WHEN {alive} THEN ({text}) IS NULL END" if alive else f"({text}) IS NULL")
        return tuple(dict.fromkeys(found))

    def _see(self, step: Step, after: Sequence[Column]) -> None:
        if self.groups is not None and not isinstance(step.shape, Note):
            raise Untranslatable("a step after the groups is the engine's work")
        match step.shape:
            case Project() if step.applied < 0:
                self._derivation.cast(after)
            case Project():
                self._attempt(step.shape)
                self._derivation.project(step.shape)
            case Drop():
                if step.shape.relations:
                    raise Untranslatable("a filter looks into another relation")
                self.where.append(_true(self._translate(self._derivation.over(step.shape.keep))))
            case Note():
                pass
            case Reshape():
                self.groups = grouped(step.shape, step.columns, after, self._derivation, self._bind)
            case Deduplicate() | Lookup() | Call() | Branch():
                raise Untranslatable(f"{_NAMES[type(step.shape)]} is the engine's work")
            case _:
                assert_never(step.shape)

    def _attempt(self, shape: Project) -> None:
        for flag in shape.flags:
            attempted = asked(flag.condition)
            if attempted is None:
                raise Untranslatable("a step finds errors in rows by itself")
            self._attempted.append((len(self.where), self._derivation.over(attempted)))

    def _translate(self, value: exp.Expr) -> str:
        return Translator(self._derivation.types(value)).sql(value)


def _true(condition: str) -> str:
    return f"({condition}) IS TRUE"
