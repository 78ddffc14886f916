"""Any database with a SQLAlchemy dialect as a source: the slow but general way."""

from __future__ import annotations

from pathlib import Path

from headgate.core.contracts import Source
from headgate.core.models import ReadOptions
from headgate.io.alchemy import Connection
from headgate.io.relational.source import RelationalSource

__all__ = ["Connection", "Read", "open_source"]


class Read(ReadOptions):
    """A table, a view or a query in the database's own SQL, with standard quotes; ``:name`` takes a parameter."""


def open_source(connection: Connection, root: Path) -> Source:
    from headgate.io.alchemy.engines import engine
    from headgate.io.alchemy.reading import AlchemyReader

    return RelationalSource(AlchemyReader(engine(connection, root, read_only=True)))
