"""What must be known before a pipeline is compiled: read from sources and stores, or of the rows of a replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate.core.engines import Column
from headgate.plan.placement import Sites
from headgate.plan.stages import Scan
from headgate.sql.shapes import Call

Probe = Callable[[Call, Sequence[Column]], tuple[tuple[Column, ...], str]]
"""The columns that a Python step gives for these columns, and the hash of its source."""


@dataclass(frozen=True)
class Resume:
    """Where a replay enters: ``applied`` steps lie behind the rows (-1: not even the source's casts)."""

    applied: int
    at_rules: bool


@dataclass(frozen=True)
class Inputs:
    """What was read before compiling: scans of the sources and sides, casts of the main source, stores of targets."""

    scans: tuple[Scan, ...]
    casts: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    resume: Resume | None = None
    sites: Sites = field(default_factory=Sites)
    tables: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """For targets with evolve: quarantine whose table is there: its columns, in lower case."""
    certain: frozenset[str] = frozenset()
    """Columns of casts of which only that they convert need be seen."""

    @property
    def main(self) -> Scan:
        return self.scans[0]
