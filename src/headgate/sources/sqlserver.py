"""SQL Server and Azure SQL as a source: tables, views and queries, in one snapshot, streamed to Arrow.

Protocol-tested, not service-tested.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from headgate.core.contracts import Source
from headgate.core.models import ReadOptions
from headgate.io.relational.source import RelationalSource
from headgate.io.sqlserver import Connection
from headgate.io.sqlserver.reading import SqlServerReader

__all__ = ["Connection", "Read", "open_source"]


class Read(ReadOptions):
    """``table`` (also ``schema.table``) or ``query``; names in "quotes" or [brackets]. Protocol-tested only."""

    where: str | None = Field(default=None, description="A condition in T-SQL; :name takes a parameter.")
    query: str | None = Field(
        default=None,
        description="A SELECT in T-SQL, without WITH and ORDER BY, and with a name for each column; :name takes a "
        "parameter.",
    )


def open_source(connection: Connection, root: Path) -> Source:  # noqa: ARG001 - paths mean nothing here
    return RelationalSource(SqlServerReader(connection))
