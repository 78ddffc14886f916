"""A table's metadata as the JSON that it is: what can be told of a table without importing pyiceberg."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headgate.core.errors import Code, FatalError, nearest
from headgate.io import files
from headgate.lake._iceberg import names
from headgate.lake._iceberg.catalog import Catalogue

RUN_ID = "headgate.run-id"
PIPELINE = "headgate.pipeline"
EPOCH = "headgate.epoch"
KEYS = "headgate.keys"


@dataclass(frozen=True)
class TableState:
    """A table at one pointer. ``document`` is Iceberg's table metadata."""

    table: str
    pointer: str
    document: dict[str, Any]

    @property
    def schema(self) -> dict[str, Any]:
        return self.schema_of(self.document["current-schema-id"])

    def schema_of(self, schema_id: int) -> dict[str, Any]:
        return next(schema for schema in self.document["schemas"] if schema.get("schema-id", 0) == schema_id)

    @property
    def snapshot(self) -> dict[str, Any] | None:
        """The current snapshot; None while the table has never held a row."""
        current = self.document.get("current-snapshot-id")
        return self.snapshot_of(current) if current not in (None, -1) else None

    def snapshot_of(self, snapshot_id: int) -> dict[str, Any] | None:
        return next((found for found in self.snapshots if found["snapshot-id"] == snapshot_id), None)

    @property
    def snapshots(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document.get("snapshots") or []
        return found

    @property
    def version(self) -> str:
        return str(self.snapshot["snapshot-id"]) if self.snapshot else ""

    @property
    def rows(self) -> int | None:
        if self.snapshot is None:
            return 0
        total = self.snapshot.get("summary", {}).get("total-records")
        return int(total) if total is not None else None

    @property
    def keys(self) -> tuple[str, ...]:
        text = self.document.get("properties", {}).get(KEYS)
        return tuple(json.loads(text)) if text else ()

    @property
    def folder(self) -> Path:
        return Path(names.local_path(self.document["location"]))

    def ancestors(self, snapshot_id: int | None = None) -> list[dict[str, Any]]:
        """A snapshot (default: the current one) and those it grew from, newest first."""
        start = self.snapshot if snapshot_id is None else self.snapshot_of(snapshot_id)
        chain: list[dict[str, Any]] = []
        while start is not None:
            chain.append(start)
            parent = start.get("parent-snapshot-id")
            start = self.snapshot_of(parent) if parent is not None else None
        return chain


def current(catalogue: Catalogue, table: str) -> TableState:
    """A table's metadata. Raises TABLE_NOT_FOUND with the nearest known name."""
    pointer = catalogue.pointer(table)
    if pointer is None:
        known = catalogue.tables()
        raise FatalError(
            Code.TABLE_NOT_FOUND,
            f'the lake has no table "{table}"',
            operation="read",
            object=table,
            hint=nearest(table, known) or "nothing was published to this lake yet",
        )
    return load(table, pointer)


def load(table: str, pointer: str) -> TableState:
    """Read a table's metadata. Raises STATE_INVALID if the file is gone or broken."""
    path = Path(names.local_path(pointer))
    try:
        data = path.read_bytes()
        document = json.loads(gzip.decompress(data) if ".gz." in path.name else data)
    except (OSError, ValueError) as error:
        raise FatalError(
            Code.STATE_INVALID,
            f"the table's metadata cannot be read: {error}",
            operation="read",
            object=table,
            hint="locations in a lake are absolute: was the folder moved? Restore it where it was",
        ) from error
    return TableState(table, pointer, document)


def snapshot_at(state: TableState, at: str) -> dict[str, Any]:
    """The snapshot that ``at`` names: a snapshot id, a run id, or the last one up to an ISO time (UTC by default)."""
    if at.isdigit() and (found := state.snapshot_of(int(at))):
        return found
    of_run = [found for found in state.snapshots if found.get("summary", {}).get(RUN_ID) == at]
    if of_run:
        return of_run[-1]
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise _no_version(state, at, "neither a snapshot, nor a run that wrote rows here, nor a time") from None
    milliseconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
    for snapshot in state.ancestors():
        if snapshot["timestamp-ms"] <= milliseconds:
            return snapshot
    raise _no_version(state, at, "before the table's first version")


def _no_version(state: TableState, at: str, why: str) -> FatalError:
    known = ", ".join(str(snapshot["snapshot-id"]) for snapshot in state.ancestors()[:5])
    return FatalError(
        Code.NOT_FOUND,
        f'"{at}" is {why}',
        operation="read",
        object=state.table,
        hint=f"newest snapshots: {known}" if known else "the table has no snapshot yet",
    )


def version_number(pointer: str) -> int:
    """The number at the front of a metadata file's name; -1 for names of other tools."""
    head = Path(names.local_path(pointer)).name.split("-")[0]
    return int(head) if head.isdigit() else -1


def write(path: Path, text: str) -> None:
    """Write a metadata file durably, its name included."""
    with files.told("write", path):
        files.make_folder(path.parent)
        files.write_new(path, text.encode())
        files.sync_folder(path.parent)
