"""Rows that go together: many of narrow ones, few of wide ones."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from tests.peak import peak

from headgate.execute.widths import ENGINE_BYTES, ENGINE_ROWS, FEWEST, Widths


def test_narrow_rows_go_together_by_their_number() -> None:
    widths = Widths()
    for _ in range(1000):
        widths.see(8192, 8192 * 60)
    assert widths.rows == ENGINE_ROWS


def test_a_stretch_of_wide_rows_makes_batches_small() -> None:
    widths = Widths()
    for rows, width in ((8192, 60), *[(40, 100_000)] * 10, (8192, 60)):
        widths.see(rows, rows * width)
    assert FEWEST < widths.rows <= ENGINE_BYTES // 100_000


def test_a_wide_row_among_many_narrow_ones_does_no_harm() -> None:
    widths = Widths()
    for _ in range(1000):
        widths.see(8192, 8192 * 60 + 100_000)
    assert widths.rows == ENGINE_ROWS


def test_rows_of_many_megabytes_go_by_a_few() -> None:
    widths = Widths()
    widths.see(1, 50_000_000)
    widths.see(0, 0)
    assert widths.rows == FEWEST


def test_first_rows_say_what_they_can() -> None:
    widths = Widths()
    widths.see(0, 0, enough=0)
    assert widths.rows == ENGINE_ROWS
    widths.see(100, 100_000, enough=0)
    assert widths.rows == ENGINE_BYTES // 1000


@pytest.mark.long
@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_wide_rows_of_files_go_by_a_few(tmp_path: Path, format_: str) -> None:
    """800 MB in rows of 50,000 bytes; they took as much memory as that and more when 32,768 went together."""
    said = [random.Random(row).randbytes(25_000).hex() for row in range(500)]  # noqa: S311 - no secret
    path = tmp_path / f"wide.{format_}"
    schema = pa.table({"id": range(500), "said": said}).schema
    with (
        pq.ParquetWriter(path, schema, use_dictionary=False)
        if format_ == "parquet"
        else csv.CSVWriter(path, schema) as file
    ):
        for start in range(0, 16_000, 500):
            file.write_table(pa.table({"id": range(start, start + 500), "said": said}))
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "headgate.yml").write_text(
        "version: 1\nproject: wide\nconnections: {files: {type: local, path: .}, out: {type: local, path: out}}\n"
    )
    (tmp_path / "pipelines" / "load.yml").write_text(
        f"pipelines:\n  load:\n    source: {{connection: files, path: {path.name}}}\n"
        "    quality_rules: [{type: not_null, columns: [said]}]\n    target: {connection: out, table: wide}\n"
    )
    assert peak(tmp_path) < 800
