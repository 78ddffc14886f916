"""Runs as data: what is claimed, what was counted, what is published, and the receipt that says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from headgate.core.errors import Code, FatalError


class Status(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    PUBLISHING = "publishing"
    SUCCESS = "success"
    DEGRADED = "degraded"
    STAGED = "staged"
    SKIPPED = "skipped"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    DISCARDED = "discarded"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class PipelineKey:
    """What a lock, an epoch and a watermark belong to."""

    project: str
    pipeline: str

    def __str__(self) -> str:
        return f"{self.project}/{self.pipeline}"


def execution_id(key: PipelineKey, interval: Mapping[str, Any]) -> str:
    """The same pipeline and interval give the same 32 hex digits, so the same work is done once."""
    text = json.dumps([key.project, key.pipeline, interval], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Rows:
    """Row accounting: what was extracted and expanded was loaded, or has left by one of the other counts.

    ``rejected`` counts rows of the last step that a constraint of a table refused, and that went into its dead letters;
    where several tables get the same rows, those of the table that refused most. ``loaded`` counts the others of the
    last step; ``inserted``, ``updated`` and ``deleted`` what they did to the targets.
    """

    extracted: int = 0
    expanded: int = 0
    filtered: int = 0
    unmatched: int = 0
    quarantined: int = 0
    deduplicated: int = 0
    aggregated: int = 0
    rejected: int = 0
    loaded: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def imbalance(self) -> int:
        """0 when every row is accounted for."""
        gone = self.filtered + self.unmatched + self.quarantined + self.deduplicated + self.aggregated
        return self.extracted + self.expanded - self.loaded - self.rejected - gone


@dataclass(frozen=True)
class StepCount:
    """The rows of one step: ``rows_in + expanded - sum(dropped) = rows_out``.

    ``noted``: what else happened to rows that stayed, such as values that became NULL because they did not fit.
    """

    step: str
    rows_in: int
    rows_out: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    expanded: int = 0
    noted: Mapping[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """Raise unless every row of the step is accounted for."""
        if self.rows_in + self.expanded - sum(self.dropped.values()) != self.rows_out:
            raise FatalError(
                Code.ACCOUNTING_FAILED,
                f"{self.rows_in} rows went in, {self.rows_out} came out, {dict(self.dropped)} were held or dropped",
                operation="audit",
                object=self.step,
                hint="rows would be lost or doubled, so nothing was published; please report this plan",
            )


@dataclass(frozen=True)
class CheckResult:
    """What one rule found.

    Args:
        judged: the rows that it looked at.
        skipped: it is switched off, and was not checked.
        evaluated: false where there was nothing to compare with, or where it could not be evaluated.
        sample: keys of the first rows that break it.
        remembered: what later runs compare with.
        score: how good, 0 to 1, for rules that are not about single rows.
    """

    rule: str
    severity: str
    passed: bool
    failed_rows: int = 0
    message: str = ""
    on_fail: str = "fail"
    kind: str = ""
    stage: str = "transform"
    judged: int = 0
    skipped: bool = False
    evaluated: bool = True
    sample: tuple[Mapping[str, Any], ...] = ()
    observed: str = ""
    remembered: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None

    @property
    def counts(self) -> bool:
        """Whether ``failed_rows`` are rows: a broken answer about all rows is one failure, and no row."""
        return self.evaluated and (self.score is None or self.failed_rows > 1)


@dataclass(frozen=True)
class TableCommit:
    """What one run did to one table. ``commit`` is the store's own name for the version that holds the rows.

    ``unchanged`` counts rows that were there already as they came, so that nothing was written; ``rejected`` those that
    a constraint of the table refused, and that went into its dead letters.
    """

    table: str
    commit: str
    connection: str = ""
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class WatermarkChange:
    column: str | None
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Receipt:
    """What a run returns, and what the history keeps of it."""

    run_id: str
    execution_id: str
    pipeline: str
    status: Status
    started_at: datetime
    ended_at: datetime | None = None
    rows: Rows = field(default_factory=Rows)
    steps: tuple[StepCount, ...] = ()
    watermark: WatermarkChange | None = None
    checks: tuple[CheckResult, ...] = ()
    targets: tuple[TableCommit, ...] = ()
    published: bool = False
    error: Mapping[str, Any] | None = None
    message: str = ""
    quarantine: tuple[str, ...] = ()
    plan_hash: str = ""
    warnings: tuple[str, ...] = ()
    quality: Mapping[str, Any] | None = None

    @property
    def duration_seconds(self) -> float:
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else 0.0

    def with_(self, **changes: Any) -> Receipt:
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, in the shape that ``run -o json`` prints."""
        document = asdict(self)
        document["status"] = self.status.value
        document["started_at"] = timestamp(self.started_at)
        document["ended_at"] = timestamp(self.ended_at) if self.ended_at else None
        document["duration_seconds"] = round(self.duration_seconds, 3)
        document["error"] = dict(self.error) if self.error else None
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Receipt:
        """The receipt that :meth:`as_dict` wrote."""
        watermark = document.get("watermark")
        return cls(
            run_id=document["run_id"],
            execution_id=document["execution_id"],
            pipeline=document["pipeline"],
            status=Status(document["status"]),
            started_at=datetime.fromisoformat(document["started_at"]),
            ended_at=datetime.fromisoformat(document["ended_at"]) if document["ended_at"] else None,
            rows=Rows(**document["rows"]),
            steps=tuple(StepCount(**step) for step in document.get("steps", ())),
            watermark=WatermarkChange(**watermark) if watermark else None,
            checks=tuple(
                CheckResult(**{**check, "sample": tuple(check.get("sample", ()))}) for check in document["checks"]
            ),
            targets=tuple(TableCommit(**target) for target in document["targets"]),
            published=document["published"],
            error=document["error"],
            message=document.get("message", ""),
            quarantine=tuple(document.get("quarantine", ())),
            plan_hash=document.get("plan_hash", ""),
            warnings=tuple(document.get("warnings", ())),
            quality=document.get("quality"),
        )


def timestamp(value: datetime) -> str:
    """ISO 8601 with a Z for UTC."""
    return value.isoformat().replace("+00:00", "Z")
