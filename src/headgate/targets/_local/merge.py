"""What needs the rows themselves: merging by copy on write, and counting duplicates. Computed by DuckDB, spilling."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Repeats, Scan, SourceSchema
from headgate.core.errors import Code, FatalError
from headgate.io import embedded, formats, rewriting
from headgate.io.ahead import Ahead
from headgate.io.formats import parquet
from headgate.sql.literals import quote_name
from headgate.sql.merges import names
from headgate.sql.repeats import repeats
from headgate.targets._local.manifest import DataFile
from headgate.targets._local.staging import Staged, staged_schema
from headgate.targets._local.writing import TableWriter

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH_ROWS = 100_000
_FILE = "headgate_file"


class Merge:
    """Works on the files of one folder, in the run's work folder. Files that are not Parquet are copied there first."""

    def __init__(self, root: Path, workdir: Path) -> None:
        self._root, self._workdir = root, workdir

    def _place(self, file: DataFile, schema: pa.Schema) -> str:
        """Where the file is as Parquet; ``schema`` is the table's, or that of the staged rows."""
        path = self._root / file.path
        if path.suffix == parquet.ENDING:
            return str(path)
        copy = self._workdir / "plain" / f"{hashlib.sha256(file.path.encode()).hexdigest()[:32]}{parquet.ENDING}"
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copied(path, schema, file.columns, copy)
        return str(copy)

    def check_keys(self, staged: Staged) -> None:
        """Raise DUPLICATE_KEYS for NULL or repeated keys among the staged rows."""
        keys = staged.load.keys
        if not keys:
            raise FatalError(
                Code.DUPLICATE_KEYS,
                "an upsert needs keys",
                operation="merge",
                object=staged.load.table,
                hint="say keys: with the columns that identify a row",
            )
        if not staged.files:
            return
        schema = staged_schema(staged)
        names = ", ".join(map(quote_name, keys))
        null = " OR ".join(f"{quote_name(key)} IS NULL" for key in keys)
        with self._connected("merge", staged.load.table) as connection:
            source = self._files(staged.files, schema)
            bad = connection.execute(
                f"SELECT {names}, count(*) FROM {source} GROUP BY {names} HAVING count(*) > 1 OR {null} LIMIT 1"
            ).fetchone()
        if bad is not None:
            shown = ", ".join(f"{key} = {value!r}" for key, value in zip(keys, bad, strict=False))
            why = "is NULL" if None in bad[:-1] else f"is there {bad[-1]} times"
            raise FatalError(
                Code.DUPLICATE_KEYS,
                f"the key {shown} {why}",
                operation="merge",
                object=staged.load.table,
                hint="deduplicate by the keys, or hold such rows back with not_null and unique rules",
            )

    def upsert(self, staged: Staged, current: Sequence[DataFile], writer: TableWriter) -> tuple[DataFile, ...]:
        """Rewrite the files that hold matching rows without them; the files of the table after the merge.

        Sets the counts of ``staged``; what ``writer`` writes is in ``staged.rewritten`` when this returns.
        """
        affected: dict[str, int] = {}
        if staged.files and current:
            affected = self._affected(staged, current)
        staged.updated = sum(affected.values())
        staged.inserted = staged.rows - staged.updated
        places = {file.path: self._place(file, staged.schema) for file in current} if affected else {}
        touched = [file for file in current if places.get(file.path) in affected]
        if any(affected[places[file.path]] < file.rows for file in touched):
            self._rewrite(staged, touched, writer)
        writer.close()
        untouched = [file for file in current if file not in touched]
        left = sum(file.rows for file in untouched) + sum(file.rows for file in staged.rewritten)
        before = sum(file.rows for file in current)
        if left != before - staged.updated:
            raise FatalError(
                Code.ACCOUNTING_FAILED,
                f"{before} rows less {staged.updated} updated ones should leave {before - staged.updated}, not {left}",
                operation="merge",
                object=staged.load.table,
                hint="nothing was published; the table's files may have been changed from outside",
            )
        return (*untouched, *staged.rewritten, *staged.files)

    def rewrite(self, staged: Staged, current: Sequence[DataFile], writer: TableWriter) -> tuple[DataFile, ...]:
        """Any other mode; the files of the table after it. Sets the counts of ``staged``."""
        columns = staged.schema
        with self._connected("merge", staged.load.table) as connection:
            there = {name for file in current for name in self._names(file, columns)}
            kept = f"(SELECT *, {_FILE} AS {rewriting.FILE} FROM {self._files(current, columns)})" if current else None
            fresh = self._files(staged.files, staged_schema(staged)) if staged.files else None
            rewriting.give(connection, staged.load, columns, kept, there, fresh)
            done = rewriting.work_out(connection, staged.load, columns.names)
            touched = [file for file in current if self._place(file, columns) in done.affected]
            stays = f"SELECT {names(columns.names)} FROM {rewriting.KEPT} AS o WHERE {rewriting.FILE} IN (SELECT"
            paths = [self._place(file, columns) for file in touched]
            connection.execute(
                "CREATE TEMP TABLE hg_touched AS SELECT unnest(?::VARCHAR[]) AS path", [paths]
            ).fetchall()
            for query in (f"{stays} path FROM hg_touched) AND NOT coalesce({done.gone}, FALSE)", done.coming()):
                self._write_all(connection, query, writer)
        writer.close()
        counts = done.counts
        staged.inserted, staged.updated, staged.deleted = counts.inserted, counts.updated, counts.deleted
        staged.unchanged = counts.unchanged
        untouched = tuple(file for file in current if file not in touched)
        left = sum(file.rows for file in (*untouched, *staged.rewritten))
        wanted = sum(file.rows for file in current) + done.growth
        if left != wanted:
            raise FatalError(
                Code.ACCOUNTING_FAILED,
                f"{wanted} rows were due after the merge, and there are {left}",
                operation="merge",
                object=staged.load.table,
                hint="nothing was published; the table's files may have been changed from outside",
            )
        return (*untouched, *staged.rewritten)

    def _write_all(self, connection: duckdb.DuckDBPyConnection, query: str, writer: TableWriter) -> None:
        reader = connection.sql(query).to_arrow_reader(BATCH_ROWS)
        try:
            for batch in Ahead(iter(reader), cancel=connection.interrupt):
                writer.write(batch)
        finally:
            reader.close()

    def _affected(self, staged: Staged, current: Sequence[DataFile]) -> dict[str, int]:
        """Path of each file that holds rows with staged keys, and how many."""
        with self._connected("merge", staged.load.table) as connection:
            found = connection.execute(
                f"SELECT t.{_FILE}, count(*) FROM {self._files(current, staged.schema)} t"
                f" SEMI JOIN {self._files(staged.files, staged_schema(staged))} s ON {self._match(staged)} GROUP BY ALL"
            ).fetchall()
        return {str(path): int(count) for path, count in found}

    def _rewrite(self, staged: Staged, touched: Sequence[DataFile], writer: TableWriter) -> None:
        held = {name for file in touched for name in self._names(file, staged.schema)}
        columns = ", ".join(f"t.{quote_name(name)}" for name in staged.schema.names if name in held)
        with self._connected("merge", staged.load.table) as connection:
            reader = connection.sql(
                f"SELECT {columns} FROM {self._files(touched, staged.schema)} t"
                f" ANTI JOIN {self._files(staged.files, staged_schema(staged))} s ON {self._match(staged)}"
            ).to_arrow_reader(BATCH_ROWS)
            try:
                for batch in reader:
                    writer.write(batch)
            finally:
                reader.close()

    def _match(self, staged: Staged) -> str:
        """Keys of the table are never NULL where they match: staged ones are not."""
        return " AND ".join(f"t.{quote_name(key)} = s.{quote_name(key)}" for key in staged.load.keys)

    def _names(self, file: DataFile, schema: pa.Schema) -> list[str]:
        import pyarrow.parquet as pq

        return list(pq.read_schema(self._place(file, schema)).names)

    def duplicates(self, table: str, schema: pa.Schema, held: Sequence[DataFile], columns: Sequence[str]) -> Repeats:
        """Rows whose ``columns``, none of them NULL, occur more than once, and all rows."""
        if not held:
            return Repeats(0, 0)
        with self._connected("audit", table) as connection:
            query = repeats(self._files(held, schema), [quote_name(name) for name in columns])
            ((repeated, rows),) = connection.execute(query).fetchall()
        return Repeats(int(repeated), int(rows))

    def preview(self, table: str, schema: pa.Schema, held: Sequence[DataFile], columns: Sequence[str]) -> Scan:
        """Columns of the rows in the files, as a stream."""
        import duckdb
        import pyarrow as pa

        if not held:
            schema = pa.schema([(name, pa.null()) for name in columns])
            return Scan(SourceSchema(schema), batches=pa.RecordBatchReader.from_batches(schema, []))
        connection = embedded.connect(self._workdir, paths=[str(self._root)])
        try:
            source = self._files(held, schema)
            there = set(connection.sql(f"SELECT * FROM {source} LIMIT 0").columns)
            names = ", ".join(quote_name(name) if name in there else f"NULL AS {quote_name(name)}" for name in columns)
            reader = connection.sql(f"SELECT {names} FROM {source}").to_arrow_reader(100_000)
        except (duckdb.Error, OSError) as error:
            connection.close()
            raise _explained(error, "audit", table) from None
        return Scan(SourceSchema(reader.schema), batches=reader, close=connection.close)

    def _files(self, held: Sequence[DataFile], schema: pa.Schema) -> str:
        return embedded.parquet_rows([self._place(file, schema) for file in held], file_column=_FILE)

    @contextmanager
    def _connected(self, operation: str, table: str) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        connection = embedded.connect(self._workdir, paths=[str(self._root)])
        try:
            yield connection
        except (duckdb.Error, OSError) as error:
            raise _explained(error, operation, table) from None
        finally:
            connection.close()


def copied(path: Path, schema: pa.Schema, columns: int, copy: Path) -> None:
    """A file of any format as Parquet, whole or not at all."""
    import pyarrow as pa

    beside, file = copy.with_suffix(".part"), None
    try:
        for batch in formats.read(path, schema, columns):
            if file is None:
                there = pa.schema([field for field in schema if field.name in batch.schema.names])
                file = parquet.create(beside, there, "lz4")
            file.write(batch)
        if file is None:
            file = parquet.create(beside, schema, "lz4")
        file.close()
        beside.rename(copy)
    finally:
        beside.unlink(missing_ok=True)


def _explained(error: Any, operation: str, table: str) -> FatalError:
    text = str(error).split("\n\nLINE", 1)[0]
    full = "no space left" in text.lower()
    return FatalError(
        Code.DISK_FULL if full else Code.LOAD_EXECUTION_FAILED,
        text,
        operation=operation,
        object=table,
        hint="free space in the run's work folder" if full else "see whether the table's files are all there",
    )
