"""Rows of refused runs are kept to be looked at, and go when somebody says so."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.core.ledger import QuarantineEntry
from headgate.runs.evidence import discard_evidence, evidence, evidence_rows, keep_evidence


def test_evidence_is_kept_read_and_discarded(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    assert evidence(folder) == []
    rows = pa.table({"id": [1, 2], "_reasons": [["bad"], ["worse"]]})
    pq.write_table(rows, tmp_path / "held.parquet")
    entry = QuarantineEntry("run-1", "run", "orders", "plausible", 2)
    assert keep_evidence(folder, [(entry, tmp_path / "held.parquet")]) == ["run-1"]
    assert not (tmp_path / "held.parquet").exists()
    kept = evidence(folder)
    assert [(e.id, e.status, e.replayable, e.rows) for e in kept] == [("run-1", "evidence", False, 2)]
    assert pa.Table.from_batches(evidence_rows(folder, kept[0])) == rows
    assert discard_evidence(folder, "run-1")
    assert not discard_evidence(folder, "run-1")
    assert list(folder.iterdir()) == []
