"""What one run does to one DuckDB file: staged beside it, then merged and published in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load, Repeats, Scan, Writer
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.events import Emitter, Step
from headgate.core.ledger import Claim, LedgerRecord, QuarantineEntry
from headgate.core.runs import TableCommit
from headgate.io import ledger, parked
from headgate.io import merging as merges
from headgate.io.duckdb.files import connect, told
from headgate.io.duckdb.reading import stream
from headgate.io.duckdb.sessions import TEMPORARY, Session, quoted
from headgate.io.duckdb.staging import StagingFile
from headgate.io.duckdb.types import declare, read_columns
from headgate.io.relational import merging, previews
from headgate.io.relational.columns import ReadColumn
from headgate.io.relational.staging import StagedTable, check, check_keys, create, spelled
from headgate.sql.dialects import STANDARD, Standard
from headgate.sql.literals import literal, quote_name

if TYPE_CHECKING:
    import pyarrow as pa


class Dialect:
    """DuckDB's SQL, for what all databases share."""

    product = "DuckDB"
    transactional_ddl = True
    blob = "BLOB"
    dialect: Standard = STANDARD

    def quote(self, name: str) -> str:
        return quote_name(name)

    def quoted(self, place: tuple[str, str]) -> str:
        return quoted(place)

    def new_place(self, session: Session, table: str) -> tuple[str, str]:
        schema, dot, name = table.partition(".")
        known = "SELECT count(*) FROM duckdb_schemas() WHERE schema_name = ? AND database_name = current_database()"
        if dot and name and session.value(known, (schema,)):
            return schema, name
        return "main", table

    def declare_staged(self, session: Session, load: Load) -> list[str]:
        return [self.declare(session, field, 0) for field in load.schema]

    def declare(self, session: Session, field: pa.Field[Any], key_bytes: int) -> str:  # noqa: ARG002
        return declare(session.connection, field)

    literal = staticmethod(literal)

    def read_columns(self, session: Session, place: tuple[str, str]) -> list[ReadColumn]:
        with told(session.operation, place[1]):
            return read_columns(session.connection, quoted(place))

    def rows(
        self, session: Session, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> Generator[pa.RecordBatch, None, None]:
        return stream(session.connection, select, columns, batch_rows, name)


DIALECT = Dialect()


class StageWriter:
    def __init__(self, transaction: DuckdbTransaction, staged: StagedTable, file: StagingFile) -> None:
        self._transaction, self._staged, self._file = transaction, staged, file

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write(batch.rename_columns(self._staged.load.schema.names))
        self._staged.rows += batch.num_rows

    def close(self) -> None:
        self._file.close()
        if self._staged.load.mode == "upsert":
            with self._transaction.opened("stage") as session:
                check_keys(DIALECT, session, self._staged)


class DuckdbTransaction:
    """Stages in files; the database is opened for moments, and for the publication.

    Args:
        database: the file.
        timeout: how long to wait for other processes.
        claim: the run's right to publish.
        emitter: hears of each durable step.
        folder: where rows are staged.
        store: the store's name, for receipts.
        staged_by: the run that staged what is resumed; default the claim's own.
    """

    def __init__(
        self,
        database: Path,
        timeout: timedelta,
        claim: Claim,
        emitter: Emitter,
        folder: Path,
        *,
        store: str,
        durable: bool,
        staged_by: str = "",
    ) -> None:
        self._database, self._timeout, self._claim, self._emitter = database, timeout, claim, emitter
        self._folder, self._store, self._durable = folder, store, durable
        self._staged_by = staged_by or claim.run_id
        self._tables: list[tuple[StagedTable, StagingFile]] = []
        self._held: list[tuple[str, Path]] = []
        self._kept = False

    # ---------------------------------------------------------------------------------------------- staging

    def stage(self, load: Load) -> Writer:
        with self._checking() as session:
            load = spelled(session, load)
            check(DIALECT, session, load)
        staged, file = self._add(load, 0)
        file.open(load)
        return StageWriter(self, staged, file)

    def _add(self, load: Load, rows: int) -> tuple[StagedTable, StagingFile]:
        number = len(self._tables)
        path = self._folder / f"{stem(self._claim, self._staged_by)}-{number}.arrow"
        found = (
            StagedTable(load, (TEMPORARY, f"headgate_stage_{number}"), rows),
            StagingFile(path, durable=self._durable),
        )
        self._tables.append(found)
        return found

    def restage(self, load: Load, rows: int) -> None:
        """Take up what an earlier run staged."""
        self._add(load, rows)

    def hold(self, entry: QuarantineEntry, file: Path) -> None:
        if not self._durable:
            self._held.append((entry.id, file))
            return
        with self.opened("stage", write=True) as session:
            session.begin()
            parked.note(session, self._claim, "held", entry.id)
            ledger.hold_file(session, entry.id, file)
            session.commit()

    def duplicates(self, table: str, columns: Sequence[str]) -> Repeats:
        staged = next(staged for staged, _ in self._tables if staged.load.table == table)
        if self._tried:
            with self._trial() as session:
                self._merged(session)
                return merging.repeated(DIALECT, session, staged, session.need(table, "audit"), columns)
        with self.opened("audit") as session:
            return merging.duplicates(DIALECT, session, staged, columns)

    def preview(self, table: str, columns: Sequence[str]) -> Scan:
        staged = next(staged for staged, _ in self._tables if staged.load.table == table)
        with ExitStack() as until:
            if self._tried:
                session = until.enter_context(self._trial())
                self._merged(session)
                shown = [previews.Part(session.need(table, "audit"))]
            else:
                session = until.enter_context(self.opened("audit"))
                shown = previews.parts(DIALECT, session, staged)
            return previews.show(DIALECT, session, shown, columns, until.pop_all())

    def counts(self) -> list[TableCommit]:
        if self._tried:
            with self._trial() as session:
                return self._merged(session)
        with self.opened("audit") as session:
            return [merging.expected(DIALECT, session, staged, self._store) for staged, _ in self._tables]

    def _merged(self, session: Session) -> list[TableCommit]:
        return [merging.merge(DIALECT, session, staged, self._store, "") for staged, _ in self._tables]

    @property
    def _tried(self) -> bool:
        """Whether what a publication would do is found by doing it, and taking it back."""
        return any(merges.handles(staged.load) for staged, _ in self._tables)

    @contextmanager
    def _trial(self) -> Iterator[Session]:
        with self.opened("audit", write=True) as session:
            session.begin()
            for staged, _ in self._tables:
                self._shape(session, staged)
            yield session
            session.rollback()

    # ------------------------------------------------------------------------------------------- publishing

    def publish(self, record: LedgerRecord) -> list[TableCommit]:
        with self.opened("publish", write=True) as session:
            session.begin()
            commits = self._merge(session, record)
            with self._emitter.during(Step.COMMIT):
                self._commit(session, record)
        self._remove()
        return commits

    def _merge(self, session: Session, record: LedgerRecord) -> list[TableCommit]:
        ledger.check_epoch(session, record.claim)
        ledger.check_once(session, record)
        commits = []
        for staged, _ in self._tables:
            with self._emitter.during(Step.MERGE, table=staged.load.table):
                self._shape(session, staged)
                commits.append(merging.merge(DIALECT, session, staged, self._store, record.claim.run_id))
        with self._emitter.during(Step.LEDGER):
            for id_, file in self._held:
                ledger.hold_file(session, id_, file)
            ledger.record(session, record)
            parked.settle(session, self._staged_by)
        return commits

    def _shape(self, session: Session, staged: StagedTable) -> None:
        additions = check(DIALECT, session, staged.load)
        place = session.find(staged.load.table)
        if place is None:
            create(DIALECT, session, staged.load, DIALECT.new_place(session, staged.load.table), staging=False)
            return
        for addition in additions:
            session.query(f"ALTER TABLE {quoted(place)} {addition.removesuffix(' NULL')}")

    def _commit(self, session: Session, record: LedgerRecord) -> None:
        """COMMIT; where its answer is an error, ask the file whether it holds."""
        try:
            session.commit()
        except HeadgateError as error:
            session.close()
            try:
                with self.opened("publish") as fresh:
                    found = ledger.published(fresh, record.claim.key, record.claim.execution_id)
            except HeadgateError as unreadable:
                raise FatalError(
                    Code.OUTCOME_UNKNOWN,
                    f"the commit failed ({error.message}) and the file does not answer: {unreadable.message}",
                    operation="publish",
                    object=str(self._database),
                    hint="mend it, then run again: the ledger in it tells whether the run was published",
                ) from None
            if found is None or found.run_id != record.claim.run_id:
                raise error from None

    # ---------------------------------------------------------------------------------------------- keeping

    def park(self, record: LedgerRecord) -> None:
        loads = [(staged.load, file.path.name, staged.rows) for staged, file in self._tables]
        with self.opened("park", write=True) as session:
            session.begin()
            parked.park(session, record, loads)
            session.commit()
        self._kept = True

    def rollback(self) -> None:
        if self._kept:
            return
        self._kept = True
        self._remove()
        if self._durable:
            with self.opened("rollback", write=True) as session:
                parked.forget(session, self._staged_by, drop=("held",))

    def _remove(self) -> None:
        self._kept = True
        for _, file in self._tables:
            file.remove()

    # ------------------------------------------------------------------------------------------ connections

    @contextmanager
    def opened(self, operation: str, *, write: bool = False) -> Iterator[Session]:
        """The database with the staged rows as relations; what is not committed is rolled back."""
        session = Session(connect(self._database, self._timeout, write=write), operation, self._database.name)
        try:
            for staged, file in self._tables:
                if file.path.exists():
                    session.connection.register(staged.stage[1], file.table())
            yield session
        finally:
            session.close()

    @contextmanager
    def _checking(self) -> Iterator[Session]:
        session = Session(connect(self._database, self._timeout), "stage", self._database.name)
        try:
            yield session
        finally:
            session.close()


def stem(claim: Claim, run_id: str) -> str:
    """How the staging files of a run are called."""
    return f"stage-{short(str(claim.key))}-{short(run_id)}"


def short(name: str) -> str:
    """A name for files: any text, always the same 16 digits."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
