"""Any database with a SQLAlchemy dialect as a target: the slow but general way.

Rows are staged by INSERT and merged by portable statements in the transaction that writes the ledger. A lease in a
table is the lock: a run that died lets go of it after some seconds. Tried on SQLite, MariaDB and PostgreSQL.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headgate.core.contracts import EVERY, Capability, Store
from headgate.core.models import WriteOptions
from headgate.io.alchemy import Connection

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Connection", "Write", "open_store"]

MODES: frozenset[Capability] = EVERY | {"preview"}


class Write(WriteOptions):
    """A table of the database, also ``schema.table``. The user needs to create tables, for staging too."""


def check_target(schema: pa.Schema, options: WriteOptions, connection: Connection, root: Path) -> None:
    """Refuse, before anything is read, columns that the URL's database cannot hold exactly, and modes that nobody
    knows how to say in its SQL. Raises FatalError UNSUPPORTED; nothing is connected."""
    from headgate.io.alchemy.backend import check_load
    from headgate.io.alchemy.engines import engine
    from headgate.io.alchemy.types import declare

    made = engine(connection, root)
    try:
        for field in schema:
            declare(field, made.dialect, 0)
        check_load(options, made.dialect.name)
    finally:
        made.dispose()


def open_store(name: str, connection: Connection, root: Path) -> Store:
    from headgate.io.alchemy.backend import AlchemyBackend
    from headgate.io.alchemy.engines import engine
    from headgate.io.relational.store import RelationalStore

    made = engine(connection, root)
    return RelationalStore(name, AlchemyBackend(made), made.dispose)
