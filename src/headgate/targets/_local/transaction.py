"""One run on a folder: files with names of their own first, then one link that names them all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headgate.core.contracts import Load, Repeats, Scan, Writer
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.core.events import Emitter, Step
from headgate.core.ledger import Claim, LedgerRecord, QuarantineEntry, Watermark
from headgate.core.runs import PipelineKey, TableCommit
from headgate.io import files, loads, merging
from headgate.io.ledger import fenced
from headgate.targets._local import parts, staging
from headgate.targets._local.chain import Chain
from headgate.targets._local.manifest import DataFile, Manifest, Table, key_hash, key_text
from headgate.targets._local.merge import Merge
from headgate.targets._local.staging import Staged
from headgate.targets._local.writing import FAILED, TableWriter, folder_name, remove_empty, shape_of

CHUNK = 1 << 20


def owner(key: PipelineKey, run_id: str) -> str:
    """How everything that a run leaves in the folder is called."""
    return f"{key_hash(key)}-{quote(run_id, safe='')}"


class FolderTransaction:
    """What one run does to one folder. ``options`` of the writers come with each load."""

    def __init__(self, chain: Chain, claim: Claim, emitter: Emitter, workdir: Path, *, staged_by: str = "") -> None:
        self._chain, self._claim, self._emitter, self._workdir = chain, claim, emitter, workdir
        self._owner = owner(claim.key, staged_by or claim.run_id)
        self._intent = chain.own / "staging" / self._owner
        self._staged: dict[str, Staged] = {}
        self._writers: list[TableWriter] = []
        self._held: dict[str, str] = {}
        self._attempted = False
        with files.told("begin", self._intent):
            files.make_folder(self._intent)

    # ------------------------------------------------------------------------------------------------- staging

    def stage(self, load: Load) -> Writer:
        folder_name(load.table)
        staging.check_types(load)
        parts.check(load.partitioning, load.columns, load.table)
        table = self._chain.head().tables.get(load.table)
        staged = Staged(load, staging.evolved(load, table), table.changed if table else 0)
        if load.replaces and load.mode == "append":
            self._check_replaceable(load, table)
        self._staged[load.table] = staged
        return self._writer(staged, staging.staged_schema(staged), staged.files.append)

    def _writer(self, staged: Staged, schema: Any, done: Any, *, merged: bool = False) -> TableWriter:
        shape = shape_of(staged.load)
        if merging.handles(staged.load) and not merged:  # these rows are merged into other files
            shape = replace(shape, format="parquet", compression=None, file_rows=None, partitioning=None)
        writer = TableWriter(
            self._chain.root,
            staged.load.table,
            schema,
            self._owner,
            self._claim.run_id,
            shape,
            merged=merged,
            done=done,
        )
        self._writers.append(writer)
        return writer

    def _check_replaceable(self, load: Load, table: Table | None) -> None:
        if table is not None and any(file.merged for file in table.files):
            raise FatalError(
                Code.UNSUPPORTED,
                "an upsert has mixed the rows of several runs, so those of one cannot be replaced",
                operation="stage",
                object=load.table,
                hint="run with --full-refresh",
            )

    def hold(self, entry: QuarantineEntry, file: Path) -> None:
        target = self._chain.root / FAILED / f"{self._owner}-{quote(entry.id, safe='')}.parquet"
        self._held[entry.id] = target.relative_to(self._chain.root).as_posix()
        with files.told("hold", target):
            files.make_folder(target.parent)
            _copy(file, target)

    # ------------------------------------------------------------------------------------------------- auditing

    def duplicates(self, table: str, columns: Sequence[str]) -> Repeats:
        staged = self._staged[table]
        return Merge(self._chain.root, self._workdir).duplicates(table, staged.schema, self._after(staged), columns)

    def preview(self, table: str, columns: Sequence[str]) -> Scan:
        staged = self._staged[table]
        return Merge(self._chain.root, self._workdir).preview(table, staged.schema, self._after(staged), columns)

    def counts(self) -> list[TableCommit]:
        for staged in self._staged.values():
            self._after(staged)
        return self._commits("")

    def _commits(self, commit: str) -> list[TableCommit]:
        return [
            TableCommit(name, commit, "", staged.inserted, staged.updated, staged.deleted, staged.unchanged)
            for name, staged in self._staged.items()
        ]

    def _after(self, staged: Staged) -> tuple[DataFile, ...]:
        """The table's files as they will be; merges, if that was not done yet."""
        if staged.merged is None or staged.load.mode == "append":
            table = self._chain.head().tables.get(staged.load.table)
            staged.merged = self._merged(staged, table)
        return staged.merged

    def _merged(self, staged: Staged, table: Table | None) -> tuple[DataFile, ...]:
        current = table.files if table else ()
        if merging.handles(staged.load):
            self._check_base(staged, table)
            writer = self._writer(staged, staged.schema, staged.rewritten.append, merged=True)
            return Merge(self._chain.root, self._workdir).rewrite(staged, current, writer)
        match staged.load.mode:
            case "append":
                replaced = staged.load.replaces
                kept = tuple(file for file in current if not replaced or file.run != replaced)
                staged.inserted = staged.rows
                staged.deleted = sum(file.rows for file in current) - sum(file.rows for file in kept)
                return (*kept, *staged.files)
            case "overwrite":
                self._check_base(staged, table)
                staged.inserted, staged.deleted = staged.rows, sum(file.rows for file in current)
                return tuple(staged.files)
            case _:
                self._check_base(staged, table)
                merge = Merge(self._chain.root, self._workdir)
                merge.check_keys(staged)
                writer = self._writer(staged, staged.schema, staged.rewritten.append, merged=True)
                return merge.upsert(staged, current, writer)

    def _check_base(self, staged: Staged, table: Table | None) -> None:
        if (table.changed if table else 0) != staged.base:
            raise RetriableError(
                Code.CONFLICT,
                "another run has changed the table meanwhile",
                operation="publish",
                object=staged.load.table,
                hint="nothing was published; the run can simply be tried again",
            )

    # ------------------------------------------------------------------------------------------------- publishing

    def publish(self, record: LedgerRecord) -> list[TableCommit]:
        if any(s.load.mode != "append" and s.merged is None for s in self._staged.values()):
            with self._emitter.during(Step.MERGE):
                self.counts()
        with self._emitter.during(Step.SYNC):
            self._sync()
        with self._emitter.during(Step.LEDGER):
            proposed = self._proposed(record)
        with self._emitter.during(Step.MANIFEST, number=proposed.number):
            beside = self._chain.beside(self._owner, proposed)
        self._attempted = True
        with self._emitter.during(Step.COMMIT, number=proposed.number) as told:
            while not self._linked(beside, proposed.number):
                proposed = self._proposed(record)
                beside = self._chain.beside(self._owner, proposed)
            told["number"] = proposed.number
        for entry_id in self._held.keys() - {entry.id for entry in record.quarantine}:
            self._chain.forget(self._chain.root / self._held[entry_id])
        for staged in self._staged.values():
            if merging.handles(staged.load):  # merged into other files: nothing points at these
                for file in staged.files:
                    self._chain.forget(self._chain.root / file.path)
        self._leave()
        return self._commits(str(proposed.number))

    def _linked(self, beside: Path, number: int) -> bool:
        try:
            return self._chain.link(beside, number)
        finally:
            self._chain.forget(beside)

    def _sync(self) -> None:
        """The files themselves were forced to the disk when they were closed; now their names are."""
        folders = {
            (self._chain.root / file.path).parent
            for staged in self._staged.values()
            for file in (*staged.files, *staged.rewritten)
        }
        if self._held:
            folders.add(self._chain.root / FAILED)
        for folder in sorted(folders):
            with files.told("sync", folder):
                files.sync_folder(folder)

    def _proposed(self, record: LedgerRecord) -> Manifest:
        """The manifest that would follow the head, if this run may still publish."""
        head = self._chain.head()
        if not head.holds(record.claim):
            raise fenced(record.claim)
        earlier = self._chain.published(head, record.claim.key, record.claim.execution_id)
        if earlier is not None and earlier.run_id != record.replaces:
            raise FatalError(
                Code.CONFLICT,
                f"run {earlier.run_id} has published this already",
                operation="publish",
                object=str(record.claim.key),
                hint="nothing was published twice; see the earlier run with: headgate show",
            )
        number = head.number + 1
        kept = self._chain.archived(head)
        tables = dict(head.tables)
        for name, staged in self._staged.items():
            tables[name] = self._table(staged, head.tables.get(name), number)
        return replace(
            kept,
            number=number,
            tables=tables,
            runs=(*kept.runs, _run(record)),
            watermarks=_marked(head, record.claim.key, record.watermarks),
            quarantine=self._quarantined(head, record),
        )

    def _table(self, staged: Staged, table: Table | None, number: int) -> Table:
        if staged.load.mode == "append":
            held, schema = self._merged(staged, table), staging.evolved(staged.load, table)
        else:
            self._check_base(staged, table)
            held, schema = self._after(staged), staged.schema
        keys = staged.load.keys or (table.keys if table else ())
        return Table(staging.encode_schema(schema), tuple(schema.names), held, tuple(keys), number)

    def _quarantined(self, head: Manifest, record: LedgerRecord) -> tuple[tuple[str, QuarantineEntry], ...]:
        held = {entry.id: entry for _, entry in head.quarantine}
        for entry_id in record.resolved:
            if entry_id not in held or held[entry_id].status != "held":
                raise FatalError(
                    Code.CONFLICT,
                    "the entry is no longer held: somebody replayed or discarded it meanwhile",
                    operation="replay",
                    object=entry_id,
                    hint="see: headgate quarantine list",
                )
        waiting = {id_ for id_, entry in held.items() if entry.waits}
        settled = dict.fromkeys(waiting & set(record.superseded), "superseded") | dict.fromkeys(
            record.resolved, "replayed"
        )
        kept = ((project, replace(e, status=settled.get(e.id, e.status))) for project, e in head.quarantine)
        new = ((record.claim.key.project, self._located(entry)) for entry in record.quarantine)
        return (*kept, *new)

    def _located(self, entry: QuarantineEntry) -> QuarantineEntry:
        return replace(entry, location=self._held.get(entry.id, entry.location))

    # ------------------------------------------------------------------------------------------------- the end

    def park(self, record: LedgerRecord) -> None:
        for staged in self._staged.values():
            self._after(staged)
        self._sync()
        document = {
            "run_id": self._claim.run_id,
            "record": {**asdict(record), "claim": _claim_document(record.claim)},
            "held": self._held,
            "tables": [_staged_document(staged) for staged in self._staged.values()],
        }
        with files.told("park", self._intent):
            files.replace_text(self._intent / "parked.json", json.dumps(document))

    def adopt(self, tables: Iterable[Staged], held: Mapping[str, str]) -> None:
        """Take over what a parked run has staged."""
        self._staged = {staged.load.table: staged for staged in tables}
        self._held = dict(held)

    def rollback(self) -> None:
        if self._attempted and self._is_named():
            return
        for writer in self._writers:
            writer.abort()
        paths = [file.path for staged in self._staged.values() for file in (*staged.files, *staged.rewritten)]
        with files.told("rollback", self._chain.root):
            for path in (*paths, *self._held.values()):
                files.unlink(self._chain.root / path)
        for path in paths:
            remove_empty(self._chain.root, (self._chain.root / path).parent)
        self._staged, self._held, self._writers = {}, {}, []
        self._leave()

    def _is_named(self) -> bool:
        """Whether the commit is there after all: whatever interrupted it, published files are not removed."""
        mine = {file.path for staged in self._staged.values() for file in (*staged.files, *staged.rewritten)}
        mine.update(self._held.values())
        return not self._staged or bool(mine & self._chain.named_since())

    def _leave(self) -> None:
        """Nothing is left to be swept; if this fails, the next run's sweep does it."""
        with contextlib.suppress(OSError):
            files.remove_tree(self._intent)


def _copy(source: Path, target: Path) -> None:
    file = files.DurableFile(target)
    try:
        with source.open("rb") as given:
            while data := given.read(CHUNK):
                file.write(data)
        file.commit()
    finally:
        file.close()


def _run(record: LedgerRecord) -> dict[str, Any]:
    key = record.claim.key
    return {
        "project": key.project,
        "pipeline": key.pipeline,
        "run_id": record.claim.run_id,
        "execution_id": record.claim.execution_id,
        "plan_hash": record.plan_hash,
        "epoch": record.claim.epoch,
        "receipt": dict(record.receipt),
    }


def _marked(head: Manifest, key: PipelineKey, new: Iterable[Watermark]) -> dict[str, Mapping[str, Watermark]]:
    marks = dict(head.watermarks)
    mine = {**marks.get(key_text(key), {}), **{mark.source: mark for mark in new}}
    if mine:
        marks[key_text(key)] = mine
    return marks


def _claim_document(claim: Claim) -> dict[str, Any]:
    return {**asdict(claim), "key": [claim.key.project, claim.key.pipeline]}


def _staged_document(staged: Staged) -> dict[str, Any]:
    load = staged.load
    return {
        "load": loads.document(load),
        "schema": staging.encode_schema(staged.schema),
        "base": staged.base,
        "files": [asdict(file) for file in staged.files],
        "rewritten": [asdict(file) for file in staged.rewritten],
        "merged": [asdict(file) for file in staged.merged or ()],
        "counts": [staged.inserted, staged.updated, staged.deleted, staged.unchanged],
    }


def parked(document: Mapping[str, Any]) -> tuple[LedgerRecord, list[Staged], dict[str, str]]:
    """What :meth:`FolderTransaction.park` wrote."""
    record = dict(document["record"])
    claim = dict(record.pop("claim"))
    claimed = Claim(PipelineKey(*claim.pop("key")), **claim)
    tables = [_staged(table) for table in document["tables"]]
    return (
        LedgerRecord.restored(claimed, record),
        tables,
        dict(document["held"]),
    )


def _staged(document: Mapping[str, Any]) -> Staged:
    return Staged(
        loads.load_of(document["load"]),
        staging.decode_schema(document["schema"]),
        document["base"],
        [DataFile(**file) for file in document["files"]],
        tuple(DataFile(**file) for file in document["merged"]),
        [DataFile(**file) for file in document["rewritten"]],
        *document["counts"],
    )
