"""One run's transaction: rows, watermarks, quarantine and run record of one database become visible together."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load, Repeats, Scan, Writer
from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Emitter, Step
from headgate.core.ledger import Claim, LedgerRecord, QuarantineEntry
from headgate.core.runs import TableCommit
from headgate.io import ledger as ledgers
from headgate.io import parked
from headgate.io.postgres import Connection, Statements, connect
from headgate.io.postgres.catalogue import need
from headgate.io.postgres.connection import driver
from headgate.io.postgres.errors import explain
from headgate.targets.postgres import merging, previews, sessions
from headgate.targets.postgres.copying import Copying
from headgate.targets.postgres.tables import TableLoad

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

Fencing = Callable[[], AbstractContextManager[None]]
_log = logging.getLogger("headgate.postgres")


class TableWriter:
    """Takes the rows of one table. ``close`` hears what the server thinks of them."""

    def __init__(self, load: TableLoad, fencing: Fencing, finish: Callable[[], None]) -> None:
        self._load, self._fencing, self._finish = load, fencing, finish

    def write(self, batch: pa.RecordBatch) -> None:
        with self._fencing():
            self._load.write(batch)

    def close(self) -> None:
        with self._fencing():
            self._finish()

    def types(self) -> Mapping[str, str]:
        return self._load.destination.types

    def take(self, pieces: Iterator[memoryview]) -> int:
        with self._fencing():
            return self._load.take(pieces)

    def insert(self, select: str, counting: str) -> tuple[int, tuple[Any, ...]]:
        with self._fencing():
            return self._load.insert(select, counting)

    def rows(self, sql: str, relation: str) -> list[tuple[Any, ...]]:
        with self._fencing():
            return self._load.rows(sql, relation)


class PostgresTransaction:
    """A transaction on a session of its own.

    Args:
        connection: of the database.
        store: the store's name, for receipts.
        claim: the run's right to publish.
        emitter: hears of each durable step.
        durable: what is staged is committed as staging, and published in a later transaction.
        staged_by: the run that staged what is resumed; default the claim's own.
    """

    def __init__(
        self,
        connection: Connection,
        store: str,
        claim: Claim,
        emitter: Emitter,
        *,
        durable: bool,
        staged_by: str = "",
    ) -> None:
        self._connection, self._store, self._claim, self._emitter = connection, store, claim, emitter
        self._durable, self._staged_by = durable, staged_by or claim.run_id
        self._session: psycopg.Connection[Any] | None = sessions.open_session(connection, claim)
        self._statements = Statements(self._session, "publish", str(claim.key), Code.LOAD_EXECUTION_FAILED)
        self._copying = Copying(self._session)
        self._loads: list[TableLoad] = []
        self._commits: list[TableCommit] | None = None
        self._kept = False

    # -------------------------------------------------------------------------------------------- staging

    def stage(self, load: Load) -> Writer:
        self._copying.finish()
        digest = hashlib.sha256(self._claim.run_id.encode()).hexdigest()[:16]
        opened = self._load(load, f"headgate_stage_{digest}_{len(self._loads)}")
        with self._fencing():
            opened.open()
            if self._durable:
                parked.note(self._statements, self._claim, "table", opened.stage)
                self._commit_staging(load.table)
        self._loads.append(opened)
        return TableWriter(opened, self._fencing, self._flush)

    def restage(self, load: Load, stage: str) -> None:
        """Take up a table that an earlier run staged."""
        self._loads.append(self._load(load, stage))

    def hold(self, entry: QuarantineEntry, file: Path) -> None:
        self._copying.finish()
        ledgers.hold_file(self._statements, entry.id, file)
        if self._durable:
            parked.note(self._statements, self._claim, "held", entry.id)
            self._commit_staging(entry.id)

    def _load(self, load: Load, stage: str) -> TableLoad:
        statements = Statements(self._open(), "stage", load.table, Code.LOAD_EXECUTION_FAILED)
        return TableLoad(statements, self._copying, load, stage, durable=self._durable)

    def _flush(self) -> None:
        self._copying.finish()
        if self._durable:
            self._commit_staging("rows")

    def _commit_staging(self, what: str) -> None:
        with self._emitter.during(Step.STAGE, object=what), self._fencing():
            self._statements.execute("COMMIT")

    # ----------------------------------------------------------------------------------------- publishing

    def duplicates(self, table: str, columns: Sequence[str]) -> Repeats:
        self.counts()
        for load in self._loads:
            if load.load.table == table:
                return merging.duplicates(self._statements, load.result, columns)
        return merging.duplicates(self._statements, need(self._statements, table, "audit").quoted, columns)

    def preview(self, table: str, columns: Sequence[str]) -> Scan:
        self.counts()
        load = next(load for load in self._loads if load.load.table == table)
        return previews.preview(self._statements, load.result, columns)

    def counts(self) -> list[TableCommit]:
        if self._commits is None:
            self._copying.finish()
            commits = []
            for load in self._loads:
                with self._emitter.during(Step.MERGE, table=load.load.table), self._fencing():
                    done = load.merge()
                version = str(self._statements.value("SELECT pg_current_xact_id()::text"))
                commits.append(TableCommit(load.load.table, version, self._store, *astuple(done)))
            self._commits = commits
        return list(self._commits)

    def publish(self, record: LedgerRecord) -> list[TableCommit]:
        try:
            commits = self.counts()
            for load in self._loads:
                load.replace()
            with self._emitter.during(Step.LEDGER):
                ledgers.record(self._statements, record)
                if self._durable:
                    parked.forget(self._statements, self._staged_by, drop=("table",))
        except RetriableError as error:
            raise self._fenced_or(error, record.claim) from None
        with self._emitter.during(Step.COMMIT):
            self._commit(record.claim)
        self._close()
        return commits

    def _commit(self, claim: Claim) -> None:
        """COMMIT, and certainty about it."""
        library = driver()
        try:
            with self._open().cursor() as cursor:
                cursor.execute("COMMIT")
                answer = cursor.statusmessage
        except library.Error as error:
            if error.sqlstate and error.sqlstate[:2] not in {"08", "57"}:
                raise explain(error, "publish", str(claim.key), Code.LOAD_EXECUTION_FAILED) from None
            self._close()
            if sessions.was_published(self._connection, claim):
                return
            raise RetriableError(
                Code.CONNECTION_FAILED,
                "the connection broke at the commit, and the server says that it did not happen",
                operation="publish",
                object=str(claim.key),
                hint="nothing was published; run again",
            ) from None
        if answer != "COMMIT":
            raise FatalError(
                Code.LOAD_EXECUTION_FAILED,
                f"the server answered {answer} to COMMIT: nothing was published",
                operation="publish",
                object=str(claim.key),
            )

    def _fenced_or(self, error: RetriableError, claim: Claim) -> HeadgateError:
        """A session that was ended because a newer run claimed the pipeline is fenced; trying again is no use."""
        if error.code is not Code.CONNECTION_FAILED:
            return error
        try:
            session = connect(self._connection)
        except HeadgateError:
            return error
        try:
            epoch = ledgers.state(Statements(session), claim.key).epoch
            return ledgers.fenced(claim) if epoch > claim.epoch else error
        finally:
            session.close()

    @contextmanager
    def _fencing(self) -> Iterator[None]:
        """Tell a session that was ended by a newer run from one that broke."""
        try:
            yield
        except RetriableError as error:
            raise self._fenced_or(error, self._claim) from None

    # -------------------------------------------------------------------------------------------- keeping

    def park(self, record: LedgerRecord) -> None:
        if not self._durable:
            raise FatalError(
                Code.UNSUPPORTED,
                "what was staged in an open transaction cannot outlive it",
                operation="park",
                object=str(record.claim.key),
                hint="open the transaction with durable staging",
            )
        self._copying.finish()
        self._statements.execute("ROLLBACK")  # of a merge that counted; what is staged is committed
        loads = [(load.load, load.stage, load.copied) for load in self._loads]
        parked.park(self._statements, record, loads)
        self._commit_staging("parked")
        self._kept = True
        self._close()

    def rollback(self) -> None:
        if self._session is None:
            return
        self._close()
        if self._durable and not self._kept:
            self._remove_staging()

    def _remove_staging(self) -> None:
        try:
            session = connect(self._connection)
            try:
                statements = Statements(session, "rollback", str(self._claim.key))
                with statements.transaction():
                    parked.forget(statements, self._staged_by, drop=("table", "held"))
            finally:
                session.close()
        except HeadgateError as error:
            _log.warning("what run %s staged stays until the next run sweeps it: %s", self._staged_by, error)

    def _open(self) -> psycopg.Connection[Any]:
        if self._session is None:
            raise FatalError(Code.INTERNAL, "the transaction has ended", operation="publish")
        return self._session

    def _close(self) -> None:
        """End the session; the server rolls back what was not committed."""
        if self._session is not None:
            session, self._session = self._session, None
            end_session(session)


def end_session(session: psycopg.Connection[Any]) -> None:
    """Close a session; a statement that runs in it is cancelled first, so that its locks go at once."""
    library = driver()
    if not session.closed and session.info.transaction_status == library.pq.TransactionStatus.ACTIVE:
        try:
            session.cancel_safe(timeout=5)
        except library.Error as error:
            _log.debug("the running statement could not be cancelled: %s", error)
    session.close()
