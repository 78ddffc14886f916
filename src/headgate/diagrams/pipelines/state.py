"""State: the life of a run, from start to each way in which it may end."""

from __future__ import annotations

from headgate.core.runs import Receipt, Status
from headgate.diagrams.palette import Role
from headgate.diagrams.states import END, START, State, States, Transition

TEXTS: dict[Status, tuple[str, Role]] = {
    Status.PENDING: ("Pending: waits for its turn", Role.SCHEDULE),
    Status.RUNNING: ("Running: reads, computes, stages", Role.PROCESS),
    Status.RETRYING: ("Retrying: waits after a passing fault", Role.WARNING),
    Status.PUBLISHING: ("Publishing: the one commit", Role.LOAD),
    Status.SUCCESS: ("Success: published", Role.PROCESS),
    Status.DEGRADED: ("Degraded: published, with warnings", Role.WARNING),
    Status.STAGED: ("Staged: left on its branch", Role.CONFIG),
    Status.SKIPPED: ("Skipped: nothing to do", Role.START_END),
    Status.FAILED: ("Failed: nothing is published", Role.ERROR),
    Status.REFUSED: ("Refused by a rule: nothing is published", Role.ERROR),
    Status.UNKNOWN: ("Unknown: the commit's answer was lost", Role.ERROR),
    Status.DISCARDED: ("Discarded", Role.START_END),
    Status.ROLLED_BACK: ("Rolled back: undone after publication", Role.START_END),
}
WAYS: tuple[tuple[Status | None, Status | None, str], ...] = (
    (None, Status.PENDING, ""),
    (Status.PENDING, Status.RUNNING, "lock taken"),
    (Status.RUNNING, Status.SKIPPED, "nothing new"),
    (Status.RUNNING, Status.RETRYING, "passing fault"),
    (Status.RETRYING, Status.RUNNING, "try again"),
    (Status.RETRYING, Status.FAILED, "no attempts left"),
    (Status.RUNNING, Status.FAILED, "error"),
    (Status.RUNNING, Status.REFUSED, "a rule fails"),
    (Status.RUNNING, Status.STAGED, "--no-publish"),
    (Status.RUNNING, Status.PUBLISHING, "checks passed"),
    (Status.PUBLISHING, Status.SUCCESS, "committed"),
    (Status.PUBLISHING, Status.DEGRADED, "committed, a rule warns"),
    (Status.PUBLISHING, Status.FAILED, "fenced, or conflict"),
    (Status.PUBLISHING, Status.UNKNOWN, "no answer"),
    (Status.UNKNOWN, Status.SUCCESS, "the next run finds the commit"),
    (Status.UNKNOWN, Status.FAILED, "the next run finds none"),
    (Status.STAGED, Status.PUBLISHING, "publish"),
    (Status.STAGED, Status.DISCARDED, "discard"),
    (Status.SUCCESS, Status.ROLLED_BACK, "rollback"),
)
ENDS = tuple(status for status in Status if status not in {source for source, _, _ in WAYS})


def life(receipt: Receipt | None = None) -> States:
    """The life of any run; with a receipt, the state that this one is in is marked."""
    states = tuple(
        State(status, text, role, _note(receipt) if receipt and receipt.status is status else "")
        for status, (text, role) in TEXTS.items()
    )
    ways = [Transition(source or START, target or END, label) for source, target, label in WAYS]
    ways += [Transition(status, END) for status in (*ENDS, Status.SUCCESS, Status.DEGRADED)]
    title = f"Life of run {receipt.run_id[:12]}" if receipt else "Life of a run"
    return States(title, states, tuple(dict.fromkeys(ways)))


def _note(receipt: Receipt) -> str:
    why = f": {receipt.error['message']}" if receipt.error else f": {receipt.message}" if receipt.message else ""
    return f"{receipt.run_id[:12]} is here{why}"
