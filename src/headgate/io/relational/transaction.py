"""What one run does to one database: rows are staged in tables that nobody reads, then merged and published at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load, Repeats, Scan, Writer
from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Emitter, Step
from headgate.core.ledger import Claim, LedgerRecord, QuarantineEntry
from headgate.core.runs import TableCommit
from headgate.io import ledger, parked
from headgate.io.relational import merging, previews, trials
from headgate.io.relational.outcome import was_published
from headgate.io.relational.rescuing import make_letters
from headgate.io.relational.staging import Backend, Session, StagedTable, check, check_keys, create, shape, spelled

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger("headgate.relational")


class StageWriter:
    """Takes the rows of one table; each batch is durable when it is written."""

    def __init__(self, backend: Backend[Any], session: Session, staged: StagedTable) -> None:
        self._backend, self._session, self._staged = backend, session, staged

    def write(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            named = batch.rename_columns(self._staged.load.schema.names)
            self._backend.insert(self._session, self._staged.stage, named)
            self._staged.rows += batch.num_rows

    def close(self) -> None:
        if self._staged.load.mode == "upsert":
            check_keys(self._backend, self._session, self._staged)


class RelationalTransaction:
    """Stages in autocommit mode; :meth:`publish` merges in one transaction with the ledger.

    Args:
        backend: the database.
        store: the store's name, for receipts.
        claim: the run's right to publish.
        emitter: hears of each durable step.
        staged_by: the run that staged what is resumed; default the claim's own.
    """

    def __init__(self, backend: Backend[Any], store: str, claim: Claim, emitter: Emitter, staged_by: str = "") -> None:
        self._backend, self._store, self._claim, self._emitter = backend, store, claim, emitter
        self._staged_by = staged_by or claim.run_id
        self._opened: Session | None = backend.session("stage")
        self._tables: list[StagedTable] = []
        self._merged: list[TableCommit] | None = None
        """What the open transaction has done to the tables; None: none is open."""
        self._held: list[tuple[QuarantineEntry, Path]] = []
        self._kept = False
        try:
            backend.guard(self._opened, claim)
        except BaseException:
            self._close()
            raise

    @property
    def _session(self) -> Session:
        if self._opened is None:
            raise FatalError(Code.INTERNAL, "the transaction has ended", operation="publish")
        return self._opened

    # ---------------------------------------------------------------------------------------------- staging

    def stage(self, load: Load) -> Writer:
        self._take_back()
        session = self._session
        session.operation = "stage"
        load = spelled(session, load)
        check(self._backend, session, load)
        digest = hashlib.sha256(self._claim.run_id.encode()).hexdigest()[:16]
        place = self._backend.new_place(session, f"headgate_stage_{digest}_{len(self._tables)}")
        staged = StagedTable(load, place)
        with self._emitter.during(Step.STAGE, object=load.table):
            parked.note(session, self._claim, "table", place[1])
            create(self._backend, session, load, place, staging=True)
        self._tables.append(staged)
        return StageWriter(self._backend, session, staged)

    def restage(self, load: Load, stage: str, rows: int) -> None:
        """Take up a table that an earlier run staged."""
        self._take_back()
        self._tables.append(StagedTable(load, self._backend.new_place(self._session, stage), rows))

    def hold(self, entry: QuarantineEntry, file: Path) -> None:
        session = self._session
        with self._emitter.during(Step.STAGE, object=entry.id):
            if self._merged is not None:  # another transaction would end the one that has merged
                ledger.hold_file(session, entry.id, file)
                self._held.append((entry, file))
                return
            session.begin()
            try:
                parked.note(session, self._claim, "held", entry.id)
                ledger.hold_file(session, entry.id, file)
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def duplicates(self, table: str, columns: Sequence[str]) -> Repeats:
        staged = next(staged for staged in self._tables if staged.load.table == table)
        if self._merge_if_in_place() is not None:
            there = self._session.need(table, "audit")
            return merging.repeated(self._backend, self._session, staged, there, columns)
        if not trials.needed(staged.load):
            return merging.duplicates(self._backend, self._session, staged, columns)
        with trials.trial(self._backend, self._session, staged, self._claim, self._store) as (place, _):
            return merging.repeated(self._backend, self._session, staged, place, columns)

    def preview(self, table: str, columns: Sequence[str]) -> Scan:
        import pyarrow as pa

        merged = self._merge_if_in_place()
        session = self._session
        with ExitStack() as until:
            shown = self._shown(table, until) if merged is None else [previews.Part(session.need(table, "audit"))]
            scan = previews.show(self._backend, session, shown, columns, until.pop_all())
        assert scan.batches is not None, "a database gives rows"
        fenced = pa.RecordBatchReader.from_batches(scan.batches.schema, self._fenced(scan.batches))
        return replace(scan, batches=fenced)

    def _fenced(self, batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """The same rows; a newer run may end the session amid them."""
        try:
            yield from batches
        except RetriableError as error:
            self._merged = None
            raise self._fenced_or(error) from None

    def _shown(self, table: str, until: ExitStack) -> list[previews.Part]:
        """What the publication will leave, where it has to make tables first, and so cannot begin yet."""
        staged = next(staged for staged in self._tables if staged.load.table == table)
        if not trials.needed(staged.load):
            return previews.parts(self._backend, self._session, staged)
        trial = trials.trial(self._backend, self._session, staged, self._claim, self._store)
        place, _ = until.enter_context(trial)
        return [previews.Part(place)]

    def counts(self) -> list[TableCommit]:
        merged = self._merge_if_in_place()
        return [self._expected(staged) for staged in self._tables] if merged is None else list(merged)

    def _expected(self, staged: StagedTable) -> TableCommit:
        if not trials.needed(staged.load):
            return merging.expected(self._backend, self._session, staged, self._store)
        with trials.trial(self._backend, self._session, staged, self._claim, self._store) as (_, done):
            return done

    # ------------------------------------------------------------------------------------------- publishing

    def _merge_if_in_place(self) -> list[TableCommit] | None:
        """Merge in the transaction that :meth:`publish` will commit; None where tables are to be made first.

        Making a table, where that commits by itself, would outlive a run that is refused: it waits for the publication.
        """
        if self._merged is None and (self._backend.transactional_ddl or self._shaped()):
            with self._publishing() as session:
                self._merged = self._merge(session)
        return self._merged

    def _shaped(self) -> bool:
        """Whether all tables are there, with all the columns that rows are to be put into."""
        session = self._session
        return all(
            session.find(load.table) is not None
            and not check(self._backend, session, load)
            and (load.rescue is None or session.find(load.rescue.table) is not None)
            for load in (staged.load for staged in self._tables)
        )

    def _merge(self, session: Session) -> list[TableCommit]:
        session.begin()
        ledger.check_epoch(session, self._claim)  # before the work; nobody else can claim from here on
        self._shape(session)
        commits = []
        for staged in self._tables:
            with self._emitter.during(Step.MERGE, table=staged.load.table):
                commits.append(merging.merge(self._backend, session, staged, self._store, self._claim.run_id))
        return commits

    def _take_back(self) -> None:
        """End a transaction that has merged, before anything that would commit it; what it held is held again."""
        if self._merged is None:
            return
        self._session.rollback()
        self._merged = None
        held, self._held = self._held, []
        for entry, file in held:
            self.hold(entry, file)

    def publish(self, record: LedgerRecord) -> list[TableCommit]:
        with self._publishing() as session:
            commits = self._merge(session) if self._merged is None else self._merged
            ledger.check_once(session, record)
            with self._emitter.during(Step.LEDGER):
                ledger.record(session, record)
                parked.settle(session, self._staged_by)
        try:
            with self._emitter.during(Step.COMMIT):
                self._commit(session, record)
        except BaseException:
            _quietly(session.rollback)
            raise
        self._drop_staging()
        self._close()
        return commits

    @contextmanager
    def _publishing(self) -> Iterator[Session]:
        """The session, rolled back if what is done in it fails; ended by a newer run, it is fenced."""
        session = self._session
        session.operation = "publish"
        try:
            yield session
        except RetriableError as error:
            self._merged = None
            raise self._fenced_or(error) from None
        except BaseException:
            self._merged = None
            _quietly(session.rollback)
            raise

    def _shape(self, session: Session) -> None:
        """Create tables and add columns: within the transaction, or before its work, additive only."""
        if not self._backend.transactional_ddl and self._shaped():
            return
        ddl = session if self._backend.transactional_ddl else self._backend.session("publish")
        try:
            for staged in self._tables:
                shape(self._backend, ddl, staged.load)
                make_letters(self._backend, ddl, staged.load)
        finally:
            if ddl is not session:
                ddl.close()

    def _commit(self, session: Session, record: LedgerRecord) -> None:
        """COMMIT, and certainty about it."""
        try:
            session.commit()
        except RetriableError as error:
            if error.code is not Code.CONNECTION_FAILED:
                raise
            self._close()
            if not was_published(self._backend, record.claim):
                raise RetriableError(
                    Code.CONNECTION_FAILED,
                    "the connection broke at the commit, and the server says that it did not happen",
                    operation="publish",
                    object=str(record.claim.key),
                    hint="nothing was published; run again",
                ) from None

    def _fenced_or(self, error: RetriableError) -> HeadgateError:
        """A session that was ended because a newer run claimed the pipeline is fenced; trying again is no use."""
        if self._opened is not None:
            _quietly(self._opened.rollback)
        if error.code is not Code.CONNECTION_FAILED:
            return error
        try:
            session = self._backend.session("publish")
        except HeadgateError:
            return error
        try:
            newer = ledger.state(session, self._claim.key).epoch > self._claim.epoch
            return ledger.fenced(self._claim) if newer else error
        finally:
            session.close()

    # ---------------------------------------------------------------------------------------------- keeping

    def park(self, record: LedgerRecord) -> None:
        self._take_back()
        session = self._session
        loads = [(staged.load, staged.stage[1], staged.rows) for staged in self._tables]
        with self._emitter.during(Step.STAGE, object="parked"):
            session.begin()
            try:
                parked.park(session, record, loads)
                session.commit()
            except BaseException:
                _quietly(session.rollback)
                raise
        self._kept = True
        self._close()

    def rollback(self) -> None:
        if self._opened is None:
            return
        self._close()
        if self._kept:
            return
        self._forget(("table", "held"))

    def _drop_staging(self) -> None:
        """After the commit: what is still in the list is swept by the next run if this one dies here."""
        self._forget(("table",))

    def _forget(self, what: Sequence[parked.Kind]) -> None:
        """Remove what was staged; in a session of its own where the run's has gone, with the answer to its commit."""
        try:
            session = self._opened or self._backend.session("rollback")
            try:
                parked.forget(session, self._staged_by, drop=what, quote=self._backend.quote)
            finally:
                if session is not self._opened:
                    session.close()
        except HeadgateError as error:
            _log.warning("what run %s staged stays until the next run sweeps it: %s", self._staged_by, error)

    def _close(self) -> None:
        """End the session; the server rolls back what was not committed."""
        if self._opened is not None:
            session, self._opened = self._opened, None
            session.close()


def _quietly(action: object) -> None:
    """Roll back where the connection may be gone already: the server then does it by itself."""
    assert callable(action)
    try:
        action()
    except HeadgateError as error:
        _log.debug("not rolled back by us: %s", error)
