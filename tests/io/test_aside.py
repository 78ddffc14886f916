"""Batches that are set aside come back as they were, and nothing of them stays."""

from __future__ import annotations

import errno
from pathlib import Path

import pyarrow as pa
import pytest

from headgate.core.errors import Code, FatalError
from headgate.io import files
from headgate.io.aside import SetAside

INTERVAL = pa.scalar((1, 2, 3), pa.month_day_nano_interval())
ROWS = pa.RecordBatch.from_pydict(
    {
        "n": [1, None],
        "text": ["x" * 100_000, ""],
        "list": [[1], None],
        "span": pa.array([INTERVAL, None], INTERVAL.type),
    }
)


def test_batches_of_every_type_come_back_as_they_were(tmp_path: Path) -> None:
    aside = SetAside(tmp_path / "rows", ROWS.schema)
    aside.write(ROWS)
    aside.write(ROWS.slice(1))
    aside.close()
    assert aside.rows == 3
    assert list(aside.batches()) == [ROWS, ROWS.slice(1)]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    aside = SetAside(tmp_path / "rows", ROWS.schema)

    def full(operation: str, _: Path) -> None:
        if operation == "write":
            raise OSError(errno.ENOSPC, "full")

    with files.observing(full), pytest.raises(FatalError, match="no space left") as refusal:
        aside.write(ROWS)
    assert (refusal.value.code, refusal.value.object) == (Code.DISK_FULL, str(tmp_path / "rows"))
    aside.close()
