"""Reading tables: files that the engine reads itself where they are uniform, batches where they are not."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

import pyarrow as pa

from headgate.core.contracts import FileScan, Scan, SourceSchema
from headgate.lake._iceberg import metadata, queries, types
from headgate.lake._iceberg.metadata import TableState
from headgate.sql.literals import quote_name


def read(state: TableState, at: str | None = None) -> Scan:
    """A table's rows at its current or an older version, with the columns that it had then."""
    schema, snapshot_id = state.schema, None
    if at is not None:
        snapshot = metadata.snapshot_at(state, at)
        snapshot_id = snapshot["snapshot-id"]
        schema = state.schema_of(snapshot.get("schema-id", state.document["current-schema-id"]))
    columns = types.arrow_schema(schema)
    if state.snapshot is None and snapshot_id is None:
        return _in_batches(columns, iter(()))
    from headgate.lake._iceberg import snapshots

    files = snapshots.live_files(state, snapshot_id)
    if snapshots.has_deletes(state, snapshot_id):
        return _foreign(state, columns, snapshot_id)
    return scan_files(state, columns, [file.path for file in files], sum(file.rows for file in files), snapshot_id)


def scan_files(
    state: TableState, columns: pa.Schema, paths: Sequence[str], rows: int, snapshot_id: int | None = None
) -> Scan:
    """Some of a table's data files as one scan with all of its columns."""
    agreements = {queries.agreement(path, columns) for path in paths}
    if not paths:
        return _in_batches(columns, iter(()))
    if agreements == {"exact"}:
        files = FileScan("parquet", tuple(paths))
        return Scan(SourceSchema(types.without_ids(columns), keys=state.keys), files=files, estimated_rows=rows)
    if "foreign" in agreements:
        return _foreign(state, columns, snapshot_id)
    body = queries.projection(columns, queries.present(paths))
    scan = streamed(f"SELECT {body} FROM {queries.relation(paths)}", columns)
    scan.estimated_rows = rows
    return scan


def selected(scan: Scan, columns: Sequence[str] | None, condition: str | None, batch_rows: int) -> Scan:
    """A scan narrowed to some columns, and to rows for which a checked SQL condition holds."""
    if columns is None and condition is None:
        return scan
    raw = scan.schema.raw
    chosen = pa.schema([raw.field(name) for name in columns]) if columns is not None else raw
    where = f" WHERE {condition}" if condition else ""
    names = ", ".join(quote_name(name) for name in chosen.names)
    if scan.files is not None:
        return streamed(f"SELECT {names} FROM {queries.relation(scan.files.paths)}{where}", chosen, batch_rows)
    return streamed(f"SELECT {names} FROM delivered{where}", chosen, batch_rows, scan)


def streamed(query: str, columns: pa.Schema, batch_rows: int = queries.BATCH_ROWS, inner: Scan | None = None) -> Scan:
    """A DuckDB query as a scan; ``inner`` is another scan that it reads as ``delivered``."""
    plain = types.without_ids(columns)

    def rows() -> Generator[pa.RecordBatch, None, None]:
        with queries.session() as connection:
            if inner is not None:
                connection.register("delivered", inner.batches)
            yield from queries.batches(connection, query, plain, batch_rows)

    generator = rows()

    def close() -> None:
        generator.close()
        if inner is not None:
            inner.close()

    return _in_batches(plain, generator, close)


def _in_batches(
    columns: pa.Schema, batches: Iterator[pa.RecordBatch], close: Callable[[], None] = lambda: None
) -> Scan:
    plain = types.without_ids(columns)
    return Scan(SourceSchema(plain), batches=pa.RecordBatchReader.from_batches(plain, batches), close=close)


def _foreign(state: TableState, columns: pa.Schema, snapshot_id: int | None) -> Scan:
    """Read through pyiceberg itself, which knows renamed columns and delete files."""
    from headgate.lake._iceberg import snapshots

    plain = types.without_ids(columns)
    return _in_batches(plain, snapshots.rows(state, snapshot_id, plain))
