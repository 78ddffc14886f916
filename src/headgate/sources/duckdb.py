"""A DuckDB file as a source: tables, views and queries, in one snapshot, streamed to Arrow."""

from __future__ import annotations

from pathlib import Path

from headgate.core.contracts import Source
from headgate.core.models import ReadOptions
from headgate.io.duckdb import Connection
from headgate.io.duckdb.reading import DuckdbReader
from headgate.io.relational.source import RelationalSource

__all__ = ["Connection", "Read", "open_source"]


class Read(ReadOptions):
    """A table, a view or a query of a DuckDB file; ``:name`` takes a parameter."""


def open_source(connection: Connection, root: Path) -> Source:
    return RelationalSource(DuckdbReader(connection.file(root), connection.timeout))
