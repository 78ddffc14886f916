"""Parked runs: what was staged, as one JSON text in the catalogue, until somebody publishes or discards it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load
from headgate.core.ledger import Claim, LedgerRecord
from headgate.core.runs import PipelineKey
from headgate.io import loads
from headgate.lake._iceberg.catalog import Session

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.lake._iceberg.changes import TableChange
    from headgate.lake._iceberg.staging import DataFile


@dataclass(frozen=True)
class KeptTable:
    """One table of a parked run."""

    load: Load
    columns: pa.Schema
    files: list[DataFile]
    allow_empty: bool

    def numbers(self) -> list[int]:
        """The running numbers in the files' names."""
        return [int(file.path.stem.rpartition("-")[2]) for file in self.files]


@dataclass(frozen=True)
class Parked:
    tag: str
    record: LedgerRecord
    tables: list[KeptTable]
    held: dict[str, str]


def keep(
    session: Session, record: LedgerRecord, tag: str, changes: Iterable[TableChange], held: dict[str, str]
) -> None:
    """Write a parked run, in the caller's transaction; an earlier one of the same run is replaced."""
    descriptor = {
        "record": _record(record),
        "tables": [_table(change) for change in changes],
        "held": held,
    }
    key = record.claim.key
    forget(session, key, record.claim.run_id)
    session.execute(
        "INSERT INTO headgate_parked (run_id, project, pipeline, tag, descriptor) VALUES (?, ?, ?, ?, ?)",
        (record.claim.run_id, key.project, key.pipeline, tag, json.dumps(descriptor)),
    )


def _record(record: LedgerRecord) -> dict[str, Any]:
    document = asdict(record)
    del document["claim"]
    return {**document, "execution_id": record.claim.execution_id}


def _table(change: TableChange) -> dict[str, Any]:
    return {
        "load": loads.document(change.load),
        "allow_empty": change.allow_empty,
        "columns": loads.encode_schema(change.staged_columns),
        "files": [[str(file.path), file.rows] for file in change.staged],
    }


def find(session: Session, claim: Claim, run_id: str) -> Parked | None:
    """What ``run_id`` of the claim's pipeline parked; its record carries the new claim."""
    rows = session.query(
        "SELECT tag, descriptor FROM headgate_parked WHERE project = ? AND pipeline = ? AND run_id = ?",
        (claim.key.project, claim.key.pipeline, run_id),
    )
    if not rows:
        return None
    tag, text = rows[0]
    document = json.loads(text)
    kept = document["record"]
    owner = Claim(claim.key, claim.run_id, kept["execution_id"], claim.epoch)
    record = LedgerRecord.restored(owner, kept)
    return Parked(tag, record, [_kept(table) for table in document["tables"]], document["held"])


def _kept(table: dict[str, Any]) -> KeptTable:
    from headgate.lake._iceberg.staging import DataFile

    kept = [DataFile(Path(path), rows) for path, rows in table["files"]]
    return KeptTable(loads.load_of(table["load"]), loads.decode_schema(table["columns"]), kept, table["allow_empty"])


def forget(session: Session, key: PipelineKey, run_id: str) -> None:
    session.execute(
        "DELETE FROM headgate_parked WHERE project = ? AND pipeline = ? AND run_id = ?",
        (key.project, key.pipeline, run_id),
    )


def tags(session: Session, key: PipelineKey) -> set[str]:
    """The tags of all parked runs of a pipeline: their files are not swept."""
    rows = session.query(
        "SELECT tag FROM headgate_parked WHERE project = ? AND pipeline = ?", (key.project, key.pipeline)
    )
    return {str(tag) for (tag,) in rows}
