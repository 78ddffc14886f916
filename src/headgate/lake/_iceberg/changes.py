"""One table in one transaction: its staged files, and the change that they make to the table as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.core.contracts import Load, Repeats, Scan
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.ledger import LedgerRecord
from headgate.io import files
from headgate.io.merging import handles
from headgate.lake._iceberg import metadata, names, schemas
from headgate.lake._iceberg.catalog import Catalogue
from headgate.lake._iceberg.metadata import TableState
from headgate.lake._iceberg.staging import DataFile, RollingFile, TableWriter

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.lake._iceberg.snapshots import LiveFile, NextVersion


class TableChange:
    """What one load does. pyiceberg is imported only when there is something to write.

    Attributes:
        base: the table that the change builds on, None if it is to be created.
        inserted, updated, deleted, unchanged_rows: known once prepared.
    """

    def __init__(self, catalogue: Catalogue, load: Load, tag: str, numbers: Iterator[int], workdir: Path) -> None:
        self.load, self._catalogue, self._tag, self._numbers = load, catalogue, tag, numbers
        self._spill = workdir / "lake-spill"
        self.base = self._now()
        if self.base is None and not load.create:
            raise FatalError(
                Code.TABLE_NOT_FOUND,
                "the table does not exist, and create is off",
                operation="stage",
                object=load.table,
                hint="set create: true, or name a table that exists: " + ", ".join(catalogue.tables()),
            )
        self.plan = schemas.plan(load, self.base)
        self.allow_empty = bool(load.write and load.write.allow_empty)
        self.staged_columns: pa.Schema = self._staging_columns()
        self.writer = TableWriter(load, self.plan, self._rolling(self._staging_folder()), self.staged_columns)
        self._adopted: list[DataFile] | None = None
        self._checked = False
        self.reset()

    def _now(self) -> TableState | None:
        pointer = self._catalogue.pointer(self.load.table)
        return metadata.load(self.load.table, pointer) if pointer else None

    @property
    def _merges(self) -> bool:
        """Whether staged rows are merged into new files, rather than being files of the table."""
        return self.load.mode == "upsert" or handles(self.load)

    def _staging_columns(self) -> pa.Schema:
        if not self._merges:
            return self.plan.columns
        if not self.load.marker:
            return self.plan.loaded
        return self.plan.loaded.append(self.load.schema.field(self.load.marker))

    @property
    def folder(self) -> Path:
        """Where the table's data files are."""
        base = self.base.folder if self.base else names.folder(self._catalogue.root, self.load.table)
        return base.absolute() / "data"

    def _staging_folder(self) -> Path:
        if self._merges:
            return self._catalogue.root.absolute() / names.STAGING / self._tag
        return self.folder

    def _rolling(self, folder: Path) -> RollingFile:
        return RollingFile(folder, self._tag, self._numbers, self.staged_columns)

    def adopt(self, columns: pa.Schema, kept: list[DataFile], allow_empty: bool) -> None:
        """Take files that a parked run staged with ``columns``."""
        self.staged_columns, self._adopted, self.allow_empty = columns, kept, allow_empty

    def renumber(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers

    @property
    def staged(self) -> list[DataFile]:
        return self._adopted if self._adopted is not None else self.writer.files

    @property
    def staged_rows(self) -> int:
        return sum(file.rows for file in self.staged)

    # ----------------------------------------------------------------------------------------- preparing

    def reset(self) -> None:
        """Forget what was computed against :attr:`base`; staged files stay."""
        for file in getattr(self, "_merged", []):
            with contextlib.suppress(OSError):  # what is left here, a later run sweeps
                files.unlink(file.path)
        self.prepared = False
        self.inserted = self.updated = self.deleted = self.unchanged_rows = 0
        self._merged: list[DataFile] = []
        self._removed: list[LiveFile] = []

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.inserted, self.updated, self.deleted, self.unchanged_rows

    @property
    def rebasable(self) -> bool:
        """Rows that are only added may be added to a later version too, unless the result was looked at."""
        return self.load.mode == "append" and not self._removed and not self._checked

    def prepare(self) -> None:
        """Compute the change against the table as it is now.

        Raises:
            RetriableError: CONFLICT when the table's columns changed since the rows were staged.
            FatalError: DUPLICATE_KEYS, or UNSUPPORTED when a run's rows cannot be told from others.
        """
        self.base = self._now()
        self.plan = schemas.plan(self.load, self.base)
        if not schemas.holds(self._staging_columns(), self.staged_columns):
            raise RetriableError(
                Code.CONFLICT,
                "another run changed the table's columns meanwhile",
                operation="publish",
                object=self.load.table,
                hint="nothing was published; run again",
            )
        if handles(self.load):
            self._rewrite()
        elif self.load.mode == "append":
            self._replace_run()
        elif self.load.mode == "overwrite":
            self._replace_all()
        else:
            self._merge()
        self.prepared = True

    def _replace_run(self) -> None:
        self.inserted = self.staged_rows
        if not self.load.replaces or self.base is None:
            return
        from headgate.lake._iceberg import snapshots

        self._removed = snapshots.files_of_run(self.base, self.load.replaces)
        self.deleted = sum(file.rows for file in self._removed)

    def _replace_all(self) -> None:
        self.inserted = self.staged_rows
        if self.base is None or self.base.snapshot is None:
            return
        from headgate.lake._iceberg import snapshots

        self._removed = snapshots.live_files(self.base)
        self.deleted = sum(file.rows for file in self._removed)
        if self.deleted and not self.inserted and not self.allow_empty:
            raise FatalError(
                Code.LOAD_EXECUTION_FAILED,
                f"no rows at all would replace {self.deleted}",
                operation="publish",
                object=self.load.table,
                hint="set allow_empty: true on the target if that is right",
            )

    def _merge(self) -> None:
        if not self.staged:
            return
        from headgate.lake._iceberg.merge import Upsert

        output = RollingFile(self.folder, self._tag, self._numbers, self.plan.columns)
        keys = tuple(self.plan.spelling(key) for key in self.load.keys)
        with files.told("merge", self._spill):
            files.make_folder(self._spill)
        try:
            merged = Upsert(
                self.load.table, self.base, self.plan, keys, self.staged, self.folder, output, self._spill
            ).merge()
        except BaseException:
            output.abort()
            raise
        self._merged, self._removed = merged.added, merged.removed
        self.inserted, self.updated = merged.inserted, merged.updated

    def _rewrite(self) -> None:
        from headgate.lake._iceberg.rewrite import Rewriting

        output = RollingFile(self.folder, self._tag, self._numbers, self.plan.columns)
        with files.told("merge", self._spill):
            files.make_folder(self._spill)
        try:
            done = Rewriting(self.load, self.base, self.plan, self.staged, output, self._spill).work()
        except BaseException:
            output.abort()
            raise
        self._merged, self._removed = done.added, done.removed
        counts = done.counts
        self.inserted, self.updated, self.deleted = counts.inserted, counts.updated, counts.deleted
        self.unchanged_rows = counts.unchanged

    @property
    def added(self) -> list[DataFile]:
        return self._merged if self._merges else self.staged

    @property
    def unchanged(self) -> bool:
        """Nothing to write: no rows, no new columns, and the table is there."""
        return self.base is not None and not (self.plan.changed or self.added or self._removed)

    def duplicates(self, columns: Sequence[str]) -> Repeats:
        """Rows that share ``columns`` with others in the table as it will be. The answer holds for :attr:`base`."""
        from headgate.lake._iceberg import queries

        spelled = [self.plan.spelling(column) for column in columns]
        return queries.duplicates(self._spill, self._result(), spelled)

    def preview(self, columns: Sequence[str]) -> Scan:
        """Columns of the table as it will be, as a stream. The answer holds for :attr:`base`."""
        from headgate.lake._iceberg import queries

        spelled = {column: self.plan.spelling(column) for column in columns}
        return queries.preview(self._spill, self._result(), spelled)

    def _result(self) -> list[str | Path]:
        """The files of the table as it will be."""
        self._checked = True
        paths: list[str | Path] = [file.path for file in self.added]
        if self.base is not None and self.base.snapshot is not None:
            from headgate.lake._iceberg import snapshots

            removed = {file.path for file in self._removed}
            paths += [file.path for file in snapshots.live_files(self.base) if file.path not in removed]
        with files.told("audit", self._spill):
            files.make_folder(self._spill)
        return paths

    # ----------------------------------------------------------------------------------------- writing

    def sync(self) -> None:
        """Make the names of all data files durable; their content is."""
        for folder in {file.path.parent for file in [*self.staged, *self.added]}:
            with files.told("fsync", folder):
                files.sync_folder(folder)

    def next_version(self, record: LedgerRecord, tag: str) -> NextVersion:
        """Write the table's next metadata."""
        from headgate.lake._iceberg import snapshots

        properties = {
            metadata.RUN_ID: record.claim.run_id,
            metadata.PIPELINE: str(record.claim.key),
            metadata.EPOCH: str(record.claim.epoch),
        }
        return snapshots.next_version(
            self.load.table,
            self.base,
            self.folder.parent,
            self.plan,
            snapshots.Change(self.added, self._removed),
            properties,
            tag,
            tuple(self.plan.spelling(key) for key in self.load.keys),
        )

    def abort(self) -> None:
        self.writer.abort()

    def own_files(self) -> list[Path]:
        """Every file that this change wrote, of metadata too."""
        digest, pipeline = names.tag_digest(self._tag), self._tag[:12]
        folder = self.folder.parent / "metadata"
        versions = list(folder.iterdir()) if folder.is_dir() else []
        own = [path for path in versions if names.commit_of(path.name, pipeline) == digest]
        return [file.path for file in [*self.staged, *self._merged]] + own
