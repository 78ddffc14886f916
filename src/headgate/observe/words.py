"""Events in words, for people who watch a run."""

from __future__ import annotations

from headgate.core.events import Event, Phase, Step

FIXED = {
    Step.PROBE: "looking for what is new",
    Step.PLAN: "planning",
    Step.HOLD: "keeping rows that were held back",
    Step.AUDIT: "checking",
    Step.PUBLISH: "publishing",
    Step.MERGE: "merging",
    Step.ROLLBACK: "rolling back",
}


def words(event: Event) -> str | None:
    """What a run is about to do, in a few words; None for events that nobody would miss."""
    if event.phase is not Phase.BEFORE:
        return None
    detail = event.detail
    match event.step:
        case Step.RECOVER:
            return f"settling the interrupted run {str(detail.get('run', ''))[:12]}"
        case Step.SCAN:
            return f"reading {detail.get('object', '')}"
        case Step.STAGE if "relation" in detail:
            return f"computing {detail['relation']}"
        case Step.STAGE:
            return "setting the staged rows aside"
        case Step.FORWARD:
            return f"rolling {detail.get('store', 'a store')} forward"
        case _:
            return FIXED.get(event.step)


def rows(count: int) -> str:
    """``1 row``, ``12,345 rows``."""
    return "1 row" if count == 1 else f"{count:,} rows"
