"""Parquet files that are closed are durable, and those that are given up leave nothing behind."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.io.parquet import ROW_GROUP_BYTES, ROW_GROUP_ROWS, ParquetFile

ROWS = pa.RecordBatch.from_pydict({"n": list(range(ROW_GROUP_ROWS))})


def test_a_closed_file_holds_its_rows(tmp_path: Path) -> None:
    file = ParquetFile(tmp_path / "a.parquet", ROWS.schema)
    file.write(ROWS)
    file.write(ROWS.slice(0, 5))
    file.close()
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.num_rows == file.rows == ROW_GROUP_ROWS + 5


@pytest.mark.parametrize("written", [0, 1, ROW_GROUP_ROWS])
def test_a_file_that_is_given_up_leaves_nothing_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    file = ParquetFile(tmp_path / "a.parquet", ROWS.schema)
    file.write(ROWS.slice(0, written))
    file.abort()
    del file
    gc.collect()
    assert (list(tmp_path.iterdir()), said) == ([], [])


def test_row_groups_of_wide_rows_end_by_their_bytes(tmp_path: Path) -> None:
    """However many rows there are, few of them wait in memory."""
    batch = pa.RecordBatch.from_pydict({"text": ["x" * 1_000_000] * 16})
    file = ParquetFile(tmp_path / "a.parquet", batch.schema)
    for _ in range(10):
        file.write(batch)
        assert file.pending * 1_000_000 < ROW_GROUP_BYTES
    file.close()
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.num_row_groups == 2
