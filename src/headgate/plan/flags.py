"""What a pass has beside its own columns: which rows left, are held or noted, and the flags that say why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headgate.plan.checks import Action
from headgate.sql.shapes import Reason

MASK, NOTES, HELD, GROUP, RAW, MARKER = "_hg_m", "_hg_w", "_hg_h", "_hg_n", "_hg_r", "_hg_d"
NULLS, NUMBER = "_hg_u", "_hg_i"
"""Columns of a pass beside its own: verdict words, words of rules that only note, rows as held, rows in a group, and
within a step the columns as they were; and of each target that asks for it, which rows delete their key."""
INTERNAL = "_hg_"
REASONS = "_reasons"
"""Beside a row that is kept: why it is."""
BITS = 62
"""Flags in one BIGINT word."""


@dataclass(frozen=True)
class DropCode:
    """Rows with verdict ``-code`` left at ``step``."""

    code: int
    step: str
    reason: Reason


@dataclass(frozen=True)
class HoldFlag:
    """Bit ``bit`` of the verdict words: a row error, or a row rule that quarantines.

    ``held``: the column that has the row as it was before the step; empty: the pass's own columns are it.
    ``applied``: how many of the pipeline's steps such a row has behind it, where a replay resumes.
    ``alone``: whether the row can be replayed by itself, as far as its own pass goes: nothing after it sees all rows.
    ``after``: rows whose first flag has a smaller bit were held before, and not looked at.
    """

    bit: int
    name: str
    kind: Literal["row_error", "rule"]
    step: str
    message: str
    action: Action
    applied: int
    held: str = ""
    columns: tuple[str, ...] = ()
    alone: bool = True
    after: int = 0


@dataclass(frozen=True)
class NoteFlag:
    """Bit ``bit`` of the note words: a row rule that fails the run, warns or is only recorded.

    Steps note too: values that became NULL because they do not fit (null; log: and ``held``, the column that has the
    row as it was, is kept beside), rows without a match (count). ``after``: as of hold flags.
    """

    bit: int
    name: str
    message: str
    action: Action
    held: str = ""
    step: str = ""
    after: int = 0

    @property
    def erred(self) -> bool:
        """Whether such a row is a row error, though it goes on."""
        return self.action in ("null", "log")

    @property
    def of_rule(self) -> bool:
        """Whether a rule noted it: steps note too."""
        return not (self.erred or self.action == "count")


@dataclass(frozen=True)
class Verdict:
    """How the extra columns of a pass are read.

    ``exempt``: the one that is true for rows which only name a key to be deleted, of which rules ask nothing.
    """

    drops: tuple[DropCode, ...] = ()
    holds: tuple[HoldFlag, ...] = ()
    notes: tuple[NoteFlag, ...] = ()
    exempt: str = ""

    @property
    def mask_columns(self) -> tuple[str, ...]:
        words = max((flag.bit // BITS + 1 for flag in self.holds), default=1 if self.drops else 0)
        return tuple(MASK if word == 0 else f"{MASK}{word}" for word in range(words))

    @property
    def note_columns(self) -> tuple[str, ...]:
        words = max((flag.bit // BITS + 1 for flag in self.notes), default=0)
        return tuple(NOTES if word == 0 else f"{NOTES}{word}" for word in range(words))

    @property
    def held_columns(self) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(name for name in (*(f.held for f in self.holds), *(f.held for f in self.notes)) if name)
        )
