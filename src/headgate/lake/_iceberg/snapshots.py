"""Everything that pyiceberg does for us: listing live files, and building a table's next metadata.

This is the one place that uses what pyiceberg does not promise to keep (names with an underscore);
``tests/lake/test_snapshots.py`` fails when an upgrade changes any of it.
"""

from __future__ import annotations

import json
import logging
import struct
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.core.collection import uncollected
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.io import files
from headgate.lake._iceberg import metadata, names
from headgate.lake._iceberg.catalog import NAME
from headgate.lake._iceberg.metadata import TableState
from headgate.lake._iceberg.schemas import SchemaPlan
from headgate.lake._iceberg.schemas import cast as cast_to
from headgate.lake._iceberg.staging import DataFile

with uncollected():  # half a million objects
    from pyiceberg.catalog.noop import NoopCatalog
    from pyiceberg.conversions import from_bytes
    from pyiceberg.exceptions import ValidationException
    from pyiceberg.io.pyarrow import (
        MetricModeTypes,
        MetricsMode,
        StatisticsCollector,
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile as IcebergFile
    from pyiceberg.manifest import DataFileContent, FileFormat, ManifestContent, ManifestFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil
    from pyiceberg.table.snapshots import Operation, Snapshot
    from pyiceberg.table.update import (
        AddSchemaUpdate,
        SetCurrentSchemaUpdate,
        SetPropertiesUpdate,
        TableUpdate,
        update_table_metadata,
    )
    from pyiceberg.table.update.snapshot import _ManifestMergeManager, _OverwriteFiles
    from pyiceberg.typedef import Record
    from pyiceberg.types import DateType, PrimitiveType, TimestampType, TimestamptzType

    from headgate.lake._iceberg.fileio import LocalFiles

PREVIOUS_VERSIONS = 10
MANIFESTS_TO_MERGE = 8
PROPERTIES = {
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": str(MANIFESTS_TO_MERGE),
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": str(PREVIOUS_VERSIONS),
    "write.parquet.compression-codec": "zstd",
}

logging.getLogger("pyiceberg.io.pyarrow").setLevel(logging.ERROR)  # columns without statistics are no news


@dataclass(frozen=True)
class LiveFile:
    """A data file of a snapshot. ``snapshot_id`` is the one that added it."""

    file: IcebergFile
    snapshot_id: int

    @property
    def path(self) -> str:
        return names.local_path(self.file.file_path)

    @property
    def rows(self) -> int:
        return int(self.file.record_count)

    @property
    def size(self) -> int:
        """In bytes."""
        return int(self.file.file_size_in_bytes)

    def bounds(self, schema: Mapping[str, Any], column: str) -> tuple[Any, Any] | None:
        """The least and the greatest value of a column, where the file's metrics tell."""
        field = next(field for field in schema["fields"] if field["name"] == column)
        low = (self.file.lower_bounds or {}).get(field["id"])
        high = (self.file.upper_bounds or {}).get(field["id"])
        if low is None or high is None or not isinstance(field["type"], str):
            return None
        only = Schema.model_validate({"type": "struct", "fields": [{**field, "required": False}]})
        type_ = cast("PrimitiveType", only.find_type(field["id"]))
        try:
            return from_bytes(type_, low), from_bytes(type_, high)
        except struct.error:
            return None  # written before the column was promoted to a wider type


@dataclass(frozen=True)
class Change:
    """What a commit does to one table's files."""

    added: Sequence[DataFile] = ()
    removed: Sequence[LiveFile] = ()


@dataclass(frozen=True)
class NextVersion:
    """A table's next metadata, written and durable; ``written`` are all files that this took."""

    pointer: str
    snapshot_id: str
    written: list[Path]
    obsolete: list[Path]


def live_files(state: TableState | None, snapshot_id: int | None = None) -> list[LiveFile]:
    """The data files of a snapshot (default: the current one)."""
    return [live for live in _entries(state, snapshot_id) if live.file.content == DataFileContent.DATA]


def has_deletes(state: TableState | None, snapshot_id: int | None = None) -> bool:
    """Whether another tool left delete files, which plain reading of data files would miss."""
    return any(live.file.content != DataFileContent.DATA for live in _entries(state, snapshot_id))


def _entries(state: TableState | None, snapshot_id: int | None) -> Iterator[LiveFile]:
    if state is None:
        return
    found = state.snapshot if snapshot_id is None else state.snapshot_of(snapshot_id)
    if found is None:
        return
    io = LocalFiles()
    with _said(state.table, "read"):
        for manifest in Snapshot.model_validate(found).manifests(io):
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                yield LiveFile(entry.data_file, entry.snapshot_id or 0)


def files_of_run(state: TableState, run_id: str) -> list[LiveFile]:
    """The files that hold the rows of one run. Raises UNSUPPORTED if they also hold, or no longer hold, other rows."""
    theirs = [found for found in state.ancestors() if found.get("summary", {}).get(metadata.RUN_ID) == run_id]
    chain = state.ancestors()
    if not theirs and (not chain or chain[-1].get("parent-snapshot-id") is None):
        return []  # the whole history is there, and the run added no rows to this table
    ids = {found["snapshot-id"] for found in theirs}
    found = [live for live in live_files(state) if live.snapshot_id in ids]
    added = sum(int(snapshot.get("summary", {}).get("added-records", 0)) for snapshot in theirs)
    if not theirs or sum(live.rows for live in found) != added:
        raise FatalError(
            Code.UNSUPPORTED,
            f"the rows of run {run_id} can no longer be told from others: they were merged or rewritten since",
            operation="publish",
            object=state.table,
            hint="replace the whole table with --full-refresh",
        )
    return found


@contextmanager
def _said(table: str, operation: str) -> Iterator[None]:
    """pyiceberg's errors, and those of the disk below it, as ours."""
    try:
        yield
    except HeadgateError:
        raise
    except OSError as error:
        raise files.explain(error, operation, Path(error.filename or table)) from error
    except (ValidationException, ValueError, KeyError) as error:
        raise FatalError(
            Code.LOAD_EXECUTION_FAILED,
            f"Iceberg refused it: {error}",
            operation=operation,
            object=table,
            hint="nothing was published; if another tool writes this table, see whether it left it readable",
        ) from error


def rows(state: TableState, snapshot_id: int | None, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Read a version through pyiceberg: by field ids, with delete files applied."""
    base = TableMetadataUtil.parse_obj(state.document)
    handle = Table(names.identifier(state.table), base, state.pointer, LocalFiles(), NoopCatalog(NAME))
    with _said(state.table, "read"):
        for batch in handle.scan(snapshot_id=snapshot_id).to_arrow_batch_reader():
            yield pa.RecordBatch.from_arrays(
                [cast_to(batch.column(field.name), field) for field in columns], schema=columns
            )


# ------------------------------------------------------------------------------------------------ writing


class _Replace(_OverwriteFiles):
    """Removes and adds data files in one snapshot, merges small manifests, and forgets those without living files."""

    def _existing_manifests(self) -> list[ManifestFile]:
        return [
            manifest
            for manifest in super()._existing_manifests()
            if manifest.has_added_files() or manifest.has_existing_files()
        ]

    def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        data = [manifest for manifest in manifests if manifest.content == ManifestContent.DATA]
        deletes = [manifest for manifest in manifests if manifest.content != ManifestContent.DATA]
        merging = _ManifestMergeManager(8 << 20, MANIFESTS_TO_MERGE, True, self)
        return merging.merge_manifests(data) + deletes


def new_document(plan: SchemaPlan, location: Path, keys: Sequence[str]) -> dict[str, Any]:
    """The metadata of a table that has no snapshot yet, as Iceberg's format version 2."""
    return {
        "format-version": 2,
        "table-uuid": str(uuid.uuid4()),
        "location": str(location),
        "last-sequence-number": 0,
        "last-updated-ms": int(time.time() * 1000),
        "last-column-id": plan.last_id,
        "current-schema-id": plan.document["schema-id"],
        "schemas": [plan.document],
        "default-spec-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "last-partition-id": 999,
        "default-sort-order-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}],
        "properties": {**PROPERTIES, **({metadata.KEYS: json.dumps(list(keys))} if keys else {})},
        "snapshots": [],
        "snapshot-log": [],
        "metadata-log": [],
        "refs": {},
    }


def next_version(
    table: str,
    state: TableState | None,
    location: Path,
    plan: SchemaPlan,
    change: Change,
    properties: Mapping[str, str],
    tag: str,
    keys: Sequence[str] = (),
) -> NextVersion:
    """Write the metadata of a table after a change: manifests, manifest list and the new metadata file, all synced."""
    commit = names.commit_uuid(tag)
    number = metadata.version_number(state.pointer) + 1 if state else 0
    target = (state.folder if state else location) / "metadata" / f"{number:05d}-{commit}.metadata.json"
    with _said(table, "publish"), files.told("publish", target):
        document = state.document if state else new_document(plan, location, keys)
        base = TableMetadataUtil.parse_obj(document)
        _check_writable(table, base)
        updates = _schema_updates(state, plan, keys)
        evolved = update_table_metadata(base, updates) if updates else base
        handle = Table(
            names.identifier(table), evolved, state.pointer if state else "", LocalFiles(), NoopCatalog(NAME)
        )
        transaction = Transaction(handle)
        _produce(transaction, change, dict(properties), uuid.UUID(commit))
        updates += transaction._updates
        after = update_table_metadata(base, updates, metadata_location=state.pointer if state else None)
        metadata.write(target, after.model_dump_json(exclude_none=True))
    written = [path for path in target.parent.iterdir() if commit in path.name]
    current = after.current_snapshot()
    return NextVersion(str(target), str(current.snapshot_id) if current else "", written, _obsolete(base, after))


def _check_writable(table: str, base: TableMetadata) -> None:
    if not base.spec().is_unpartitioned():
        raise FatalError(
            Code.UNSUPPORTED,
            "the table is partitioned; headgate writes unpartitioned tables only",
            operation="publish",
            object=table,
            hint="write to another table, or to one that headgate created",
        )


def _schema_updates(state: TableState | None, plan: SchemaPlan, keys: Sequence[str]) -> tuple[TableUpdate, ...]:
    updates: tuple[TableUpdate, ...] = ()
    if state is None:
        return updates
    if plan.changed:
        updates = (AddSchemaUpdate(schema_=Schema.model_validate(plan.document)), SetCurrentSchemaUpdate(schema_id=-1))
    if keys and state.keys != tuple(keys):
        updates += (SetPropertiesUpdate(updates={metadata.KEYS: json.dumps(list(keys))}),)
    return updates


def _produce(transaction: Transaction, change: Change, properties: dict[str, str], commit: uuid.UUID) -> None:
    """Add the snapshot to the transaction; nothing added and nothing removed makes none."""
    if not change.added and not change.removed:
        return
    update = transaction.update_snapshot(snapshot_properties=properties)
    if change.removed:
        producer: Any = _Replace(
            Operation.OVERWRITE,
            transaction,
            LocalFiles(),
            snapshot_properties=properties,
        )
        for gone in change.removed:
            producer.delete_data_file(gone.file)
    else:
        producer = update.merge_append()
    producer.commit_uuid = commit
    for file in change.added:
        producer.append_data_file(_described(transaction.table_metadata, file))
    producer.commit()


def _described(base: TableMetadata, file: DataFile) -> IcebergFile:
    """A data file with the metrics of its footer."""
    footer = pq.read_metadata(file.path)
    schema = base.schema()
    plan, paths = compute_statistics_plan(schema, base.properties), parquet_path_to_id_mapping(schema)
    try:
        statistics = data_file_statistics_from_parquet_metadata(footer, plan, paths)
    except (OverflowError, ValueError):  # days and moments that Python does not have: then no bounds of theirs are told
        statistics = data_file_statistics_from_parquet_metadata(footer, _without_times(plan), paths)
    return IcebergFile.from_args(
        content=DataFileContent.DATA,
        file_path=str(file.path),
        file_format=FileFormat.PARQUET,
        partition=Record(),
        file_size_in_bytes=file.path.stat().st_size,
        sort_order_id=None,
        spec_id=base.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )


def _without_times(plan: Mapping[int, StatisticsCollector]) -> dict[int, StatisticsCollector]:
    """The plan with counts only for columns of dates and times."""
    counts = MetricsMode(MetricModeTypes.COUNTS)
    return {
        field: replace(how, mode=counts) if isinstance(how.iceberg_type, _TIMES) else how for field, how in plan.items()
    }


_TIMES = DateType | TimestampType | TimestamptzType


def _obsolete(base: TableMetadata, after: TableMetadata) -> list[Path]:
    """Metadata files that fell out of the log with this version, to be removed after its commit."""
    kept = {entry.metadata_file for entry in after.metadata_log}
    return [Path(names.local_path(old.metadata_file)) for old in base.metadata_log if old.metadata_file not in kept]
