"""The lake as a source: whole tables at one version, or the rows that runs appended since the last one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import ReadContext, Scan, SourceSchema, Window
from headgate.core.errors import RESET, Code, FatalError, nearest
from headgate.core.models import ReadOptions
from headgate.lake._iceberg import metadata
from headgate.lake._iceberg.catalog import Catalogue
from headgate.lake._iceberg.metadata import TableState

if TYPE_CHECKING:
    import pyarrow as pa

SNAPSHOT = "snapshot"


class LakeSource:
    """See :class:`headgate.core.contracts.Source`. The position of an incremental read is a snapshot id."""

    def __init__(self, root: Path) -> None:
        self._catalogue = Catalogue(root)

    def test(self) -> str:
        from headgate.lake._iceberg.store import LakeStore

        return LakeStore("", self._catalogue.root).test()

    def tables(self) -> list[str]:
        return self._catalogue.tables()

    def identity(self, read: ReadOptions) -> tuple[str, str]:
        table = self._table(read)
        parts = json.dumps([read.mode, read.where, sorted(read.columns or ())])
        return f"{read.connection or 'lake'}.{table}", hashlib.sha256(parts.encode()).hexdigest()[:16]

    def schema(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> SourceSchema:
        del context, since
        return self._schema(read, self._state(read))

    def _schema(self, read: ReadOptions, state: TableState) -> SourceSchema:
        from headgate.lake._iceberg import types

        document, at = state.schema, _at(read)
        if at is not None:
            document = state.schema_of(metadata.snapshot_at(state, at).get("schema-id", document["schema-id"]))
        columns = types.without_ids(types.arrow_schema(document))
        return SourceSchema(_chosen(read, columns), keys=state.keys)

    def probe(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
        del context
        state = self._state(read)
        if read.mode == "full":
            return Window(None, high={SNAPSHOT: _whole(read, state)}, note="the whole table at one version")
        before = str((since or {}).get(SNAPSHOT, ""))
        if before == state.version:
            return None
        identity = {"table": read.table, "after": before, "to": state.version}
        return Window(identity, since, {SNAPSHOT: state.version}, "rows of the files appended since that version")

    def scan(self, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
        from headgate.lake._iceberg import reading

        state = self._state(read)
        # Tables beside the main source are not probed: their window has no position.
        version = str(window.high[SNAPSHOT]) if SNAPSHOT in window.high else _whole(read, state)
        if read.mode == "full" or not (window.since or {}).get(SNAPSHOT):
            scan = reading.read(state, version or None)
        else:
            assert window.since is not None
            scan = _appended(state, str(window.since[SNAPSHOT]), version)
        chosen = _chosen(read, scan.schema.raw).names if read.columns is not None else None
        return reading.selected(scan, chosen, _condition(read, scan.schema.raw, context), context.batch_size)

    def acknowledge(self, read: ReadOptions, position: Mapping[str, Any]) -> None:
        """Snapshots stay; there is nothing to forget."""

    def close(self) -> None:
        """Nothing is open."""

    def _state(self, read: ReadOptions) -> TableState:
        return metadata.current(self._catalogue, self._table(read))

    def _table(self, read: ReadOptions) -> str:
        why, hint = "", ""
        if read.query is not None:
            why, hint = "a lake is read by table", "name the table, and use a sql step for the query"
        elif not read.table:
            why, hint = "no table is named", "add table:"
        elif read.mode not in ("full", "incremental"):
            why, hint = f"a lake has no mode {read.mode}", "use full or incremental"
        elif read.mode == "incremental" and read.incremental is not None:
            why = "an incremental read of a lake goes by its snapshots, not by a column"
            hint = "leave incremental: out; mode: incremental reads what was appended since the last run"
        elif read.mode == "incremental" and (read.max_records is not None or _at(read)):
            why, hint = "an incremental read of a lake takes whole snapshots", "leave max_records: and at: out"
        if why:
            raise FatalError(Code.UNSUPPORTED, why, operation="scan", object=read.table or "", hint=hint)
        return str(read.table)


def _whole(read: ReadOptions, state: TableState) -> str:
    """The version that a read of the whole table takes."""
    at = _at(read)
    return state.version if at is None else str(metadata.snapshot_at(state, at)["snapshot-id"])


def _at(read: ReadOptions) -> str | None:
    from headgate.lake.iceberg import Read

    return read.at if isinstance(read, Read) else None


def _chosen(read: ReadOptions, columns: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    if read.columns is None:
        return columns
    spelled = {name.lower(): name for name in columns.names}
    for name in read.columns:
        if name.lower() not in spelled:
            raise FatalError(
                Code.PLAN_INVALID,
                f'column "{name}" not found',
                operation="scan",
                object=str(read.table),
                hint=nearest(name, columns.names),
            )
    return pa.schema([columns.field(spelled[name.lower()]) for name in read.columns])


def _condition(read: ReadOptions, columns: pa.Schema, context: ReadContext) -> str | None:
    """``where`` as checked SQL over the table's own columns."""
    if read.where is None:
        return None
    from headgate.core.engines import Column
    from headgate.sql.shapes import StepInput

    step = StepInput(tuple(Column(name, "") for name in columns.names), variables=context.variables)
    return step.condition(read.where).sql(dialect="duckdb")


def _appended(state: TableState, after: str, to: str) -> Scan:
    """Rows of the files that were added between two snapshots. Raises when rows were also removed or rewritten."""
    from headgate.lake._iceberg import reading, snapshots, types

    chain = state.ancestors(int(to))
    known = [snapshot["snapshot-id"] for snapshot in chain]
    if int(after) not in known:
        raise FatalError(
            Code.STATE_INVALID,
            f"version {after}, where the last run stopped, is not in the table's history",
            operation="scan",
            object=state.table,
            hint=f"the table was rolled back or its history expired: {RESET}, or run --full-refresh",
        )
    fresh = chain[: known.index(int(after))]
    rewriting = [found for found in fresh if found.get("summary", {}).get("operation") != "append"]
    if rewriting:
        raise FatalError(
            Code.UNSUPPORTED,
            f"version {rewriting[-1]['snapshot-id']} did not only append rows, so what is new cannot be told",
            operation="scan",
            object=state.table,
            hint="read the table with mode: full, or run --full-refresh",
        )
    ids = {found["snapshot-id"] for found in fresh}
    added = [file for file in snapshots.live_files(state, int(to)) if file.snapshot_id in ids]
    columns = types.arrow_schema(state.schema_of(chain[0].get("schema-id", state.document["current-schema-id"])))
    return reading.scan_files(state, columns, [file.path for file in added], sum(file.rows for file in added), int(to))
