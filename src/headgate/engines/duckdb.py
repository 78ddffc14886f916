"""The embedded engine: DuckDB in memory, spilling into the run's folder, able to reach only what it was given."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import FileScan, Scan
from headgate.core.engines import BindingError, EngineSession, Rejected, TypeBinder
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.values import column_values
from headgate.engines import duckdb_errors, duckdb_files, duckdb_types
from headgate.io.embedded import MEMORY, connect
from headgate.io.hearing import heard
from headgate.io.json_lines import numbered_lines
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_REJECTS = "headgate_rejected"
_MALFORMED = "headgate_malformed"


class DuckdbEngine:
    """Opens sessions and binders."""

    name = "duckdb"

    def binder(self) -> TypeBinder:
        return duckdb_types.DuckdbBinder()

    def session(
        self, workdir: Path, *, memory: int | None = None, threads: int | None = None, paths: Sequence[str] = ()
    ) -> EngineSession:
        """``memory`` in bytes (default 512 MB), ``threads`` default the number of CPUs."""
        return DuckdbSession(workdir, memory or MEMORY, threads, paths)


class DuckdbSession:
    """One run's computing. Each stream has a cursor of its own; all share one memory limit."""

    def __init__(self, workdir: Path, memory: int, threads: int | None, paths: Sequence[str]) -> None:
        self.discreet = False
        self._connection = connect(workdir, memory, threads, paths)
        self._readers: dict[str, pa.RecordBatchReader] = {}
        self._files: list[FileScan] = []
        self._made: dict[str, str] = {}
        """Whether a name is a VIEW or a TABLE."""
        self._cancels: list[Callable[[], None]] = []
        self._open: dict[duckdb.DuckDBPyConnection, pa.RecordBatchReader | None] = {}
        self._guard = threading.RLock()
        self._interrupted = threading.Event()
        self._numbered: set[str] = set()
        self._closed = False
        self._broken: HeadgateError | None = None
        self._connection.execute(f"CREATE SEQUENCE {_MALFORMED} START 1")
        self._connection.execute(f"CREATE TABLE {_REJECTS} (path VARCHAR, line BIGINT, text VARCHAR, reason VARCHAR)")

    # ------------------------------------------------------------------------------------------- relations

    def register(self, name: str, scan: Scan) -> None:
        with self._failing("register", name):
            self._forget(name)
            if scan.files is not None:
                select = self._select(scan.files, scan.schema.raw)
                self._make(self._connection, "VIEW", name, select)
            elif scan.batches is not None:
                self._readers[name] = self._stoppable(scan)

    def define(self, name: str, sql: str) -> None:
        with self._failing("define", name):
            self._forget(name)
            self._make(self._connection, "VIEW", name, sql)

    def materialise(self, name: str, scan: Scan) -> None:
        with self._failing("materialise", name), self._cursor() as cursor:
            self._forget(name)
            if scan.files is not None:
                select = self._select(scan.files, scan.schema.raw)
                heard(lambda: self._make(cursor, "TABLE", name, select), self.interrupt)
                self._keep_rejects(cursor)
            elif scan.batches is not None:
                cursor.register("headgate_incoming", self._stoppable(scan))
                heard(lambda: self._make(cursor, "TABLE", name, "SELECT * FROM headgate_incoming"), self.interrupt)
                cursor.unregister("headgate_incoming")

    def _stoppable(self, scan: Scan) -> pa.RecordBatchReader:
        """The same stream, ended by an error once the session was interrupted: DuckDB would read on and on."""
        import pyarrow as pa

        assert scan.batches is not None
        reader = scan.batches
        self._cancels.append(scan.cancel)

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                for batch in reader:
                    if self._interrupted.is_set():
                        raise FatalError(Code.INTERRUPTED, "the run was interrupted", operation="transform")
                    yield batch
            except HeadgateError as error:
                self._broken = error
                raise

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    @contextlib.contextmanager
    def _failing(self, operation: str, object_: str = "") -> Iterator[None]:
        """DuckDB's own errors as ours; of one in a stream that it reads it has only the text, so that one was kept."""
        import duckdb

        try:
            yield
        except (HeadgateError, BindingError):
            raise
        except (duckdb.Error, OSError) as error:  # in mid-stream they arrive as OSError
            broken = self._broken or duckdb_errors.failed(error, operation, object_, discreet=self.discreet)
            raise broken from None

    def _select(self, scan: FileScan, schema: pa.Schema) -> str:
        self._files.append(scan)
        return duckdb_files.select(scan, duckdb_types.arrow_columns(self._connection, schema), _MALFORMED)

    def _forget(self, name: str) -> None:
        self._readers.pop(name, None)
        if name in self._made:
            self._connection.execute(f"DROP {self._made.pop(name)} {quote_name(name)}")

    def _make(self, connection: duckdb.DuckDBPyConnection, kind: str, name: str, select: str) -> None:
        connection.execute(f"CREATE {kind} {quote_name(name)} AS {select}")
        self._made[name] = kind

    # ------------------------------------------------------------------------------------------- statements

    def stream(self, sql: str, batch_rows: int) -> pa.RecordBatchReader:
        import pyarrow as pa

        cursor = self._new_cursor()
        try:
            with self._failing("transform"):
                relation = duckdb_types.deliverable(cursor, sql)
                reader = heard(lambda: relation.to_arrow_reader(batch_rows), self.interrupt)
        except BaseException:
            self._release(cursor)
            raise
        with self._guard:
            self._open[cursor] = reader
        schema = reader.schema.remove_metadata()
        return pa.RecordBatchReader.from_batches(schema, self._batches(cursor, reader, schema))

    def _batches(
        self, cursor: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        try:
            with self._failing("transform"):
                while True:
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        break
                    yield batch.replace_schema_metadata(schema.metadata)
                reader.close()
                self._keep_rejects(cursor)
        finally:
            self._release(cursor)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._failing("transform"):
            reader = self.stream(sql, 10_000)
            table = heard(reader.read_all, self.interrupt)
            return list(zip(*(column_values(column) for column in table.columns), strict=True))

    # ------------------------------------------------------------------------------------------- rejected lines

    def rejected(self) -> Iterable[Rejected]:
        with self._failing("rejected lines"), self._cursor() as cursor:
            self._keep_malformed()
            result = cursor.execute(
                f"SELECT path, line, any_value(text), string_agg(DISTINCT reason, '; ' ORDER BY reason)"
                f" FROM {_REJECTS} GROUP BY path, line ORDER BY path, line"
            )
            while found := result.fetchmany(1000):
                for path, line, text, reason in found:
                    yield Rejected(path, line, text or "", duckdb_errors.rejected(reason))

    def _keep_rejects(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Reject tables belong to the cursor that scanned: keep what they hold."""
        if not cursor.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchall():
            return
        joined = "FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) WHERE s.columns"
        pattern = f"LIKE '%{duckdb_files.LINE}%'"
        cursor.execute(
            f"INSERT INTO {_REJECTS} SELECT DISTINCT s.file_path, e.line, e.csv_line, e.error_message"
            f" {joined} NOT {pattern}"
        )
        if cursor.execute(f"SELECT 1 {joined} {pattern} LIMIT 1").fetchall():
            cursor.execute(f"SELECT nextval('{_MALFORMED}')")

    def _keep_malformed(self) -> None:
        """Lines of JSON that were skipped are found again, with their numbers, only if there were any."""
        options = {path: scan.options for scan in self._files if scan.format == "json" for path in scan.paths}
        paths = options.keys() - self._numbered
        skipped = self._connection.execute(
            "SELECT last_value FROM duckdb_sequences() WHERE sequence_name = ?", [_MALFORMED]
        ).fetchall()
        if not paths or not skipped or skipped[0][0] is None:
            return
        import pyarrow as pa

        names = ("n", duckdb_files.LINE, "reason")
        types: dict[str, pa.DataType] = {"n": pa.int64(), names[1]: pa.string(), names[2]: pa.string()}
        schema = pa.schema(types)
        with self._cursor() as cursor:
            for path in sorted(paths):
                for lines in numbered_lines(path):
                    table = pa.Table.from_pylist([dict(zip(names, line, strict=True)) for line in lines], schema)
                    cursor.register("headgate_lines", table)
                    good, why = duckdb_files.well_formed(options[path]), duckdb_files.why_not(options[path])
                    cursor.execute(
                        f"INSERT INTO {_REJECTS} SELECT ?, n, {duckdb_files.LINE}, if(reason = '', {why}, reason)"
                        f" FROM headgate_lines WHERE reason <> '' OR NOT {good}",
                        [path],
                    )
                    cursor.unregister("headgate_lines")
                self._numbered.add(path)

    # ------------------------------------------------------------------------------------------- the end

    def interrupt(self) -> None:
        self._interrupted.set()
        for cancel in self._cancels:
            cancel()
        with self._guard:
            for cursor in list(self._open):
                cursor.interrupt()

    def close(self) -> None:
        with self._guard:
            if self._closed:
                return
            self._closed = True
            self.interrupt()
            cursors = list(self._open)
        # without the guard: a reader waits for its thread, which may yet release a stream that it reads
        for cursor in reversed(cursors):
            self._release(cursor)
        self._connection.close()

    def _new_cursor(self) -> duckdb.DuckDBPyConnection:
        with self._guard:
            if self._closed:
                raise FatalError(Code.INTERRUPTED, "the session is closed", operation="transform")
            cursor = self._connection.cursor()
            self._open[cursor] = None
        for name, reader in self._readers.items():
            cursor.register(name, reader)
        return cursor

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._new_cursor()
        try:
            yield cursor
        finally:
            self._release(cursor)

    def _release(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Readers are closed before their connection, by whoever comes first."""
        import duckdb

        with self._guard:
            if cursor not in self._open:
                return
            reader = self._open.pop(cursor)
        with contextlib.suppress(duckdb.Error, OSError):
            if reader is not None:
                reader.close()
            cursor.close()


def open_engine() -> DuckdbEngine:
    """The engine of this module."""
    return DuckdbEngine()
