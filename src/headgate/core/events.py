"""What a run tells of each step. Progress bars, logs, metrics, lineage and crash tests listen to one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from headgate.core.secrets import mask

QUERY_SHOWN = 200
"""Characters of a query that events tell."""


class Step(StrEnum):
    """Every durable step of a run. Each is told before and after, unless it says otherwise."""

    RUN = "run"
    LOCK = "lock"
    RECOVER = "recover"
    PROBE = "probe"
    PLAN = "plan"
    CLAIM = "claim"
    BEGIN = "begin"  # the target opens its transaction or staging area
    SCAN = "scan"
    STAGE = "stage"  # rows are written where readers do not see them
    SPOOL = "spool"  # rows are kept for a later stage of the same run
    HOLD = "hold"  # quarantined rows are handed to the target
    AUDIT = "audit"
    PUBLISH = "publish"
    SYNC = "sync"  # inside publish: files are forced to the disk
    MANIFEST = "manifest"  # inside publish: the pointer's new content is written beside
    MERGE = "merge"  # inside publish: staged rows are merged in the open transaction
    LEDGER = "ledger"  # inside publish: run, watermark and epoch check, in the same transaction
    COMMIT = "commit"  # inside publish: the one commit
    FORWARD = "forward"  # other stores are rolled forward after the authoritative one
    ACKNOWLEDGE = "acknowledge"
    RECORD = "record"  # the outcome goes into the history
    CLEAN = "clean"
    ROLLBACK = "rollback"
    PROGRESS = "progress"  # told once a batch, with the counts so far


class Phase(StrEnum):
    BEFORE = "before"
    AFTER = "after"
    NOW = "now"  # for what has no duration


@dataclass(frozen=True)
class Event:
    """One thing a run tells. ``detail`` holds plain JSON values only, and no secrets."""

    step: Step
    phase: Phase
    run_id: str
    pipeline: str
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.step}.{self.phase}"


Listener = Callable[[Event], None]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Emitter:
    """Hands each event to all listeners, in order. A listener that raises stops the run: tests rely on it."""

    run_id: str = ""
    pipeline: str = ""
    listeners: Sequence[Listener] = ()
    clock: Clock = utc_now

    def tell(self, step: Step, phase: Phase = Phase.NOW, **detail: Any) -> None:
        event = Event(step, phase, self.run_id, self.pipeline, self.clock(), detail)
        for listener in self.listeners:
            listener(event)

    @contextmanager
    def during(self, step: Step, **detail: Any) -> Iterator[dict[str, Any]]:
        """Tell ``step`` before and, unless the body raises, after. The body may add to the detail told after."""
        self.tell(step, Phase.BEFORE, **detail)
        outcome: dict[str, Any] = dict(detail)
        yield outcome
        self.tell(step, Phase.AFTER, **outcome)


def shortened(query: str) -> str:
    """A query for events. Secrets are masked first, so that none is cut and then not known again."""
    text = mask(query)
    return text if len(text) <= QUERY_SHOWN else f"{text[:QUERY_SHOWN]}..."
