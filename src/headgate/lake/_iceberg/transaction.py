"""What one run does to the lake: staged data files, then all pointers and the ledger in one SQLite transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from headgate.core.contracts import Load, Repeats, Scan, Writer
from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Emitter, Step
from headgate.core.ledger import Claim, LedgerRecord, QuarantineEntry
from headgate.core.runs import TableCommit
from headgate.io import files, ledger
from headgate.io.parquet import move
from headgate.lake._iceberg import names, parked, staging
from headgate.lake._iceberg.catalog import Catalogue, Session, explain
from headgate.lake._iceberg.changes import TableChange

ATTEMPTS = 10


class _PointerMovedError(Exception):
    """Another run moved this table's pointer."""

    def __init__(self, change: TableChange) -> None:
        super().__init__(change.load.table)
        self.change = change


@dataclass
class _Version:
    """A table's next version, written but not yet pointed at."""

    change: TableChange
    old: str | None
    new: str | None
    snapshot: str
    written: list[Path] = field(default_factory=list)
    obsolete: list[Path] = field(default_factory=list)


class LakeTransaction:
    """See :class:`headgate.core.contracts.Transaction`.

    Args:
        tag: what the files carry in their names; a resumed transaction goes on with that of the parked run.
        resumed: the run that parked it, empty otherwise.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        name: str,
        claim: Claim,
        emitter: Emitter,
        workdir: Path,
        *,
        tag: str,
        resumed: str = "",
    ) -> None:
        self._catalogue, self._name, self._claim, self._emitter = catalogue, name, claim, emitter
        self._workdir, self._tag, self._resumed = workdir, tag, resumed
        self._changes: dict[str, TableChange] = {}
        self._held: dict[str, str] = {}
        self._numbers = staging.numbers()
        self._settled = False  # published, or nobody knows: nothing may be removed any more
        self._parked = False

    # ------------------------------------------------------------------------------------------- staging

    def stage(self, load: Load) -> Writer:
        key = names.display(*names.identifier(load.table))
        if key in self._changes:
            raise FatalError(
                Code.UNSUPPORTED,
                "a run writes a table once",
                operation="stage",
                object=load.table,
                hint="bring the rows together with a step before the target",
            )
        change = TableChange(self._catalogue, load, self._tag, self._numbers, self._workdir)
        self._changes[key] = change
        return change.writer

    def hold(self, entry: QuarantineEntry, file: Path) -> None:
        folder = self._catalogue.root / names.QUARANTINE
        target = folder / f"{self._tag}-{next(self._numbers):05d}.parquet"
        with files.told("hold", target):
            files.make_folder(folder)
            move(file, target)
            files.sync_file(target)
            files.sync_folder(folder)
        self._held[entry.id] = f"{names.QUARANTINE}/{target.name}"

    def duplicates(self, table: str, columns: Sequence[str]) -> Repeats:
        change = self._changes.get(names.display(*names.identifier(table)))
        if change is None:
            raise FatalError(Code.TABLE_NOT_FOUND, "this run does not write it", operation="audit", object=table)
        self._prepare([change])
        return change.duplicates(columns)

    def preview(self, table: str, columns: Sequence[str]) -> Scan:
        change = self._changes[names.display(*names.identifier(table))]
        self._prepare([change])
        return change.preview(columns)

    def counts(self) -> list[TableCommit]:
        self._prepare(list(self._changes.values()))
        return [self._told(change, "") for change in self._changes.values()]

    def _told(self, change: TableChange, snapshot: str) -> TableCommit:
        return TableCommit(change.load.table, snapshot, self._name, *change.counts)

    def _prepare(self, wanted: list[TableChange]) -> None:
        for change in wanted:
            if change.prepared:
                continue
            if change.load.mode not in ("append", "overwrite"):
                with self._emitter.during(Step.MERGE, table=change.load.table) as told:
                    change.prepare()
                    told.update(inserted=change.inserted, updated=change.updated)
            else:
                change.prepare()

    # ------------------------------------------------------------------------------------------- publishing

    def publish(self, record: LedgerRecord) -> list[TableCommit]:
        record = self._with_locations(record)
        for change in self._changes.values():
            change.writer.close()
        for _ in range(ATTEMPTS):
            self._prepare(list(self._changes.values()))
            with self._emitter.during(Step.SYNC):
                for change in self._changes.values():
                    change.sync()
            versions: list[_Version] = []
            try:
                self._write_versions(record, versions)
                self._commit(record, versions)
            except _PointerMovedError as moved:
                self._forget(versions)
                self._rebase(moved.change)
            except BaseException:
                if not self._settled:
                    with contextlib.suppress(OSError):  # what is left here, a later run sweeps
                        self._forget(versions)
                raise
            else:
                self._tidy(versions)
                return [self._told(version.change, version.snapshot) for version in versions]
        raise _conflict("others commit to its tables all the time", str(record.claim.key))

    def _with_locations(self, record: LedgerRecord) -> LedgerRecord:
        placed = tuple(replace(entry, location=self._held.get(entry.id, entry.location)) for entry in record.quarantine)
        return replace(record, quarantine=placed)

    def _write_versions(self, record: LedgerRecord, versions: list[_Version]) -> None:
        for change in self._changes.values():
            with self._emitter.during(Step.MANIFEST, table=change.load.table):
                old = change.base.pointer if change.base else None
                if change.unchanged:
                    versions.append(_Version(change, old, None, change.base.version if change.base else ""))
                    continue
                following = change.next_version(record, names.commit_tag(self._claim))
                versions.append(
                    _Version(
                        change, old, following.pointer, following.snapshot_id, following.written, following.obsolete
                    )
                )

    def _commit(self, record: LedgerRecord, versions: list[_Version]) -> None:
        with self._catalogue.writing("publish") as session:
            with self._emitter.during(Step.LEDGER):
                self._in_ledger(session, record)
                for version in versions:
                    if version.new and not session.swap(version.change.load.table, version.old, version.new):
                        raise _PointerMovedError(version.change)
            with self._emitter.during(Step.COMMIT):
                self._settled = True  # a Ctrl-C from here on does not say whether COMMIT was carried out
                try:
                    session.commit()
                except sqlite3.Error as error:
                    self._ask(session, record, error)

    def _in_ledger(self, session: Session, record: LedgerRecord) -> None:
        ledger.record(session, record)
        for tag in {self._tag, names.tag(self._claim), names.commit_tag(self._claim)}:
            session.execute("INSERT OR IGNORE INTO headgate_tags (tag) VALUES (?)", (tag,))
        if self._resumed:
            parked.forget(session, record.claim.key, self._resumed)

    def _ask(self, session: Session, record: LedgerRecord, error: sqlite3.Error) -> None:
        """COMMIT failed: look whether it happened all the same. One file decides, so the answer is certain or none."""
        try:
            session.abandon()
            with self._catalogue.reading() as asked:
                claim = record.claim
                found = ledger.published(asked, claim.key, claim.execution_id) if asked else None
        except (HeadgateError, sqlite3.Error, OSError) as silence:
            raise FatalError(
                Code.OUTCOME_UNKNOWN,
                f"the commit failed ({error}), and the catalogue does not answer since ({silence})",
                operation="publish",
                object=str(self._catalogue.path),
                hint="nothing is removed; make the catalogue readable again and run once more: it will know",
            ) from error
        if found is None or found.run_id != record.claim.run_id:
            self._settled = False
            raise explain(error, "publish", self._catalogue.path) from error

    def _rebase(self, change: TableChange) -> None:
        """Build on what another run published meanwhile, where that changes nothing in what this run checked."""
        if not change.rebasable:
            raise _conflict("another run published to the table meanwhile", change.load.table)
        change.reset()

    def _forget(self, versions: list[_Version]) -> None:
        for version in versions:
            for path in version.written:
                files.unlink(path)
            version.written = []

    def _tidy(self, versions: list[_Version]) -> None:
        """After the commit: remove what nothing points at. A failure here changes nothing; a later run sweeps."""
        with contextlib.suppress(OSError):
            for version in versions:
                for path in version.obsolete:
                    files.unlink(path)
            files.remove_tree(self._catalogue.root / names.STAGING / self._tag)

    # ------------------------------------------------------------------------------------------- leaving

    def park(self, record: LedgerRecord) -> None:
        for change in self._changes.values():
            change.writer.close()
            change.reset()
        with self._emitter.during(Step.SYNC):
            for change in self._changes.values():
                change.sync()
        with self._catalogue.writing("park") as session:
            ledger.check_epoch(session, record.claim)
            parked.keep(session, self._with_locations(record), self._tag, self._changes.values(), self._held)
            with self._emitter.during(Step.COMMIT):
                self._parked = True  # also if COMMIT fails: who knows; a later run sweeps what is not parked
                session.commit()
        self._resumed = record.claim.run_id

    def take_over(self, kept: list[parked.KeptTable], held: dict[str, str]) -> None:
        """Go on with what another run parked."""
        self._held = held
        for table in kept:
            change = TableChange(self._catalogue, table.load, self._tag, self._numbers, self._workdir)
            change.adopt(table.columns, table.files, table.allow_empty)
            self._changes[table.load.table] = change
        self._numbers = staging.numbers(1 + max((number for table in kept for number in table.numbers()), default=-1))
        for change in self._changes.values():
            change.renumber(self._numbers)

    def rollback(self) -> None:
        if self._settled or self._parked:
            return
        if self._resumed:
            with self._catalogue.writing("rollback") as session:
                parked.forget(session, self._claim.key, self._resumed)
                session.commit()
        for path in self._own_files():
            with contextlib.suppress(OSError):  # what is left here, a later run sweeps
                files.unlink(path)
        with contextlib.suppress(OSError):
            files.remove_tree(self._catalogue.root / names.STAGING / self._tag)
        self._changes, self._held = {}, {}

    def _own_files(self) -> Iterator[Path]:
        for change in self._changes.values():
            change.abort()
            yield from change.own_files()
        for location in self._held.values():
            yield self._catalogue.root / location


def _conflict(why: str, what: str) -> RetriableError:
    return RetriableError(Code.CONFLICT, why, operation="publish", object=what, hint="nothing was published; run again")
