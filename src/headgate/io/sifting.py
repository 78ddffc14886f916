"""Rows that a database leaves out for a plan: conditions as SQL around a read, and the counting of what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.core.contracts import ReadContext
from headgate.core.models import ReadOptions


@dataclass(frozen=True)
class Sifting:
    """Which rows of a read are wanted.

    Args:
        keeps: conditions in the database's SQL. A row for which one is not true is left out …
        sound: … if all of these are true of it: the reader has no error in its values, so that the plan would not
            find any either before it drops the row.
    """

    keeps: tuple[str, ...]
    sound: tuple[str, ...] = ()

    def condition(self) -> str:
        """True for the rows that are read; empty: for all."""
        if not self.keeps:
            return ""
        kept = " AND ".join(f"({condition})" for condition in self.keeps)
        odd = "".join(f" OR ({condition}) IS NOT TRUE" for condition in self.sound)
        return f"(({kept}){odd})"

    def counts(self) -> list[str]:
        """For each condition an aggregate: the rows that are left out for it, and not for one before."""
        sound = "".join(f" AND ({condition}) IS TRUE" for condition in self.sound)
        found = []
        for number, condition in enumerate(self.keeps):
            before = "".join(f"({earlier}) IS TRUE AND " for earlier in self.keeps[:number])
            found.append(f"count(CASE WHEN {before}({condition}) IS NOT TRUE{sound} THEN 1 END)")
        return found


def obstacle(read: ReadOptions, context: ReadContext) -> str:
    """Why no row of a read may be left out; empty if some may."""
    if read.query is not None:
        return "a query would be run twice, to count what is left out: filter in it"
    return unseen(read, context)


def unseen(read: ReadOptions, context: ReadContext) -> str:
    """Why the client must see the rows of a read; empty if it need not."""
    if read.max_records is not None:
        return "max_records cuts the rows at a position that the client must see"
    if read.mode in ("snapshot", "delta"):
        return "rows are dated or compared by the client"
    if read.mode == "cdc":
        return "changes come as messages, which the client turns into rows"
    if read.mode != "full" and context.interval is None:
        return "the cursor's values must be seen by the client, which drops what was read before"
    return ""
