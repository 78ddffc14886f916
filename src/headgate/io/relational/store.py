"""A database as a store: ledger, locks and transactions on sessions that the backend opens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core import ledger
from headgate.core.contracts import Scan, TableInfo
from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter
from headgate.core.ledger import Claim, LedgerRecord, PipelineState, PublishedRun, QuarantineEntry, Watermark
from headgate.core.runs import PipelineKey
from headgate.io import ledger as ledgers
from headgate.io import parked
from headgate.io.relational.staging import Backend, Session
from headgate.io.relational.transaction import RelationalTransaction

if TYPE_CHECKING:
    import pyarrow as pa


class RelationalStore:
    """One open database. Reading has no side effects; the first claim creates the ledger's tables."""

    def __init__(self, name: str, backend: Backend[Any], close: Callable[[], None] = lambda: None) -> None:
        self.name, self._finish = name, close
        self._backend = backend
        self._kept: Session | None = None
        self._transactions: list[RelationalTransaction] = []

    def test(self) -> str:
        return f"{self._backend.product}, {len(self._session('test').tables())} tables"

    def lock(self, key: PipelineKey) -> AbstractContextManager[None]:
        return self._backend.lock(key)

    # ---------------------------------------------------------------------------------------------- reading

    def state(self, key: PipelineKey) -> PipelineState:
        session = self._session("state")
        return ledgers.state(session, key) if _has_ledger(session) else PipelineState()

    def published(self, key: PipelineKey, execution_id: str) -> PublishedRun | None:
        session = self._session("recover")
        return ledgers.published(session, key, execution_id) if _has_ledger(session) else None

    def describe(self, table: str) -> TableInfo | None:
        import pyarrow as pa

        session = self._session("describe")
        place = session.find(table)
        if place is None:
            return None
        schema = pa.schema([pa.field(column.name, column.arrow) for column in session.table_columns(place)])
        return TableInfo(schema, session.keys(place))

    def tables(self) -> list[str]:
        return self._session("tables").tables()

    def reader(self, table: str, at: str | None = None) -> Scan:
        if at is not None:
            raise FatalError(
                Code.UNSUPPORTED,
                f"{self._backend.product} keeps no older versions of a table",
                operation="read",
                object=table,
                hint="read it without --at, or keep the table in the lake",
            )
        return self._backend.reader(table)

    def quarantine(self, project: str) -> list[QuarantineEntry]:
        session = self._session("quarantine")
        return ledgers.quarantine(session, project) if _has_ledger(session) else []

    def held(self, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
            path = Path(folder) / "held.parquet"
            ledgers.held_file(self._session("quarantine"), entry, path)
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches()

    # ---------------------------------------------------------------------------------------------- writing

    def claim(self, key: PipelineKey, run_id: str, execution_id: str) -> Claim:
        session = self._session("claim")
        self._create_ledger(session)
        before = ledgers.state(session, key).claimed_run
        if before:
            # whoever claimed last is dead or paused: what it has open goes, or its locks would be in our way
            self._backend.end(session, key, before, patience=5)
        session.begin()
        try:
            claimed = ledgers.claim(session, key, run_id, execution_id)
            session.commit()
        except BaseException:
            session.rollback()
            raise
        return claimed

    def begin(
        self,
        claim: Claim,
        emitter: Emitter,
        workdir: Path,  # noqa: ARG002 - rows are staged in the database
        *,
        durable: bool = False,  # noqa: ARG002 - staging always outlives the process
    ) -> RelationalTransaction:
        return self._opened(RelationalTransaction(self._backend, self.name, claim, emitter))

    def resume(
        self,
        claim: Claim,
        run_id: str,
        emitter: Emitter,
        workdir: Path,  # noqa: ARG002
    ) -> tuple[RelationalTransaction, LedgerRecord] | None:
        session = self._session("resume")
        found = parked.find(session, claim.key, run_id) if _has_ledger(session) else None
        if found is None:
            return None
        record, loads = found
        transaction = self._opened(RelationalTransaction(self._backend, self.name, claim, emitter, staged_by=run_id))
        for load, stage, rows in loads:
            transaction.restage(load, stage, rows)
        return transaction, record

    def sweep(self, claim: Claim) -> int:
        session = self._session("sweep")
        dead = parked.dead_runs(session, claim)
        return sum(parked.forget(session, run_id, drop=("table", "held"), quote=self._backend.quote) for run_id in dead)

    def resolve(self, entry_ids: Sequence[str], status: str) -> int:
        session = self._session("quarantine")
        if not _has_ledger(session):
            return 0
        return sum(session.execute(ledger.RESOLVE_QUARANTINE, (status, each)) for each in entry_ids)

    def free(self, entry_ids: Sequence[str]) -> int:
        session = self._session("quarantine")
        return ledgers.free(session, entry_ids) if _has_ledger(session) else 0

    def set_watermark(self, key: PipelineKey, watermark: Watermark | None, source: str) -> None:
        session = self._session("state")
        self._create_ledger(session)
        session.begin()
        try:
            if watermark is None:
                ledgers.forget_watermark(session, key, source)
            else:
                ledgers.set_watermark(session, key, replace(watermark, source=source))
            session.commit()
        except BaseException:
            session.rollback()
            raise

    def close(self) -> None:
        while self._transactions:
            self._transactions.pop().rollback()
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._finish()

    def _create_ledger(self, session: Session) -> None:
        if _has_ledger(session):
            return
        ledgers.create(session)
        for statement in (ledgers.data_table(self._backend.blob), *parked.TABLES):
            session.execute(statement)

    def _opened(self, transaction: RelationalTransaction) -> RelationalTransaction:
        self._transactions.append(transaction)
        return transaction

    def _session(self, operation: str) -> Session:
        """The session for short statements; one that has gone is replaced."""
        if self._kept is None or not self._kept.alive:
            self._kept = self._backend.session(operation)
        self._kept.operation = operation
        return self._kept


def _has_ledger(session: Session) -> bool:
    return session.find(parked.LAST) is not None
