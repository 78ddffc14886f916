"""A DuckDB file as a target: data, watermarks and run record change in one transaction of one file.

DuckDB gives a file to one writing process, or to several that read. Rows are staged in files of their own and the file
is opened for the merge alone, so readers are kept out for moments. Beside ``shop.duckdb`` stands a folder
``shop.duckdb.headgate`` with the locks of its pipelines, and with staging that must outlive a process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from headgate.core.contracts import EVERY, Capability, Scan, Store, TableInfo
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
from headgate.io import files, ledger, parked
from headgate.io.duckdb import Connection
from headgate.io.duckdb.files import connect
from headgate.io.duckdb.sessions import Session
from headgate.io.duckdb.transaction import DIALECT, DuckdbTransaction, short, stem
from headgate.io.locks import file_lock

if TYPE_CHECKING:
    import pyarrow as pa

Found = TypeVar("Found")

__all__ = ["Connection", "Write", "open_store"]

MODES: frozenset[Capability] = EVERY | {"preview"}


class Write(WriteOptions):
    """A table of the file, also ``schema.table``."""


def check_types(schema: pa.Schema) -> None:
    """Refuse a column that the target cannot hold exactly, before anything is read. Raises FatalError UNSUPPORTED."""
    import duckdb

    from headgate.io.duckdb.types import declare

    with duckdb.connect() as connection:
        for field in schema:
            declare(connection, field)


def open_store(name: str, connection: Connection, root: Path) -> Store:
    return DuckdbStore(name, connection, root)


class DuckdbStore:
    """One file with the ledger in it. Connections are opened for each call and closed with it."""

    def __init__(self, name: str, connection: Connection, root: Path) -> None:
        self.name = name
        self._path, self._timeout = connection.file(root), connection.timeout
        self._beside = self._path.with_name(self._path.name + ".headgate")

    def test(self) -> str:
        if not self._path.exists():
            return f"{self._path.name} will be created"
        with self._opened("test") as session:
            tables = counted(len(session.tables()), "table")
            return f"DuckDB {session.value('SELECT version()')}, {tables} in {self._path.name}"

    # ---------------------------------------------------------------------------------------------- reading

    def state(self, key: PipelineKey) -> PipelineState:
        return self._from_ledger(lambda session: ledger.state(session, key), PipelineState())

    def published(self, key: PipelineKey, execution_id: str) -> PublishedRun | None:
        return self._from_ledger(lambda session: ledger.published(session, key, execution_id), None)

    def quarantine(self, project: str) -> list[QuarantineEntry]:
        return self._from_ledger(lambda session: ledger.quarantine(session, project), [])

    def tables(self) -> list[str]:
        if not self._path.exists():
            return []
        with self._opened("tables") as session:
            return session.tables()

    def describe(self, table: str) -> TableInfo | None:
        import pyarrow as pa

        if not self._path.exists():
            return None
        with self._opened("describe") as session:
            place = session.find(table)
            if place is None:
                return None
            schema = pa.schema([pa.field(column.name, column.arrow) for column in session.table_columns(place)])
            return TableInfo(schema, session.keys(place))

    def reader(self, table: str, at: str | None = None) -> Scan:
        from headgate.io.duckdb.reading import scan_table

        if at is not None:
            raise FatalError(
                Code.UNSUPPORTED,
                "DuckDB keeps no older versions of a table",
                operation="read",
                object=table,
                hint="leave --at out, or keep the table in the lake",
            )
        return scan_table(self._path, self._timeout, table)

    def held(self, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory(prefix="headgate-held-") as folder:
            path = Path(folder) / "held.parquet"
            with self._opened("held") as session:
                ledger.held_file(session, entry, path)
            with pq.ParquetFile(path) as parquet:
                yield from parquet.iter_batches()

    # ---------------------------------------------------------------------------------------------- writing

    def lock(self, key: PipelineKey) -> AbstractContextManager[None]:
        return file_lock(self._beside / f"{short(str(key))}.lock", key)

    def claim(self, key: PipelineKey, run_id: str, execution_id: str) -> Claim:
        with self._writing("claim") as session:
            _create_ledger(session)
            return ledger.claim(session, key, run_id, execution_id)

    def begin(self, claim: Claim, emitter: Emitter, workdir: Path, *, durable: bool = False) -> DuckdbTransaction:
        folder = self._beside if durable else workdir
        with files.told("begin", folder):
            files.make_folder(folder)
        return DuckdbTransaction(self._path, self._timeout, claim, emitter, folder, store=self.name, durable=durable)

    def resume(
        self,
        claim: Claim,
        run_id: str,
        emitter: Emitter,
        workdir: Path,  # noqa: ARG002 - the contract's; staging stays where it was parked
    ) -> tuple[DuckdbTransaction, LedgerRecord] | None:
        found = self._from_ledger(lambda session: parked.find(session, claim.key, run_id), None)
        if found is None:
            return None
        record, loads = found
        transaction = DuckdbTransaction(
            self._path,
            self._timeout,
            claim,
            emitter,
            self._beside,
            store=self.name,
            durable=True,
            staged_by=run_id,
        )
        for load, _, rows in loads:
            transaction.restage(load, rows)
        return transaction, record

    def sweep(self, claim: Claim) -> int:
        """Remove staging of this pipeline's dead runs, never what is parked."""
        gone = 0
        with self._writing("sweep") as session:
            for run_id in parked.dead_runs(session, claim):
                gone += parked.forget(session, run_id, drop=("held",))
            kept = {short(run_id) for (run_id,) in session.query("SELECT run_id FROM headgate_parked")}
        kept.add(short(claim.run_id))
        mine = stem(claim, "").rpartition("-")[0]
        for path in self._beside.glob(f"{mine}-*.arrow"):
            if path.name.split("-")[2] not in kept:
                files.unlink(path)
                gone += 1
        return gone

    def resolve(self, entry_ids: Sequence[str], status: str) -> int:
        with self._writing("resolve") as session:
            return sum(session.execute(RESOLVE_QUARANTINE, (status, entry)) for entry in entry_ids)

    def free(self, entry_ids: Sequence[str]) -> int:
        with self._writing("free") as session:
            return ledger.free(session, entry_ids)

    def set_watermark(self, key: PipelineKey, watermark: Watermark | None, source: str) -> None:
        with self._writing("watermark") as session:
            _create_ledger(session)
            if watermark is None:
                ledger.forget_watermark(session, key, source)
            else:
                ledger.set_watermark(session, key, replace(watermark, source=source))

    def close(self) -> None:
        """Nothing is held open between calls."""

    # ------------------------------------------------------------------------------------------ connections

    @contextmanager
    def _opened(self, operation: str, *, write: bool = False) -> Iterator[Session]:
        session = Session(connect(self._path, self._timeout, write=write), operation, self._path.name)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def _writing(self, operation: str) -> Iterator[Session]:
        """One transaction; an error leaves nothing of it."""
        with self._opened(operation, write=True) as session:
            session.begin()
            yield session
            session.commit()

    def _from_ledger(self, read: Callable[[Session], Found], nothing: Found) -> Found:
        """What the ledger says; ``nothing`` if there is none yet."""
        if not self._path.exists():
            return nothing
        with self._opened("state") as session:
            return read(session) if session.find(parked.LAST) is not None else nothing


def _create_ledger(session: Session) -> None:
    ledger.create(session)
    for statement in (ledger.data_table(DIALECT.blob), *parked.TABLES):
        session.execute(statement)
