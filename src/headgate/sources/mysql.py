"""MySQL and MariaDB as a source: tables, views and queries, in one snapshot, streamed to Arrow."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from headgate.core.contracts import Source
from headgate.core.models import ReadOptions
from headgate.io.mysql import Connection
from headgate.io.mysql.reading import MysqlReader
from headgate.io.relational.source import RelationalSource

__all__ = ["Connection", "Read", "open_source"]


class Read(ReadOptions):
    """What is read: ``table`` (also ``database.table``) or ``query``. Sessions use standard quotes: "name", 'text'."""

    where: str | None = Field(default=None, description="A condition in MySQL's SQL; :name takes a parameter.")
    query: str | None = Field(default=None, description="A SELECT in MySQL's SQL; :name takes a parameter.")


def open_source(connection: Connection, root: Path) -> Source:  # noqa: ARG001 - paths mean nothing here
    return RelationalSource(MysqlReader(connection))
