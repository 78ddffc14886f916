"""What one run knows and has open, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.config.models import Pipeline
from headgate.core.contracts import Interval, ReadContext, Scan, Store, Transaction, Window
from headgate.core.engines import EngineSession
from headgate.core.events import Emitter
from headgate.core.ledger import Claim, PipelineState, Watermark
from headgate.core.runs import CheckResult, PipelineKey, Rows, StepCount, TableCommit
from headgate.execute.intervals import seconds
from headgate.execute.workspace import Workspace

if TYPE_CHECKING:
    from headgate.execute.gather import Gathered
    from headgate.execute.held import HeldRows
    from headgate.execute.split import Tally
    from headgate.plan.stages import Check, Plan, Transform


@dataclass(frozen=True)
class Mend:
    """How held rows are changed before they are replayed: an expression a column, or one SELECT over ``input``."""

    values: Mapping[str, str] = field(default_factory=dict)
    sql: str = ""


@dataclass(frozen=True)
class RunRequest:
    """What the user asked for, beyond the pipeline itself."""

    interval: Interval | None = None
    full_refresh: bool = False
    limit: int | None = None
    publish: bool = True
    branch: str | None = None
    force: bool = False
    replay: str | None = None
    mend: Mend | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    only_check: bool = False
    """Judge the rows and load nothing."""
    since: Any = None
    """Read from here instead of the watermark, which stays as it is until the run publishes."""

    @property
    def trial(self) -> bool:
        """Whether nothing will be published, and so everything is read from the start."""
        return self.limit is not None or self.only_check

    @property
    def chosen(self) -> str:
        """Why its rows tell nothing about those of other runs, nor those about these; empty: they are what came."""
        if self.limit is not None:
            return "a run with --limit"
        return "a replay" if self.replay is not None else ""


@dataclass
class PassResult:
    """What one pass did: its stage, its check, how many rows went in and what became of them.

    ``within``: a relation that has the good rows with all their columns, and perhaps others, where there is one.
    """

    transform: Transform
    check: Check
    rows_in: int
    tally: Tally
    within: str = ""


@dataclass
class Run:
    """One execution under way."""

    workspace: Workspace
    pipeline: Pipeline
    request: RunRequest
    key: PipelineKey
    run_id: str
    started_at: datetime
    emitter: Emitter
    workdir: Path
    stores: Mapping[str, Store]
    state: PipelineState
    context: ReadContext
    execution_id: str = ""
    window: Window | None = None
    gathered: Gathered | None = None
    replaces: str = ""
    whole: bool = False
    """The rows are all that there are, though the source's mode gives changes only: they replace what is there."""
    reconciles: bool = False
    """The rows are a snapshot of a table whose changes were followed before: keys that are not in it were deleted."""
    claims: dict[str, Claim] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    session: EngineSession | None = None
    held: HeldRows | None = None
    passes: list[PassResult] = field(default_factory=list)
    observed: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Answers of rules over all rows that are known already, by the rule's place."""
    scans: list[Scan] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    failing: int | None = None
    """Rows that break some rule, each once; None where that is not known."""
    quality: Mapping[str, Any] | None = None
    steps: list[StepCount] = field(default_factory=list)
    rows: Rows = field(default_factory=Rows)
    positions: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    commits: list[TableCommit] = field(default_factory=list)
    watermarks: tuple[Watermark, ...] = ()
    publishing: bool = False
    published: bool = False
    parked: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        assert self.gathered is not None, "a plan is compiled before its stages run"
        return self.gathered.plan

    @property
    def reads(self) -> str | float:
        """What kind of read its rows are of: everything, what is new, or an interval of so many seconds."""
        if self.request.interval is not None:
            return seconds(self.request.interval)
        new = self.window is not None and self.window.since is not None and not (self.whole or self.reconciles)
        return "news" if new and self.pipeline.sources[0].mode != "full" else "everything"

    @property
    def authority(self) -> Store:
        """The store that issues the epoch and whose commit decides: that of the first target."""
        return next(iter(self.stores.values()))

    @property
    def durable(self) -> bool:
        """Whether staging must survive this process."""
        return len(self.stores) > 1 or not self.request.publish


def state_to_read(run: Run) -> PipelineState:
    """The pipeline's state, with the position that the request wants to read from."""
    if run.request.since is None:
        return run.state
    read = run.pipeline.sources[0]
    name, fingerprint = run.workspace.source(run.pipeline.source_endpoint(0)).identity(read)
    column = read.incremental.column if read.incremental else None
    mark = Watermark(name, fingerprint, {"value": run.request.since}, column, run.request.since, "given")
    return replace(run.state, watermarks={**run.state.watermarks, name: mark})
