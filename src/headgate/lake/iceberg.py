"""The embedded lake: Apache Iceberg tables in a folder, their catalogue and headgate's ledger in one SQLite file.

Several tables, watermarks and the run record are published in one SQLite transaction. Any Iceberg reader opens the
same files; with pyiceberg: ``SqlCatalog("headgate", uri="sqlite:///<path>/catalog.db")``, namespace ``default``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from headgate.core.contracts import EVERY, Capability, Source, Store
from headgate.core.models import ConnectionOptions, ReadOptions, WriteOptions

DEFAULT_PATH = ".headgate/lake"

if TYPE_CHECKING:
    import pyarrow as pa

MODES: frozenset[Capability] = EVERY | {"preview"}


class Connection(ConnectionOptions):
    """A lake in a folder; it needs no server."""

    type: Literal["iceberg"] = Field(description="The embedded lake.")
    path: str = Field(
        default=DEFAULT_PATH,
        min_length=1,
        description="The lake's folder, relative to the project. Iceberg's paths are absolute, so it cannot be moved.",
    )


class Read(ReadOptions):
    """Reads a table of the lake: all of it, or (``mode: incremental``) the rows appended since the last run."""

    at: str | None = Field(
        default=None,
        description="Read an older version: a snapshot id, a run id, or an ISO time (UTC unless it says otherwise).",
    )


class Write(WriteOptions):
    """Writes a table of the lake. Names are ``table`` or ``namespace.table``."""


def check_types(schema: pa.Schema) -> None:
    """Refuse a column that the target cannot hold exactly, before anything is read. Raises FatalError UNSUPPORTED."""
    from headgate.lake._iceberg.types import storage

    storage(schema, "")


def open_store(name: str, connection: Connection, root: Path) -> Store:
    """The lake as a target."""
    from headgate.lake._iceberg.store import LakeStore

    return LakeStore(name, (root / connection.path).absolute())


def open_source(connection: Connection, root: Path) -> Source:
    """The lake as a source."""
    from headgate.lake._iceberg.source import LakeSource

    return LakeSource((root / connection.path).absolute())
