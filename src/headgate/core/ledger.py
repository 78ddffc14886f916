"""What the target's store keeps of runs, and changes in the one commit: epochs, watermarks, runs, quarantine.

The statements here are the contract: a store on a SQL connection executes them (``io/ledger.py``) inside the
transaction that publishes the data; a folder writes the same records into its manifests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headgate.core.runs import PipelineKey

VERSION = 1
PREFIX = "headgate_"
"""Every table that headgate keeps for itself starts with this; users' tables may not."""


@dataclass(frozen=True)
class Watermark:
    """A position in one source up to which published runs have read.

    Args:
        source: name of connection and table, query hash or path, stable across runs.
        filter: fingerprint of column, where, query: a changed one is refused until ``state reset``.
        position: what the source returned, opaque to everyone else; plain JSON.
        column: the cursor column, for people; files have none.
        value: the cursor's highest scanned value as text, for people and for ``state show``.
        run_id: the run that published it.
    """

    source: str
    filter: str
    position: Mapping[str, Any]
    column: str | None = None
    value: Any = None
    run_id: str = ""

    @property
    def forgotten(self) -> bool:
        """Whether the next run reads everything, and the position only tells what was followed before."""
        return _FORGOTTEN in self.position

    def forget(self) -> Watermark:
        """The mark of a source of changes that are not to be gone on with: without it nobody would know that the
        target may hold rows that were deleted since."""
        return replace(self, position={**self.position, _FORGOTTEN: True}, value=None, run_id="reset by hand")


_FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class QuarantineEntry:
    """Rows that one run held back at one step, all with the same first reason.

    ``location`` is a path inside the store, or empty when the store keeps the bytes itself. ``step`` is the index of
    the plan's pass at which ``replay`` resumes; ``held_at`` the name of the step that held them back.
    """

    id: str
    run_id: str
    pipeline: str
    rule: str
    rows: int
    status: str = "held"  # held | replayed | discarded | expired | superseded | logged (with NULL) | evidence
    held_at: str = ""
    step: int = 0
    location: str = ""
    replayable: bool = True

    @property
    def waits(self) -> bool:
        """Whether its rows are kept to be looked at; those of settled entries may be freed."""
        return self.status in ("held", "logged")


@dataclass(frozen=True)
class PublishedRun:
    run_id: str
    execution_id: str
    plan_hash: str
    epoch: int
    receipt: Mapping[str, Any]


@dataclass(frozen=True)
class PipelineState:
    """What a store knows of one pipeline; reading it changes nothing, and no state at all is epoch 0."""

    epoch: int = 0
    claimed_run: str = ""
    claimed_execution: str = ""
    watermarks: Mapping[str, Watermark] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A run's right to publish: void as soon as a higher epoch is claimed."""

    key: PipelineKey
    run_id: str
    execution_id: str
    epoch: int


@dataclass(frozen=True)
class LedgerRecord:
    """What a commit writes beside the data.

    Args:
        claim: the right to commit.
        plan_hash: names the plan.
        receipt: of the run, as a document.
        watermarks: new positions.
        quarantine: new entries.
        resolved: entries that this run replays; one that is no longer held is a conflict.
        replaces: the earlier run of this execution, under ``--force``.
        superseded: entries of rows that this run has read again, so that replaying them would double rows.
    """

    claim: Claim
    plan_hash: str
    receipt: Mapping[str, Any]
    watermarks: tuple[Watermark, ...] = ()
    quarantine: tuple[QuarantineEntry, ...] = ()
    resolved: tuple[str, ...] = ()
    replaces: str = ""
    superseded: tuple[str, ...] = ()

    @classmethod
    def restored(cls, claim: Claim, document: Mapping[str, Any]) -> LedgerRecord:
        """A record that was kept as ``dataclasses.asdict`` makes it, for ``claim``."""
        return cls(
            claim,
            document["plan_hash"],
            document["receipt"],
            tuple(Watermark(**mark) for mark in document["watermarks"]),
            tuple(QuarantineEntry(**entry) for entry in document["quarantine"]),
            tuple(document["resolved"]),
            document["replaces"],
            tuple(document.get("superseded", ())),
        )


TABLES = (
    """CREATE TABLE IF NOT EXISTS headgate_pipelines (
        project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL, epoch BIGINT NOT NULL,
        run_id VARCHAR(64) NOT NULL, execution_id VARCHAR(64) NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (project, pipeline))""",
    """CREATE TABLE IF NOT EXISTS headgate_watermarks (
        project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL, source VARCHAR(255) NOT NULL,
        filter VARCHAR(64) NOT NULL, position TEXT NOT NULL, cursor_column VARCHAR(255), cursor_value TEXT,
        run_id VARCHAR(64) NOT NULL, PRIMARY KEY (project, pipeline, source))""",
    """CREATE TABLE IF NOT EXISTS headgate_runs (
        run_id VARCHAR(64) NOT NULL PRIMARY KEY, execution_id VARCHAR(64) NOT NULL UNIQUE,
        project VARCHAR(255) NOT NULL, pipeline VARCHAR(255) NOT NULL, epoch BIGINT NOT NULL,
        plan_hash VARCHAR(64) NOT NULL, receipt TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS headgate_quarantine (
        id VARCHAR(64) NOT NULL PRIMARY KEY, run_id VARCHAR(64) NOT NULL, project VARCHAR(255) NOT NULL,
        pipeline VARCHAR(255) NOT NULL, rule_name TEXT NOT NULL, row_count BIGINT NOT NULL, status VARCHAR(16) NOT NULL,
        held_at TEXT NOT NULL, step INTEGER NOT NULL, location TEXT NOT NULL, replayable INTEGER NOT NULL)""",
)
"""Portable DDL. Parameters below are ``?``; a driver with another style translates them."""

SELECT_PIPELINE = "SELECT epoch, run_id, execution_id FROM headgate_pipelines WHERE project = ? AND pipeline = ?"
INSERT_PIPELINE = (
    "INSERT INTO headgate_pipelines (project, pipeline, epoch, run_id, execution_id, version)"
    " VALUES (?, ?, 0, '', '', 1) ON CONFLICT (project, pipeline) DO NOTHING"
)
RAISE_EPOCH = (
    "UPDATE headgate_pipelines SET epoch = epoch + 1, run_id = ?, execution_id = ? WHERE project = ? AND pipeline = ?"
)
CHECK_EPOCH = (
    "UPDATE headgate_pipelines SET run_id = run_id WHERE project = ? AND pipeline = ? AND epoch = ? AND run_id = ?"
)
"""One row changed: the claim still holds, and the row stays locked until the transaction ends."""

SELECT_WATERMARKS = (
    "SELECT source, filter, position, cursor_column, cursor_value, run_id FROM headgate_watermarks"
    " WHERE project = ? AND pipeline = ? ORDER BY source"
)
DELETE_WATERMARK = "DELETE FROM headgate_watermarks WHERE project = ? AND pipeline = ? AND source = ?"
INSERT_WATERMARK = (
    "INSERT INTO headgate_watermarks"
    " (project, pipeline, source, filter, position, cursor_column, cursor_value, run_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_RUN = (
    "SELECT run_id, execution_id, plan_hash, epoch, receipt FROM headgate_runs"
    " WHERE project = ? AND pipeline = ? AND execution_id = ?"
)
DELETE_RUN = "DELETE FROM headgate_runs WHERE execution_id = ? AND run_id = ?"
INSERT_RUN = (
    "INSERT INTO headgate_runs (run_id, execution_id, project, pipeline, epoch, plan_hash, receipt)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
SELECT_QUARANTINE = (
    "SELECT id, run_id, pipeline, rule_name, row_count, status, held_at, step, location, replayable"
    " FROM headgate_quarantine WHERE project = ? ORDER BY id"
)
INSERT_QUARANTINE = (
    "INSERT INTO headgate_quarantine"
    " (id, run_id, project, pipeline, rule_name, row_count, status, held_at, step, location, replayable)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SETTLED_LOCATION = "SELECT location FROM headgate_quarantine WHERE id = ? AND status NOT IN ('held', 'logged')"
FREE_QUARANTINE = (
    "DELETE FROM headgate_quarantine_data WHERE id = ?"
    " AND id IN (SELECT id FROM headgate_quarantine WHERE status NOT IN ('held', 'logged'))"
)
RESOLVE_QUARANTINE = "UPDATE headgate_quarantine SET status = ? WHERE id = ? AND status IN ('held', 'logged')"
