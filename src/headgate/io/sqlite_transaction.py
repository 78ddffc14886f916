"""What one run does to one SQLite database, up to the commit and its answer."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from headgate.core.contracts import Load, Repeats, Scan, SourceSchema, Writer
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.events import Emitter, Step
from headgate.core.ledger import Claim, LedgerRecord, QuarantineEntry
from headgate.core.runs import TableCommit
from headgate.io import files, ledger, merging, sqlite, sqlite_merge
from headgate.io.sqlite import SqliteStatements, told
from headgate.io.sqlite_staging import StagedTable, Staging, plan_table


class SqliteTransaction:
    """Stages into a file of its own; :meth:`publish` merges it under the database's write lock."""

    def __init__(
        self,
        database: Path,
        timeout: timedelta,
        claim: Claim,
        emitter: Emitter,
        path: Path,
        *,
        durable: bool,
        new: bool = True,
    ) -> None:
        self._database, self._timeout, self._claim, self._emitter = database, timeout, claim, emitter
        if new:
            files.unlink(path)
        self._staging = Staging(path, durable=durable, new=new)

    def stage(self, load: Load) -> Writer:
        if load.replaces and load.mode == "append":
            raise FatalError(
                Code.UNSUPPORTED,
                f"the rows that the run {load.replaces} appended cannot be told from others in SQLite",
                operation="stage",
                object=load.table,
                hint="use mode: upsert with keys, or mode: overwrite, to be able to run again",
            )
        with self._open(write=False) as connection:
            existing = sqlite.columns(connection, load.table)
        return self._staging.add(plan_table(load, existing, len(self._staging.tables)))

    def duplicates(self, table: str, columns: Sequence[str]) -> Repeats:
        staged = self._staged(table)
        if merging.handles(staged.load):
            with self._tried() as connection:
                sqlite_merge.merge(connection, staged, "")
                return sqlite_merge.duplicates_now(connection, table, columns)
        with self._attached(write=False) as connection:
            return sqlite_merge.duplicates(connection, staged, columns)

    def preview(self, table: str, columns: Sequence[str]) -> Scan:
        staged = self._staged(table)
        with contextlib.ExitStack() as until:
            if merging.handles(staged.load):
                connection = until.enter_context(self._tried())
                sqlite_merge.merge(connection, staged, "")
                batches = sqlite_merge.preview_now(connection, table, columns)
            else:
                connection = until.enter_context(self._attached(write=False))
                batches = sqlite_merge.preview(connection, staged, columns)
            return Scan(SourceSchema(batches.schema), batches=batches, close=until.pop_all().close)

    def hold(self, entry: QuarantineEntry, file: Path) -> None:
        self._staging.hold(entry, file)

    def counts(self) -> list[TableCommit]:
        if any(merging.handles(staged.load) for staged in self._staging.tables):
            with self._tried() as connection:
                return [sqlite_merge.merge(connection, staged, "") for staged in self._staging.tables]
        with self._attached(write=False) as connection:
            return [sqlite_merge.expected(connection, staged) for staged in self._staging.tables]

    def publish(self, record: LedgerRecord) -> list[TableCommit]:
        with self._attached(write=True) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                commits = self._merge(connection, record)
                self._commit(connection, record)
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        self._staging.remove()
        return commits

    def park(self, record: LedgerRecord) -> None:
        self._staging.park(record)
        self._staging.close()
        path = self._staging.path
        parked = path.with_name(path.name.replace("stage-", "parked-", 1))
        with files.told("park", parked):
            files.sync_file(path)
            files.rename(path, parked)
            files.sync_folder(parked.parent)
        self._staging = Staging(parked, durable=True, new=False)

    def parked(self) -> LedgerRecord:
        """The record of parked work that this transaction has opened."""
        return self._staging.parked()

    def rollback(self) -> None:
        self._staging.remove()

    def close(self) -> None:
        """Let go of the staging file without removing it."""
        self._staging.close()

    def _staged(self, table: str) -> StagedTable:
        return next(staged for staged in self._staging.tables if staged.table == table)

    # ---------------------------------------------------------------------------------------------- commit

    def _merge(self, connection: sqlite3.Connection, record: LedgerRecord) -> list[TableCommit]:
        statements = SqliteStatements(connection)
        ledger.check_epoch(statements, record.claim)  # before the work; nobody else can claim from here on
        ledger.check_once(statements, record)
        commits = []
        for staged in self._staging.tables:
            with self._emitter.during(Step.MERGE, table=staged.table):
                commits.append(sqlite_merge.merge(connection, staged, record.claim.run_id))
        with self._emitter.during(Step.LEDGER):
            held = ", ".join("?" * len(record.quarantine))
            connection.execute(
                "INSERT INTO main.headgate_quarantine_data SELECT id, seq, data FROM staging.headgate_quarantine_data"
                f" WHERE id IN ({held})",
                [entry.id for entry in record.quarantine],
            )
            ledger.record(statements, record)
        return commits

    def _commit(self, connection: sqlite3.Connection, record: LedgerRecord) -> None:
        """COMMIT; where its answer is an error, ask the database whether it holds."""
        with self._emitter.during(Step.COMMIT):
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                if connection.in_transaction:
                    raise
                self._ask(record, error)

    def _ask(self, record: LedgerRecord, error: sqlite3.Error) -> None:
        try:
            with self._open(write=False) as fresh:
                found = ledger.published(SqliteStatements(fresh), record.claim.key, record.claim.execution_id)
        except HeadgateError as unreadable:
            raise FatalError(
                Code.OUTCOME_UNKNOWN,
                f"the commit failed ({error}) and the database does not answer: {unreadable.message}",
                operation="publish",
                object=str(self._database),
                hint="mend the database, then run again: the ledger in it tells whether the run was published",
            ) from error
        if found is None or found.run_id != record.claim.run_id:
            raise error

    # ------------------------------------------------------------------------------------------ connections

    @contextmanager
    def _open(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        connection = sqlite.connect(self._database, self._timeout, write=write)
        try:
            with told("publish" if write else "stage", self._database):
                yield connection
        finally:
            connection.close()

    @contextmanager
    def _tried(self) -> Iterator[sqlite3.Connection]:
        """A merge that is rolled back: the one way to know the outcome of modes that look at the whole table."""
        with self._attached(write=True) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def _attached(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        with self._open(write=write) as connection:
            connection.execute("ATTACH ? AS staging", (f"{self._staging.path.as_uri()}?mode=ro",))
            if not write:
                connection.execute("BEGIN")
            yield connection
