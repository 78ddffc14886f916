"""PostgreSQL as a source: tables, views and queries, in one snapshot, streamed to Arrow.

What is new in a table is found by transaction ids, exactly, whatever commits late; in views, foreign tables and
queries, and with ``max_records``, by the values of the cursor column.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from headgate.core.contracts import Source
from headgate.core.models import Model, ReadOptions
from headgate.io.postgres import Connection

__all__ = ["Connection", "Read", "open_source"]


class Cdc(Model):
    """How changes are followed."""

    slot: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]{1,63}$",
        description="The replication slot, made by the first run; default one for this pipeline and table.",
    )
    publication: str | None = Field(
        default=None, min_length=1, description="The publication that has the table; default one that is made."
    )


class Read(ReadOptions):
    """What is read: ``table`` (also ``schema.table``) or ``query``."""

    where: str | None = Field(default=None, description="A condition in PostgreSQL's SQL; :name takes a parameter.")
    parallel: int = Field(
        default=1,
        ge=1,
        le=32,
        description="For mode full: sessions that read ranges of the table at once, all in one snapshot. Gains where"
        " server and client have more than two processors.",
    )
    cdc: Cdc | None = Field(default=None, description="For mode cdc: slot and publication.")
    query: str | None = Field(default=None, description="A SELECT in PostgreSQL's SQL; :name takes a parameter.")


def open_source(connection: Connection, root: Path) -> Source:  # noqa: ARG001 - paths mean nothing here
    from headgate.sources.postgres.source import PostgresSource

    return PostgresSource(connection)
