"""Rows of refused and failed runs: kept beside the history, to be looked at, never to be replayed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.core.ledger import QuarantineEntry
from headgate.io import files
from headgate.io.parquet import move

if TYPE_CHECKING:
    import pyarrow as pa


def keep_evidence(folder: Path, entries: Iterable[tuple[QuarantineEntry, Path]]) -> list[str]:
    """Move the files into ``folder`` with a description beside each; the ids kept."""
    kept = []
    for entry, file in entries:
        with files.told("keep evidence", folder):
            files.make_folder(folder)
            move(file, folder / f"{entry.id}.parquet")
            described = replace(entry, status="evidence", replayable=False, location=f"{entry.id}.parquet")
            files.replace_text(folder / f"{entry.id}.json", json.dumps(asdict(described)))
        kept.append(entry.id)
    return kept


def evidence(folder: Path) -> list[QuarantineEntry]:
    """Everything kept, oldest first."""
    if not folder.is_dir():
        return []
    found = sorted(folder.glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return [QuarantineEntry(**files.read_json(path)) for path in found]


def evidence_rows(folder: Path, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
    """The rows of one entry; last column ``_reasons``."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / entry.location) as file:
        yield from file.iter_batches()


def discard_evidence(folder: Path, entry_id: str) -> bool:
    """Remove one entry; False if it was not there."""
    description = folder / f"{entry_id}.json"
    if not description.exists():
        return False
    files.unlink(folder / f"{entry_id}.parquet")
    files.unlink(description)
    return True
