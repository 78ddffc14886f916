"""The ledger's statements on a SQL connection: whoever commits the data executes them in that transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from headgate.core import ledger
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import Claim, LedgerRecord, PipelineState, PublishedRun, QuarantineEntry, Watermark
from headgate.core.runs import PipelineKey


class Statements(Protocol):
    """A connection, reduced to what the ledger needs. ``?`` marks parameters."""

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it changed."""


def create(connection: Statements) -> None:
    """Create the ledger's tables if they are not there."""
    for statement in ledger.TABLES:
        connection.execute(statement)


def state(connection: Statements, key: PipelineKey) -> PipelineState:
    """What the ledger knows of one pipeline. The tables must exist."""
    pipeline = connection.query(ledger.SELECT_PIPELINE, (key.project, key.pipeline))
    epoch, run_id, execution = pipeline[0] if pipeline else (0, "", "")
    marks = connection.query(ledger.SELECT_WATERMARKS, (key.project, key.pipeline))
    watermarks = {
        source: Watermark(source, filter_, json.loads(position), column, json.loads(value) if value else None, run)
        for source, filter_, position, column, value, run in marks
    }
    return PipelineState(int(epoch), run_id, execution, watermarks)


def published(connection: Statements, key: PipelineKey, execution_id: str) -> PublishedRun | None:
    rows = connection.query(ledger.SELECT_RUN, (key.project, key.pipeline, execution_id))
    if not rows:
        return None
    run_id, execution, plan_hash, epoch, receipt = rows[0]
    return PublishedRun(run_id, execution, plan_hash, int(epoch), json.loads(receipt))


def claim(connection: Statements, key: PipelineKey, run_id: str, execution_id: str) -> Claim:
    """Raise the epoch. The caller commits, durably, before it relies on the claim."""
    connection.execute(ledger.INSERT_PIPELINE, (key.project, key.pipeline))
    connection.execute(ledger.RAISE_EPOCH, (run_id, execution_id, key.project, key.pipeline))
    epoch, _, _ = connection.query(ledger.SELECT_PIPELINE, (key.project, key.pipeline))[0]
    return Claim(key, run_id, execution_id, int(epoch))


def check_epoch(connection: Statements, claimed: Claim) -> None:
    """Raise FENCED unless the claim is the highest; holds the pipeline's row until the transaction ends."""
    key = claimed.key
    if connection.execute(ledger.CHECK_EPOCH, (key.project, key.pipeline, claimed.epoch, claimed.run_id)) != 1:
        raise fenced(claimed)


def fenced(claimed: Claim) -> FatalError:
    return FatalError(
        Code.FENCED,
        f"another run has taken over since this one claimed epoch {claimed.epoch}",
        operation="publish",
        object=str(claimed.key),
        hint="nothing of this run was published; see the newer run with: headgate runs",
    )


def check_once(connection: Statements, entry: LedgerRecord) -> None:
    """Raise CONFLICT if the execution was published, unless by the run that this one replaces."""
    key = entry.claim.key
    earlier = published(connection, key, entry.claim.execution_id)
    if earlier is not None and earlier.run_id != entry.replaces:
        raise FatalError(
            Code.CONFLICT,
            f"this execution was published before, by the run {earlier.run_id}",
            operation="publish",
            object=str(key),
            hint="nothing is left to do; to do it again: --force",
        )


def record(connection: Statements, entry: LedgerRecord) -> None:
    """Check the epoch, then write run, watermarks and quarantine, in the caller's transaction."""
    key = entry.claim.key
    check_epoch(connection, entry.claim)
    if entry.replaces:
        connection.execute(ledger.DELETE_RUN, (entry.claim.execution_id, entry.replaces))
    connection.execute(
        ledger.INSERT_RUN,
        (
            entry.claim.run_id,
            entry.claim.execution_id,
            key.project,
            key.pipeline,
            entry.claim.epoch,
            entry.plan_hash,
            json.dumps(entry.receipt),
        ),
    )
    for watermark in entry.watermarks:
        set_watermark(connection, key, watermark)
    for held in entry.quarantine:
        connection.execute(
            ledger.INSERT_QUARANTINE,
            (
                held.id,
                held.run_id,
                key.project,
                held.pipeline,
                held.rule,
                held.rows,
                held.status,
                held.held_at,
                held.step,
                held.location,
                int(held.replayable),
            ),
        )
    for entry_id in entry.superseded:
        connection.execute(ledger.RESOLVE_QUARANTINE, ("superseded", entry_id))
    for entry_id in entry.resolved:
        if connection.execute(ledger.RESOLVE_QUARANTINE, ("replayed", entry_id)) != 1:
            raise FatalError(
                Code.CONFLICT,
                "the entry is no longer held: somebody replayed or discarded it meanwhile",
                operation="replay",
                object=entry_id,
                hint="see: headgate quarantine list",
            )


def set_watermark(connection: Statements, key: PipelineKey, watermark: Watermark) -> None:
    connection.execute(ledger.DELETE_WATERMARK, (key.project, key.pipeline, watermark.source))
    connection.execute(
        ledger.INSERT_WATERMARK,
        (
            key.project,
            key.pipeline,
            watermark.source,
            watermark.filter,
            json.dumps(watermark.position),
            watermark.column,
            json.dumps(watermark.value),
            watermark.run_id,
        ),
    )


def forget_watermark(connection: Statements, key: PipelineKey, source: str) -> None:
    connection.execute(ledger.DELETE_WATERMARK, (key.project, key.pipeline, source))


def quarantine(connection: Statements, project: str) -> list[QuarantineEntry]:
    return [
        QuarantineEntry(id_, run, pipeline, rule, int(rows), status, held_at, int(step), location, bool(replayable))
        for id_, run, pipeline, rule, rows, status, held_at, step, location, replayable in connection.query(
            ledger.SELECT_QUARANTINE, (project,)
        )
    ]


CHUNK = 1 << 20


def hold_file(connection: Statements, entry_id: str, path: Path) -> None:
    """Keep a Parquet file of held rows in ``headgate_quarantine_data``, a chunk a row: a gigabyte is not one value."""
    with path.open("rb") as file:
        for number, data in enumerate(iter(lambda: file.read(CHUNK), b"")):
            connection.execute(
                "INSERT INTO headgate_quarantine_data (id, seq, data) VALUES (?, ?, ?)", (entry_id, number, data)
            )


def held_file(connection: Statements, entry: QuarantineEntry, path: Path) -> None:
    """Write the file that :func:`hold_file` kept to ``path``. Raises NOT_FOUND when it was freed."""
    with path.open("wb") as file:
        number = 0
        while rows := connection.query(
            "SELECT data FROM headgate_quarantine_data WHERE id = ? AND seq = ?", (entry.id, number)
        ):
            file.write(rows[0][0])
            number += 1
    if number == 0:
        raise gone(entry)


def free(connection: Statements, entry_ids: Sequence[str]) -> int:
    """Remove the kept files of settled entries, in the caller's transaction; of how many."""
    return sum(connection.execute(ledger.FREE_QUARANTINE, (entry_id,)) > 0 for entry_id in entry_ids)


def gone(entry: QuarantineEntry) -> FatalError:
    """The rows of an entry are not there: because they were freed, or though they should be."""
    return FatalError(
        Code.NOT_FOUND,
        "the held rows are gone" if entry.waits else f"the entry is {entry.status}, and its rows were removed",
        operation="quarantine",
        object=entry.id,
        hint="restore the target from a backup" if entry.waits else "see what waits with: headgate quarantine list",
    )


def data_table(blob: str) -> str:
    """DDL of the table of held rows; ``blob`` is the dialect's type for bytes."""
    return (
        "CREATE TABLE IF NOT EXISTS headgate_quarantine_data"
        f" (id VARCHAR(64) NOT NULL, seq INTEGER NOT NULL, data {blob} NOT NULL, PRIMARY KEY (id, seq))"
    )
