"""How wide the rows of files are, before any is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.core.contracts import FileScan

FILES = 16
"""So many files are looked at, of more than that some from the whole list."""
HEAD = 256 * 1024
"""Bytes of a text file that tell how long its lines are."""


def row_width(files: FileScan | None, names: Sequence[str]) -> int:
    """Bytes of a row with these columns, where rows are widest; 0 where no files are, or they do not tell.

    Parquet's footers tell what the values of a row group take, repeated ones once; of other formats the first lines do.
    What cannot be read is told by the engine, which reads it next.
    """
    if files is None:
        return 0
    step = max(1, -(-len(files.paths) // FILES))
    width = _stored if files.format == "parquet" else _written
    return max((width(path, frozenset(names)) for path in files.paths[::step]), default=0)


def _stored(path: str, names: frozenset[str]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return 0
    widest = 0
    wanted = [
        place for place in range(metadata.num_columns) if metadata.schema.column(place).path.partition(".")[0] in names
    ]
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        size = sum(group.column(place).total_uncompressed_size for place in wanted)
        widest = max(widest, size // max(1, group.num_rows))
    return widest


def _written(path: str, names: frozenset[str]) -> int:  # noqa: ARG001 - lines are whole
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return 0
    return len(head) // max(1, head.count(b"\n"))
