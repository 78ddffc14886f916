"""How a pass came about, for those who would do the same elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.core.engines import Column
from headgate.plan.checks import Rule
from headgate.sql.shapes import RowRule, Shape


@dataclass(frozen=True)
class Step:
    """One shape of a pass, with the columns that it reads; ``applied``: the pipeline's steps before it."""

    shape: Shape
    columns: tuple[Column, ...]
    applied: int


@dataclass(frozen=True)
class Trail:
    """The shapes of one pass, and its row rules."""

    steps: tuple[Step, ...] = ()
    rules: tuple[tuple[Rule, RowRule], ...] = ()
