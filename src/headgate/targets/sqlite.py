"""SQLite as a target: data, watermarks and run record change in one transaction of one database file.

Rows are staged in a file of their own, so that a long load holds no lock; the database is in WAL mode, so that
readers see the state before until the commit, and never wait. Beside ``shop.db`` stands a folder ``shop.db.headgate``
with the locks of its pipelines, and with staging that must outlive a process.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from headgate.core.contracts import EVERY, Capability, Scan, SourceSchema, Store, TableInfo, Transaction
from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter
from headgate.core.ledger import (
    RESOLVE_QUARANTINE,
    Claim,
    LedgerRecord,
    PipelineState,
    PublishedRun,
    QuarantineEntry,
    Watermark,
)
from headgate.core.models import WriteOptions
from headgate.core.runs import PipelineKey
from headgate.core.values import counted
from headgate.io import files, ledger, sqlite
from headgate.io.locks import file_lock
from headgate.io.sqlite import Connection, SqliteStatements, told
from headgate.io.sqlite_transaction import SqliteTransaction

if TYPE_CHECKING:
    import pyarrow as pa

Found = TypeVar("Found")

__all__ = ["Connection", "Write", "open_store"]

MODES: frozenset[Capability] = EVERY | {"rescue", "preview"}


class Write(WriteOptions):
    """A table of a SQLite database."""


def check_types(schema: pa.Schema) -> None:
    """Refuse a column that the target cannot hold exactly, before anything is read. Raises FatalError UNSUPPORTED."""
    from headgate.io.sqlite_types import declare

    for field in schema:
        declare(field)


def open_store(name: str, connection: Connection, root: Path) -> Store:
    return SqliteStore(name, connection, root)


class SqliteStore:
    """One database file with the ledger in it. Connections are opened for each call and closed with it."""

    def __init__(self, name: str, connection: Connection, root: Path) -> None:
        self.name = name
        self._path, self._timeout = connection.file(root), connection.timeout
        self._beside = self._path.with_name(self._path.name + ".headgate")

    # ---------------------------------------------------------------------------------------------- reading

    def test(self) -> str:
        files.refuse_unwritable(self._path.parent, "connect")
        if not self._path.exists():
            return f"{self._path.name} will be created"
        with self._reading("test") as connection:
            (version,) = connection.execute("SELECT sqlite_version()").fetchone()
            return f"SQLite {version}, {counted(len(sqlite.tables(connection)), 'table')} in {self._path.name}"

    def state(self, key: PipelineKey) -> PipelineState:
        return self._from_ledger(lambda statements: ledger.state(statements, key), PipelineState())

    def published(self, key: PipelineKey, execution_id: str) -> PublishedRun | None:
        return self._from_ledger(lambda statements: ledger.published(statements, key, execution_id), None)

    def quarantine(self, project: str) -> list[QuarantineEntry]:
        return self._from_ledger(lambda statements: ledger.quarantine(statements, project), [])

    def tables(self) -> list[str]:
        if not self._path.exists():
            return []
        with self._reading("tables") as connection:
            return sqlite.tables(connection)

    def describe(self, table: str) -> TableInfo | None:
        if not self._path.exists():
            return None
        with self._reading("describe") as connection:
            columns = sqlite.columns(connection, table)
        if not columns:
            return None
        import pyarrow as pa

        from headgate.io.sqlite_types import arrow_type

        keys = sorted((column for column in columns if column.key), key=lambda column: column.key)
        schema = pa.schema([pa.field(column.name, arrow_type(column.type)) for column in columns])
        return TableInfo(schema, tuple(column.name for column in keys))

    def reader(self, table: str, at: str | None = None) -> Scan:
        from headgate.io import sqlite_rows
        from headgate.sql.literals import quote_name

        if at is not None:
            raise FatalError(
                Code.UNSUPPORTED,
                "SQLite keeps no older versions of a table",
                operation="read",
                object=table,
                hint="leave --at out, or keep the table in the lake",
            )
        connection = sqlite.connect(self._path, self._timeout)
        try:
            with told("read", table):
                connection.execute("BEGIN")
                known = sqlite.known_columns(connection, table, "read")
                columns = sqlite_rows.read_columns(connection, known, quote_name(table), quote_name)
        except BaseException:
            connection.close()
            raise
        names = ", ".join(quote_name(column.name) for column in columns)
        rows = connection.cursor()
        batches = sqlite_rows.read(rows, f"SELECT {names} FROM {quote_name(table)}", {}, columns, 100_000, table)
        schema = SourceSchema(sqlite_rows.arrow_schema(columns), sqlite_rows.casts(columns))

        def close() -> None:
            with suppress(sqlite3.ProgrammingError):  # closed before
                rows.close()
            connection.close()

        return Scan(schema, batches, close=close)

    def held(self, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory(prefix="headgate-held-") as folder:
            path = Path(folder) / "held.parquet"
            with self._reading("held") as connection:
                ledger.held_file(SqliteStatements(connection), entry, path)
            with pq.ParquetFile(path) as parquet:
                yield from parquet.iter_batches()

    # ---------------------------------------------------------------------------------------------- writing

    def lock(self, key: PipelineKey) -> AbstractContextManager[None]:
        return file_lock(self._beside / f"{_short(str(key))}.lock", key)

    def claim(self, key: PipelineKey, run_id: str, execution_id: str) -> Claim:
        with self._writing("claim") as statements:
            ledger.create(statements)
            statements.execute(ledger.data_table("BLOB"))
            return ledger.claim(statements, key, run_id, execution_id)

    def begin(self, claim: Claim, emitter: Emitter, workdir: Path, *, durable: bool = False) -> Transaction:
        folder = self._beside if durable else workdir
        with files.told("begin", folder):
            files.make_folder(folder)
        path = folder / f"stage-{_short(str(claim.key))}-{_short(claim.run_id)}.db"
        return SqliteTransaction(self._path, self._timeout, claim, emitter, path, durable=durable)

    def resume(
        self,
        claim: Claim,
        run_id: str,
        emitter: Emitter,
        workdir: Path,  # noqa: ARG002 - the contract's; staging stays where it was parked
    ) -> tuple[Transaction, LedgerRecord] | None:
        path = self._beside / f"parked-{_short(str(claim.key))}-{_short(run_id)}.db"
        if not path.exists():
            return None
        transaction = SqliteTransaction(self._path, self._timeout, claim, emitter, path, durable=True, new=False)
        return transaction, transaction.parked()

    def sweep(self, claim: Claim) -> int:
        """Remove staging of this pipeline's dead runs; parked work goes only once it has been published."""
        if not self._beside.is_dir():
            return 0
        mine, key = _short(claim.run_id), _short(str(claim.key))
        dead = [path for path in self._beside.glob(f"stage-{key}-*.db") if not path.stem.endswith(mine)]
        for path in self._beside.glob(f"parked-{key}-*.db"):
            transaction = SqliteTransaction(self._path, self._timeout, claim, Emitter(), path, durable=True, new=False)
            execution = transaction.parked().claim.execution_id
            transaction.close()
            if self.published(claim.key, execution) is not None:
                dead.append(path)
        for path in dead:
            for part in (path, path.with_name(path.name + "-journal")):
                files.unlink(part)
        return len(dead)

    def resolve(self, entry_ids: Sequence[str], status: str) -> int:
        with self._writing("resolve") as statements:
            return sum(statements.execute(RESOLVE_QUARANTINE, (status, entry)) for entry in entry_ids)

    def free(self, entry_ids: Sequence[str]) -> int:
        with self._writing("free") as statements:
            return ledger.free(statements, entry_ids)

    def set_watermark(self, key: PipelineKey, watermark: Watermark | None, source: str) -> None:
        with self._writing("watermark") as statements:
            ledger.create(statements)
            if watermark is None:
                ledger.forget_watermark(statements, key, source)
            else:
                ledger.set_watermark(statements, key, watermark)

    def close(self) -> None:
        """Nothing is held open between calls."""

    # ------------------------------------------------------------------------------------------ connections

    @contextmanager
    def _reading(self, operation: str) -> Iterator[sqlite3.Connection]:
        connection = sqlite.connect(self._path, self._timeout)
        try:
            with told(operation, self._path):
                yield connection
        finally:
            connection.close()

    @contextmanager
    def _writing(self, operation: str) -> Iterator[SqliteStatements]:
        with files.told(operation, self._path):
            files.make_folder(self._path.parent)
        connection = sqlite.connect(self._path, self._timeout, write=True)
        try:
            with told(operation, self._path):
                connection.execute("PRAGMA journal_mode = WAL")
                with sqlite.immediate(connection) as statements:
                    yield statements
        finally:
            connection.close()

    def _from_ledger(self, read: Callable[[SqliteStatements], Found], nothing: Found) -> Found:
        """What the ledger says; ``nothing`` if there is none yet."""
        if not self._path.exists():
            return nothing
        with self._reading("state") as connection:
            if not sqlite.columns(connection, "headgate_pipelines"):
                return nothing
            return read(SqliteStatements(connection))


def _short(name: str) -> str:
    """A name for files: any text, always the same 16 digits."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
