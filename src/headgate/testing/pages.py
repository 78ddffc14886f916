"""Parquet files as bytes: whether a column was copied or written anew."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq


def pages(path: Path, column: str) -> list[bytes]:
    """The bytes of a column's pages as they are stored, row group by row group."""
    content, footer = path.read_bytes(), pq.read_metadata(path)
    found = []
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        chunk = next(group.column(at) for at in range(group.num_columns) if group.column(at).path_in_schema == column)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        found.append(content[start : start + chunk.total_compressed_size])
    return found
