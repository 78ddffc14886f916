"""The store: ledger, locks and transactions of one PostgreSQL database."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core import ledger
from headgate.core.contracts import Scan, TableInfo
from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter
from headgate.core.ledger import Claim, LedgerRecord, PipelineState, PublishedRun, QuarantineEntry, Watermark
from headgate.core.runs import PipelineKey
from headgate.core.sites import Site
from headgate.io import ledger as ledgers
from headgate.io import parked
from headgate.io.postgres import Connection, Statements, catalogue, connect
from headgate.io.postgres.connection import place
from headgate.io.postgres.outlet import site_of
from headgate.sql.literals import quote_name
from headgate.targets.postgres import sessions
from headgate.targets.postgres.transaction import PostgresTransaction

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

_CREATING = sessions.pipeline_lock(PipelineKey("", "the ledger itself"))
GRACE = 1.0
"""Seconds that a lock is asked for again: a server needs a moment to see that a killed client is gone."""


class PostgresStore:
    """One open database. Reading has no side effects; the first claim creates the ledger's tables."""

    def __init__(self, name: str, connection: Connection) -> None:
        self.name = name
        self._connection = connection
        self._session: psycopg.Connection[Any] | None = None
        self._transactions: list[PostgresTransaction] = []
        self._selects: dict[tuple[str, tuple[str, ...], str], str] = {}

    def test(self) -> str:
        version = self._statements("test").value("SELECT current_setting('server_version')")
        return f"PostgreSQL {version} at {place(self._connection)}"

    @contextmanager
    def lock(self, key: PipelineKey) -> Iterator[None]:
        number = sessions.pipeline_lock(key)
        session = connect(self._connection)
        try:
            statements = Statements(session, "lock", str(key))
            until = time.monotonic() + GRACE
            while not statements.value("SELECT pg_try_advisory_lock(?)", (number,)):
                if time.monotonic() > until:
                    raise self._locked(statements, key, number)
                time.sleep(0.02)
            yield
        finally:
            session.close()

    def _locked(self, statements: Statements, key: PipelineKey, number: int) -> FatalError:
        pids = sessions.holders(statements, number)
        return FatalError(
            Code.LOCKED,
            f"another run holds the pipeline (server process {', '.join(map(str, pids)) or 'unknown'})",
            operation="lock",
            object=str(key),
            hint="wait for it to end; a dead run lets go by itself",
        )

    def site(self) -> Site:
        return site_of(self._connection, [])

    # -------------------------------------------------------------------------------------------- reading

    def state(self, key: PipelineKey) -> PipelineState:
        statements = self._statements("state")
        return ledgers.state(statements, key) if self._has_ledger(statements) else PipelineState()

    def published(self, key: PipelineKey, execution_id: str) -> PublishedRun | None:
        statements = self._statements("recover")
        return ledgers.published(statements, key, execution_id) if self._has_ledger(statements) else None

    def describe(self, table: str) -> TableInfo | None:
        import pyarrow as pa

        from headgate.io.postgres.types import described

        statements = self._statements("describe")
        relation = catalogue.find(statements, table)
        if relation is None:
            return None
        columns = catalogue.columns(statements, f"SELECT * FROM {relation.quoted}")
        schema = pa.schema([pa.field(column.name, described(column)) for column in columns])
        return TableInfo(schema, catalogue.primary_key(statements, relation))

    def foresee(self, table: str, *, create: bool) -> None:
        from headgate.targets.postgres import tables

        statements = self._statements("plan", table)
        if tables.find(statements, table, create=create) is None:
            tables.place_of_new(statements, table)

    def values(
        self, table: str, keys: Sequence[str], wanted: Sequence[tuple[str, ...]], column: str
    ) -> Mapping[tuple[str, ...], str | None]:
        statements = self._statements("read", table)
        asked = (table, tuple(keys), column)
        if asked not in self._selects:
            self._selects[asked] = _keyed_select(statements, *asked)
        select = self._selects[asked]
        found = ((key, statements.query(select, key)) for key in wanted) if select else ()
        return {key: rows[0][0] for key, rows in found if len(rows) == 1}

    def tables(self) -> list[str]:
        return catalogue.tables(self._statements("tables"))

    def reader(self, table: str, at: str | None = None) -> Scan:
        from headgate.io.postgres.reading import scan_table

        if at is not None:
            raise FatalError(
                Code.UNSUPPORTED,
                "PostgreSQL keeps no older versions of a table",
                operation="read",
                object=table,
                hint="read it without --at, or keep the table in the lake",
            )
        return scan_table(self._connection, self._statements("read"), table)

    def quarantine(self, project: str) -> list[QuarantineEntry]:
        statements = self._statements("quarantine")
        return ledgers.quarantine(statements, project) if self._has_ledger(statements) else []

    def held(self, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
            path = Path(folder) / "held.parquet"
            ledgers.held_file(self._statements("quarantine", entry.id), entry, path)
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches()

    # -------------------------------------------------------------------------------------------- writing

    def claim(self, key: PipelineKey, run_id: str, execution_id: str) -> Claim:
        statements = self._statements("claim", str(key))
        self._create_ledger(statements)
        before = ledgers.state(statements, key).claimed_run
        if before:
            # whoever claimed last is dead or paused: what it has open goes, or its locks would be in our way
            sessions.end(statements, sessions.run_lock(key, before), patience=5)
        with statements.transaction():
            return ledgers.claim(statements, key, run_id, execution_id)

    def begin(self, claim: Claim, emitter: Emitter, workdir: Path, *, durable: bool = False) -> PostgresTransaction:  # noqa: ARG002
        return self._opened(PostgresTransaction(self._connection, self.name, claim, emitter, durable=durable))

    def resume(
        self,
        claim: Claim,
        run_id: str,
        emitter: Emitter,
        workdir: Path,  # noqa: ARG002
    ) -> tuple[PostgresTransaction, LedgerRecord] | None:
        statements = self._statements("resume")
        found = parked.find(statements, claim.key, run_id) if self._has_ledger(statements) else None
        if found is None:
            return None
        record, loads = found
        transaction = self._opened(
            PostgresTransaction(self._connection, self.name, claim, emitter, durable=True, staged_by=run_id)
        )
        for load, stage, _ in loads:
            transaction.restage(load, stage)
        return transaction, record

    def sweep(self, claim: Claim) -> int:
        statements = self._statements("sweep", str(claim.key))
        gone = 0
        for run_id in parked.dead_runs(statements, claim):
            with statements.transaction():
                gone += parked.forget(statements, run_id, drop=("table", "held"))
        return gone

    def resolve(self, entry_ids: Sequence[str], status: str) -> int:
        statements = self._statements("quarantine")
        if not self._has_ledger(statements):
            return 0
        with statements.transaction():
            return sum(statements.execute(ledger.RESOLVE_QUARANTINE, (status, each)) for each in entry_ids)

    def free(self, entry_ids: Sequence[str]) -> int:
        statements = self._statements("quarantine")
        return ledgers.free(statements, entry_ids) if self._has_ledger(statements) else 0

    def set_watermark(self, key: PipelineKey, watermark: Watermark | None, source: str) -> None:
        statements = self._statements("state", str(key))
        self._create_ledger(statements)
        with statements.transaction():
            if watermark is None:
                ledgers.forget_watermark(statements, key, source)
            else:
                ledgers.set_watermark(statements, key, replace(watermark, source=source))

    def close(self) -> None:
        while self._transactions:
            self._transactions.pop().rollback()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _opened(self, transaction: PostgresTransaction) -> PostgresTransaction:
        self._transactions.append(transaction)
        return transaction

    def _statements(self, operation: str, object: str = "") -> Statements:  # noqa: A002 - as errors call it
        if self._session is None or self._session.closed:
            self._session = connect(self._connection)
        return Statements(self._session, operation, object or place(self._connection))

    def _has_ledger(self, statements: Statements) -> bool:
        return bool(statements.value("SELECT to_regclass(?) IS NOT NULL", (parked.LAST,)))

    def _create_ledger(self, statements: Statements) -> None:
        if self._has_ledger(statements):
            return
        with statements.transaction():
            # two first runs at once: CREATE TABLE IF NOT EXISTS does not wait for the other's, it fails
            statements.query("SELECT pg_advisory_xact_lock(?)", (_CREATING,))
            ledgers.create(statements)
            for statement in (ledgers.data_table("BYTEA"), *parked.TABLES):
                statements.execute(statement)


def _keyed_select(statements: Statements, table: str, keys: tuple[str, ...], column: str) -> str:
    """A SELECT of one value by its key, which an index serves; empty when table or columns are not there."""
    relation = catalogue.find(statements, table)
    types = dict(
        statements.query(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_catalog.pg_attribute"
            " WHERE attrelid = ? AND attnum > 0 AND NOT attisdropped",
            (relation.oid if relation else 0,),
        )
    )
    if relation is None or not {*keys, column} <= types.keys():
        return ""
    match = " AND ".join(f"{quote_name(key)} = ?::{types[key]}" for key in keys)
    return f"SELECT {quote_name(column)}::text FROM {relation.quoted} WHERE {match}"
