"""Modes of reading that any database has which can be read in full: snapshots by date, and changes by comparison.

``snapshot``: everything, once a date, with the date in ``_snapshot``. ``delta``: what was inserted, updated and deleted
since the last published run, with the operation in ``_change``. For that the position holds the key and a hash of each
row, so it lies with the target and changes in the commit of the rows; a table of more than a million rows wants CDC.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import ReadContext, Scan, Source, SourceSchema, Window
from headgate.core.errors import RESET, Code, FatalError
from headgate.core.models import ReadOptions
from headgate.io.cursor_values import row_hash

if TYPE_CHECKING:
    import pyarrow as pa

COMPARED = ("snapshot", "delta")
SNAPSHOT, CHANGE = "_snapshot", "_change"
MOST_ROWS = 1_000_000
"""Rows whose keys and hashes still fit into a position."""


def full(read: ReadOptions) -> ReadOptions:
    """The read whose rows are dated or compared."""
    return read.model_copy(update={"mode": "full", "incremental": None, "max_records": None})


def schema(source: Source, read: ReadOptions, context: ReadContext) -> SourceSchema:
    """The columns of a full read, and that of the mode in front."""
    return _extended(source.schema(full(read), context, None), read, read.table or "query")


def _extended(found: SourceSchema, read: ReadOptions, name: str) -> SourceSchema:
    import pyarrow as pa

    added = pa.field(SNAPSHOT, pa.date32()) if read.mode == "snapshot" else pa.field(CHANGE, pa.string())
    if added.name in found.raw.names:
        raise FatalError(
            Code.PLAN_INVALID,
            f"mode: {read.mode} adds the column {added.name}, and the source has one of that name",
            operation="schema",
            object=name,
            hint="read a query that calls it otherwise",
        )
    extended = pa.schema([added, *found.raw])
    if read.mode == "delta":
        _keys(read, found, name)
    return SourceSchema(extended, found.casts, found.keys, certain=found.certain)


def probe(read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Window | None:
    """A snapshot is one a date; a comparison is new at every call, for only its rows can tell what changed."""
    if read.max_records is not None:
        raise FatalError(
            Code.UNSUPPORTED,
            f"mode: {read.mode} is about the whole table, and max_records would cut it",
            operation="probe",
            object=read.table or "query",
            hint="leave max_records out, or use mode: incremental",
        )
    if read.mode == "delta" and context.interval is not None:
        raise FatalError(
            Code.UNSUPPORTED,
            "a comparison tells what changed since the last run, whose place a run for an interval does not take",
            operation="probe",
            object=read.table or "query",
            hint="leave --date, --start and --end out",
        )
    if read.mode == "delta":
        return Window(None, since, note="everything is read and compared with what the last published run saw")
    day = date.fromisoformat(context.interval.start[:10]) if context.interval else datetime.now(UTC).date()
    text = day.isoformat()
    if context.interval is None and (since or {}).get("snapshot") == text:
        return None
    return Window({"snapshot": text}, None, {"snapshot": text}, f"everything, kept under {text} in {SNAPSHOT}")


def scan(source: Source, read: ReadOptions, context: ReadContext, window: Window) -> Scan:
    whole = replace(context, interval=None)
    found = source.scan(full(read), whole, Window(None, limit=window.limit))
    try:
        return _dated_or_compared(found, read, window)
    except BaseException:
        found.close()
        raise


def _dated_or_compared(found: Scan, read: ReadOptions, window: Window) -> Scan:
    extended = _extended(found.schema, read, read.table or "query")
    if read.mode == "snapshot":
        return replace(found, schema=extended, batches=_dated(found, extended.raw, window))
    comparison = Comparison(found, extended, _keys(read, found.schema, read.table or "query"), window.since)
    return replace(found, schema=extended, batches=comparison.reader(), position=comparison.position)


def _dated(found: Scan, schema_: pa.Schema, window: Window) -> pa.RecordBatchReader:
    import pyarrow as pa

    day = pa.scalar(date.fromisoformat(window.high["snapshot"]), pa.date32())

    def batches() -> Iterator[pa.RecordBatch]:
        assert found.batches is not None, "databases give batches"
        for batch in found.batches:
            yield pa.RecordBatch.from_arrays([pa.repeat(day, batch.num_rows), *batch.columns], schema=schema_)

    return pa.RecordBatchReader.from_batches(schema_, batches())


def _keys(read: ReadOptions, found: SourceSchema, name: str) -> tuple[str, ...]:
    """What identifies a row: as the read says, or the primary key."""
    keys = tuple(read.key or found.keys)
    if not keys or not set(keys) <= set(found.raw.names):
        raise FatalError(
            Code.PLAN_INVALID,
            "mode: delta needs to know what identifies a row",
            operation="schema",
            object=name,
            hint="write key: [NAME] at the source; existing columns: " + ", ".join(found.raw.names),
        )
    return keys


class Comparison:
    """The rows of a full read against what was there before.

    Args:
        found: the full read.
        schema: with the operation in front.
        keys: what identifies a row.
        since: the position before.
    """

    def __init__(self, found: Scan, schema: SourceSchema, keys: Sequence[str], since: Mapping[str, Any] | None) -> None:
        self._found, self._schema, self._keys = found, schema.raw, tuple(keys)
        self._before = _unpack(since, self._keys)
        self._now: dict[tuple[Any, ...], str] = {}

    def reader(self) -> pa.RecordBatchReader:
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._schema, self._changes())

    def position(self) -> dict[str, Any]:
        import pyarrow as pa

        columns = list(zip(*self._now, strict=True)) if self._now else [() for _ in self._keys]
        fields = [self._schema.field(key) for key in self._keys]
        arrays: list[Any] = [pa.array(cells, field.type) for cells, field in zip(columns, fields, strict=True)]
        hashes: Any = pa.array(self._now.values(), pa.string())
        table = pa.Table.from_arrays([*arrays, hashes], schema=pa.schema([*fields, pa.field("_hash", pa.string())]))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        return {"rows": len(self._now), "keys": list(self._keys), "seen": base64.b85encode(sink.getvalue()).decode()}

    def _changes(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        assert self._found.batches is not None, "databases give batches"
        for batch in self._found.batches:
            operations = self._operations(batch)
            kept = pa.array([place for place, operation in enumerate(operations) if operation], pa.int64())
            if len(kept):
                told = pa.array([operation for operation in operations if operation], pa.string())
                yield pa.RecordBatch.from_arrays([told, *batch.take(kept).columns], schema=self._schema)
        yield from self._deleted()

    def _operations(self, batch: pa.RecordBatch) -> list[str]:
        """What happened to each row; empty for those that are as they were."""
        keys = list(zip(*(batch.column(key).to_pylist() for key in self._keys), strict=True))
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        found = []
        for key, row in zip(keys, rows, strict=True):
            if key in self._now or None in key:
                raise self._no_key(key)
            hash_ = self._now[key] = row_hash(row)
            before = self._before.pop(key, None)
            found.append("insert" if before is None else "" if before == hash_ else "update")
        if len(self._now) > MOST_ROWS:
            raise FatalError(
                Code.UNSUPPORTED,
                f"the table has more than {MOST_ROWS:,} rows, too many to compare one by one",
                operation="scan",
                object=", ".join(self._keys),
                hint="use mode: cdc where the database has it, mode: incremental, or where: to compare a part",
            )
        return found

    def _deleted(self) -> Iterator[pa.RecordBatch]:
        """Rows that are gone: their keys, and nothing else."""
        import pyarrow as pa

        gone = list(self._before)
        if not gone:
            return
        columns = dict(zip(self._keys, zip(*gone, strict=True), strict=True))
        arrays: list[Any] = [
            pa.array(["delete"] * len(gone), pa.string())
            if field.name == CHANGE
            else pa.array(columns.get(field.name, [None] * len(gone)), field.type)
            for field in self._schema
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _no_key(self, key: tuple[Any, ...]) -> FatalError:
        return FatalError(
            Code.DUPLICATE_KEYS,
            f"the key {key} {'holds NULL' if None in key else 'occurs more than once'}, so rows cannot be compared",
            operation="scan",
            object=", ".join(self._keys),
            hint="name other columns in key:",
        )


def _unpack(since: Mapping[str, Any] | None, keys: Sequence[str]) -> dict[tuple[Any, ...], str]:
    import pyarrow as pa

    if since is None:
        return {}
    if tuple(since.get("keys", ())) != tuple(keys):
        raise FatalError(
            Code.STATE_INVALID,
            f"the last run told rows apart by {', '.join(since.get('keys', ())) or 'something else'}",
            operation="scan",
            object=", ".join(keys),
            hint=f"begin anew with: {RESET}",
        )
    table = pa.ipc.open_stream(base64.b85decode(since["seen"])).read_all()
    columns = [table.column(place).to_pylist() for place in range(len(keys))]
    return dict(zip(zip(*columns, strict=True), table.column(len(keys)).to_pylist(), strict=True))
