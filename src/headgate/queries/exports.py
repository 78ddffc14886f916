"""Held rows as a file that others can open: CSV, JSON lines or Parquet, by the file's ending."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.core.values import column_values, plain
from headgate.execute.quarantine import batches_of
from headgate.execute.workspace import Workspace
from headgate.io import files
from headgate.queries.quarantine import find

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".csv", ".jsonl", ".parquet")


def export(workspace: Workspace, entry_id: str, path: Path) -> int:
    """Write the rows of one entry, ``_reasons`` last, a batch at a time; how many.

    Raises:
        FatalError: NOT_FOUND for the entry; USAGE for an ending that says no format, or a file that is there.
    """
    if path.suffix.lower() not in ENDINGS:
        raise _refused(path, "the ending says no format", f"end it with one of {', '.join(ENDINGS)}")
    if path.exists():
        raise _refused(path, "the file is there already", "choose another name, or remove it")
    batches = batches_of(workspace, find(workspace, entry_id))
    first = next(batches, None)
    if first is None:
        raise FatalError(Code.NOT_FOUND, "the entry has no rows", operation="export", object=entry_id)
    try:
        with files.told("export", path):
            return _write(path, first.schema, chain([first], batches))
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _refused(path: Path, message: str, hint: str) -> FatalError:
    return FatalError(Code.USAGE, message, operation="export", object=str(path), hint=hint)


def _write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    match path.suffix.lower():
        case ".parquet":
            return _parquet(path, schema, batches)
        case ".csv":
            return _csv(path, schema, batches)
        case _:
            return _json(path, schema, batches)


def _parquet(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _json(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for batch in batches:
            for values in zip(*(column_values(column) for column in batch.columns), strict=True):
                document = dict(zip(schema.names, map(plain, values), strict=True))
                file.write(json.dumps(document, ensure_ascii=False) + "\n")
            rows += batch.num_rows
    return rows


def _csv(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    import csv

    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(schema.names)
        for batch in batches:
            columns = [[_cell(value) for value in column_values(column)] for column in batch.columns]
            writer.writerows(zip(*columns, strict=True))
            rows += batch.num_rows
    return rows


def _cell(value: Any) -> Any:
    """A value in one cell: reasons side by side, nothing that a spreadsheet would take for a formula."""
    found = plain(value)
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        found = "; ".join(found)
    elif isinstance(found, dict | list):
        found = json.dumps(found, ensure_ascii=False)
    if isinstance(found, str) and found.startswith(("=", "+", "-", "@", "\t", "\r")) and isinstance(value, str):
        return "'" + found
    return found
