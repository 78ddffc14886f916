"""What rules become: a rule as receipts show it, and how each is judged that looks at more than single rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headgate.core.engines import Column

Action = Literal["fail", "quarantine", "warn", "record", "null", "log", "count"]


@dataclass(frozen=True)
class Rule:
    """A rule as receipts show it. ``place`` is its index in the pipeline's ``quality_rules``."""

    name: str
    severity: str
    action: Action
    message: str
    place: int
    kind: str = ""
    gate: str = "transform"
    columns: tuple[str, ...] = ()
    """What it reads, as far as that is known: shown with the keys of rows that break it."""


@dataclass(frozen=True)
class SetCheck:
    """A rule over all rows of a pass or table: ``sql`` over the spool gives (failing rows, observed text).

    ``offending``: gives the keys or rows that break it. ``rows``: true for rows of the spool that break it, where they
    can be told; ``exact``: as many as ``sql`` says. ``whole``: columns of whole numbers; if all are filled and none of
    their combinations occurs twice, the answer is (0, :data:`~headgate.sql.shapes.UNREPEATED`). ``delivery``: it is not
    judged by rows that somebody chose.
    """

    rule: Rule
    spool: str
    sql: str
    offending: str = ""
    rows: str = ""
    exact: bool = False
    whole: tuple[str, ...] = ()
    delivery: bool = False


@dataclass(frozen=True)
class MeasureCheck:
    """A rule judged from aggregates over ``columns`` of the spool; all of one spool share a scan.

    ``relation``: the pass whose rows are counted; empty: those of the spool. ``options``: the rule, as JSON.
    ``delivery``: it is not judged by rows that somebody chose.
    """

    rule: Rule
    spool: str
    relation: str
    columns: tuple[Column, ...]
    options: str
    nulls: tuple[str, ...] = ()
    remembers: bool = False
    delivery: bool = False


@dataclass(frozen=True)
class CountCheck:
    """A rule about single rows of a table as it will be: ``broken`` is the condition of those that break it."""

    rule: Rule
    spool: str
    broken: str


@dataclass(frozen=True)
class CallCheck:
    """A rule that a Python function judges, over columns of the spool."""

    rule: Rule
    spool: str
    function: str
    scope: Literal["batch", "table"]
    columns: tuple[Column, ...]
    source_hash: str


@dataclass(frozen=True)
class TableCheck:
    """Columns that must be unique in a target's table as it will be."""

    rule: Rule
    target: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """Columns of a target's table as it will be after the commit, read for the rules at the gate before it."""

    relation: str
    target: int
    columns: tuple[Column, ...]
