"""PostgreSQL as a target: data, watermark and run record in one transaction of one database.

Rows go by binary COPY straight into the open transaction, which nobody else sees until the commit. ``append`` copies
into the table itself; ``upsert`` into a temporary table that is merged; ``overwrite`` into a new table that takes the
old one's place, or, where views, foreign keys, triggers and the like hold on to the old one, into a temporary table
from which it is refilled. struct and map columns are refused: turn them into JSON text first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headgate.core.contracts import EVERY, Capability, Store
from headgate.core.models import WriteOptions
from headgate.io.postgres import Connection

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Connection", "Write", "open_store"]

MODES: frozenset[Capability] = EVERY | {"rescue", "partition tables", "preview"}


class Write(WriteOptions):
    """A table of the database, also ``schema.table``. The role needs to create tables, or ``create: false``."""


def check_types(schema: pa.Schema) -> None:
    """Refuse a column that the target cannot hold exactly, before anything is read. Raises FatalError UNSUPPORTED."""
    from headgate.targets.postgres.columns import declare

    for field in schema:
        declare(field, "")


def open_store(name: str, connection: Connection, root: Path) -> Store:  # noqa: ARG001 - paths mean nothing here
    from headgate.targets.postgres.store import PostgresStore

    return PostgresStore(name, connection)
