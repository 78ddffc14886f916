"""MySQL and MariaDB as a target: data, watermark and run record in one InnoDB transaction of one database.

Rows are staged in tables that nobody reads, by LOAD DATA from memory. Tables are created and columns added before the
transaction, for such statements commit by themselves there; the rows come with the commit. NaN, infinity, intervals,
lists, structs and maps are refused: turn them into text first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headgate.core.contracts import EVERY, Capability, Store
from headgate.core.models import WriteOptions
from headgate.io.mysql import Connection

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Connection", "Write", "open_store"]

MODES: frozenset[Capability] = EVERY | {"rescue", "preview"}


class Write(WriteOptions):
    """A table of the database, also ``database.table``. The user needs to create tables, for staging too."""


def check_types(schema: pa.Schema) -> None:
    """Refuse a column that the target cannot hold exactly, before anything is read. Raises FatalError UNSUPPORTED."""
    from headgate.io.mysql.types import BINARY_COLLATIONS, declare

    for field in schema:
        declare(field, BINARY_COLLATIONS[-1])


def open_store(name: str, connection: Connection, root: Path) -> Store:  # noqa: ARG001 - paths mean nothing here
    from headgate.io.mysql.backend import MysqlBackend
    from headgate.io.relational.store import RelationalStore

    return RelationalStore(name, MysqlBackend(connection))
