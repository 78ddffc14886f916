"""Files tell how wide their rows are before any is read."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.core.contracts import FileScan
from headgate.io.row_widths import FILES, row_width


def texts(rows: int, width: int) -> list[str]:
    return [random.Random(row).randbytes(width // 2).hex() for row in range(rows)]  # noqa: S311 - no secret


def test_the_widest_row_group_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    groups = [pa.table({"id": range(50), "said": texts(50, width)}) for width in (10, 20_000, 10)]
    with pq.ParquetWriter(path, groups[0].schema) as file:
        for group in groups:
            file.write_table(group)
    files = FileScan("parquet", (str(path),))
    assert 19_000 < row_width(files, ["id", "said"]) < 21_000
    assert row_width(files, ["id"]) < 100


def test_nested_values_belong_to_their_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1], "all": [{"said": texts(1, 9_000)}]}), path)
    assert row_width(FileScan("parquet", (str(path),)), ["all"]) > 8_000


def test_the_first_lines_of_texts_count(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,said\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts(99, 1_000))))
    assert 900 < row_width(FileScan("csv", (str(path),)), ["id", "said"]) < 1_100


def test_one_row_longer_than_what_is_looked_at_is_as_wide_as_that(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"said": "' + "x" * 1_000_000 + '"}\n')
    assert row_width(FileScan("json", (str(path),)), ["said"]) > 200_000


def test_the_widest_of_many_files_counts_where_it_is_among_those_looked_at(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.csv" for number in range(FILES)]
    for number, path in enumerate(paths):
        path.write_text("id\n" + ("x" * 5_000 if number == FILES - 1 else "1") + "\n")
    assert row_width(FileScan("csv", tuple(map(str, paths))), ["id"]) > 2_000


def test_what_does_not_tell_is_left_to_the_engine(tmp_path: Path) -> None:
    rubbish = tmp_path / "a.parquet"
    rubbish.write_bytes(b"no Parquet at all")
    assert row_width(FileScan("parquet", (str(rubbish),)), ["id"]) == 0
    assert row_width(FileScan("csv", (str(tmp_path / "none.csv"),)), ["id"]) == 0
    assert row_width(FileScan("csv", ()), ["id"]) == 0
    assert row_width(None, ["id"]) == 0
