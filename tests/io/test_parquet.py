"""Parquet files that are closed are durable, and those that are given up leave nothing behind."""

from __future__ import annotations

import errno
import gc
import sys
import threading
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.tables import arrow

from headgate.core.errors import Code, FatalError
from headgate.io import files
from headgate.io.parquet import ROW_GROUP_BYTES, ROW_GROUP_ROWS, Compression, ParquetFile, Room

ROWS = pa.RecordBatch.from_pydict({"n": list(range(ROW_GROUP_ROWS))})
FEW = 10
"""Rows of a row group."""


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


def write_all(file: ParquetFile, batch: pa.RecordBatch) -> None:
    for start in range(0, batch.num_rows, 10):
        file.write(batch.slice(start, 10))


@pytest.mark.parametrize("compression", ["zstd", "lz4", "snappy", "none"])
def test_row_groups_that_were_encoded_side_by_side_are_one_file_in_their_order(
    tmp_path: Path, compression: Compression
) -> None:
    """The same rows, types, statistics and notes as those of a file that one writer wrote."""
    path, kinds = tmp_path / "a.parquet", arrow([(n, n / 3, str(n), None, None) for n in range(95)]).schema
    schema = kinds.append(pa.field("nested", pa.struct([("list", pa.list_(pa.int32())), ("text", pa.string())])))
    rows = [[*range(95)], [n / 3 for n in range(95)], [str(n % 7) for n in range(95)], [None] * 95, [None] * 95]
    nested = [None if n % 5 == 0 else {"list": [*range(n % 4)], "text": str(n)} for n in range(95)]
    table = pa.table([*rows, nested], schema=schema)
    file = ParquetFile(path, schema, compression=compression, metadata={"note": "of the run"}, group_rows=FEW)
    for batch in table.to_batches(max_chunksize=7):
        file.write(batch)
    file.close()
    assert pq.read_table(path).equals(table)
    with duckdb.connect() as connection:
        assert connection.sql(f"SELECT i, nested FROM '{path}'").fetchall() == list(zip(rows[0], nested, strict=True))
        assert connection.sql(f"SELECT i FROM '{path}' WHERE i BETWEEN 41 AND 43").fetchall() == [(41,), (42,), (43,)]
    footer = pq.read_metadata(path)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    assert [group.num_rows for group in groups] == [14, 14, 14, 14, 14, 14, 11]
    assert [cast("Any", group.column(0).statistics).max for group in groups] == [13, 27, 41, 55, 69, 83, 94]
    assert footer.metadata is not None
    assert footer.metadata[b"note"] == b"of the run"
    assert footer.num_rows == file.rows == 95


def test_a_file_that_is_given_up_while_row_groups_are_encoded_leaves_nothing(tmp_path: Path) -> None:
    file = ParquetFile(tmp_path / "a.parquet", ROWS.schema, group_rows=FEW)
    write_all(file, ROWS.slice(0, 50))
    file.abort()
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("headgate-encode")]


def test_files_that_are_written_at_once_share_the_memory_and_give_it_back(tmp_path: Path) -> None:
    room = Room(3 * FEW * 8)
    opened = [
        ParquetFile(tmp_path / f"{number}.parquet", ROWS.schema, group_rows=FEW, room=room) for number in range(12)
    ]
    for start in range(0, 80, 10):
        for number, file in enumerate(opened):
            file.write(ROWS.slice(number * 1000 + start, 10))
    for number, file in enumerate(opened):
        if number % 3:
            file.close()
            rows = pq.read_table(file.path)["n"].to_pylist()
            assert rows == [*range(number * 1000, number * 1000 + 80)]
        else:
            file.abort()
    assert room.take(3 * FEW * 8)
    assert not room.take(1)


def test_what_cannot_be_encoded_is_told_where_the_rows_are_written(tmp_path: Path) -> None:
    times = pa.array([(1, 2, 3)] * 100, pa.month_day_nano_interval())
    batch = pa.RecordBatch.from_arrays([times], ["takes"])
    file = ParquetFile(tmp_path / "a.parquet", batch.schema, group_rows=FEW)
    with pytest.raises(pa.ArrowNotImplementedError, match="interval"):
        write_all(file, batch)
    file.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    file = ParquetFile(tmp_path / "a.parquet", ROWS.schema, group_rows=FEW)

    def full(operation: str, _: Path) -> None:
        if operation == "write":
            raise OSError(errno.ENOSPC, "no space")

    with files.observing(full), pytest.raises(FatalError, match=r"a\.parquet") as caught:
        write_all(file, ROWS.slice(0, 100))
    assert caught.value.code is Code.DISK_FULL
    file.abort()
    assert list(tmp_path.iterdir()) == []


def test_row_groups_of_wide_rows_end_by_their_bytes(tmp_path: Path) -> None:
    """However many rows there are, few of them wait in memory."""
    batch = pa.RecordBatch.from_pydict({"text": ["x" * 1_000_000] * 16})
    file = ParquetFile(tmp_path / "a.parquet", batch.schema)
    for _ in range(10):
        file.write(batch)
        assert file.pending * 1_000_000 < ROW_GROUP_BYTES
    file.close()
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.num_row_groups == 2
