"""SQL Server and Azure SQL as a target: data, watermark and run record in one transaction of one database.

Protocol-tested, not service-tested. Rows are staged in tables that nobody reads, by bulk load; tables
are created and columns added in the transaction that publishes. NaN, infinity, intervals, lists, structs and maps are
refused: turn them into text first. Keys that differ by blanks at their end are one key there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headgate.core.contracts import EVERY, Capability, Store
from headgate.core.models import WriteOptions
from headgate.io.sqlserver import Connection

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Connection", "Write", "open_store"]

MODES: frozenset[Capability] = EVERY | {"preview"}


class Write(WriteOptions):
    """A table, also ``schema.table``. The user needs to create tables, for staging too. Protocol-tested only."""


def check_types(schema: pa.Schema) -> None:
    """Refuse a column that the target cannot hold exactly, before anything is read. Raises FatalError UNSUPPORTED."""
    from headgate.io.sqlserver.types import declare

    for field in schema:
        declare(field)


def open_store(name: str, connection: Connection, root: Path) -> Store:  # noqa: ARG001 - paths mean nothing here
    from headgate.io.relational.store import RelationalStore
    from headgate.io.sqlserver.backend import SqlServerBackend

    return RelationalStore(name, SqlServerBackend(connection))
