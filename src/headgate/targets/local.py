"""A folder of Parquet files as a target, with a chain of manifests that says which files are the tables.

Readers that glob the folder get no atomicity: they see files that are not published yet, or no longer. Use
:func:`read_manifest`, or ``headgate query``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from headgate.core.contracts import EVERY, Capability, FileScan, Load, Partitioning, Scan, SourceSchema, TableInfo
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.events import Emitter
from headgate.core.ledger import Claim, LedgerRecord, PipelineState, PublishedRun, QuarantineEntry, Watermark
from headgate.core.models import Size, WriteOptions
from headgate.core.runs import PipelineKey
from headgate.io import files, formats, local, locks
from headgate.io.ledger import gone
from headgate.io.local import Connection
from headgate.targets._local import parts, staging, transaction, writing
from headgate.targets._local.chain import Chain
from headgate.targets._local.manifest import DataFile, Manifest, Table, key_hash, key_text
from headgate.targets._local.transaction import FolderTransaction

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Connection", "FolderStore", "PublishedTable", "Write", "open_store", "read_manifest"]


class Write(WriteOptions):
    """A table in the folder: a folder of files named by the manifests."""

    format: Literal["parquet", "csv", "json", "avro"] = Field(
        default="parquet", description="Of the files that are written; a table may have files of several formats."
    )
    compression: Literal["zstd", "snappy", "gzip", "brotli", "lz4", "deflate", "none"] | None = Field(
        default=None,
        description="Of the files. Parquet has zstd (its default), snappy, gzip, brotli, lz4, none; CSV and JSON none "
        "(their default), gzip, zstd; Avro deflate (its default), snappy, none.",
    )
    file_size: Size = Field(default=writing.FILE_SIZE, gt=0, description="Begin a new file when one is so large.")
    file_rows: int | None = Field(
        default=None,
        ge=1,
        description="Begin a new file after so many rows, and number them: batch_00001 and on, in a folder of the run.",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Write:
        codecs = formats.named(self.format).CODECS
        if self.compression is not None and self.compression not in codecs:
            raise ValueError(f"{self.format} files have no compression {self.compression}; one of: {', '.join(codecs)}")
        return self


MODES: frozenset[Capability] = EVERY | {"partition tables", "preview"}


@dataclass(frozen=True)
class PublishedTable:
    """A table as readers should see it. ``files`` are absolute paths; ``rows`` counts those in all files."""

    files: tuple[Path, ...]
    columns: tuple[str, ...]
    rows: int


def read_manifest(folder: Path, number: int | None = None) -> dict[str, PublishedTable]:
    """The tables of a folder as they are published: the newest state, or that of an older manifest.

    Raises:
        FatalError: NOT_FOUND for a number that is not kept.
    """
    chain = Chain(folder.resolve())
    manifest = chain.head() if number is None else chain.at(number)
    return {
        name: PublishedTable(tuple(chain.root / file.path for file in table.files), table.names, table.rows)
        for name, table in manifest.tables.items()
    }


def check_types(schema: pa.Schema) -> None:
    """Refuse a column that the target cannot hold exactly, before anything is read. Raises FatalError UNSUPPORTED."""
    staging.check_types(Load("", "append", schema))


def check_write(schema: pa.Schema, write: Write) -> None:
    """The same for files of the format that ``write`` says, and for the folders that it wants."""
    parts_ = Partitioning(write.partitioning.column, write.partitioning.by) if write.partitioning else None
    staging.check_types(Load(write.table, "append", schema, write=write))
    parts.check(parts_, schema, write.table)


def open_store(name: str, connection: Connection, root: Path) -> FolderStore:
    return FolderStore(name, local.folder_of(connection, root))


class FolderStore:
    """One folder. Nothing is kept open between calls."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._chain = Chain(folder)

    def test(self) -> str:
        folder = self._chain.root
        files.refuse_unwritable(folder, "connect")
        return f"folder {folder}, version {self._chain.head().number}"

    def lock(self, key: PipelineKey) -> AbstractContextManager[None]:
        return locks.file_lock(self._chain.own / "locks" / f"{key_hash(key)}.lock", key)

    # ------------------------------------------------------------------------------------------------- the ledger

    def state(self, key: PipelineKey) -> PipelineState:
        return self._chain.head().state(key)

    def published(self, key: PipelineKey, execution_id: str) -> PublishedRun | None:
        return self._chain.published(self._chain.head(), key, execution_id)

    def claim(self, key: PipelineKey, run_id: str, execution_id: str) -> Claim:
        def raised(head: Manifest) -> Manifest:
            epoch = head.state(key).epoch + 1
            pipelines = {**head.pipelines, key_text(key): (epoch, run_id, execution_id)}
            return replace(head, number=head.number + 1, pipelines=pipelines)

        failed = self._chain.root / writing.FAILED
        with files.told("create", failed):
            files.make_folder(failed)
        written = self._chain.commit(transaction.owner(key, run_id), raised)
        return Claim(key, run_id, execution_id, written.state(key).epoch)

    def set_watermark(self, key: PipelineKey, watermark: Watermark | None, source: str) -> None:
        def marked(head: Manifest) -> Manifest:
            mine = {name: mark for name, mark in head.watermarks.get(key_text(key), {}).items() if name != source}
            if watermark is not None:
                mine[watermark.source] = watermark
            return replace(head, number=head.number + 1, watermarks={**head.watermarks, key_text(key): mine})

        self._chain.commit(transaction.owner(key, "by-hand"), marked)

    def quarantine(self, project: str) -> list[QuarantineEntry]:
        found = [entry for owner, entry in self._chain.head().quarantine if owner == project]
        return sorted(found, key=lambda entry: entry.id)

    def held(self, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        path = self._chain.root / entry.location
        if not path.is_file():
            raise gone(entry)
        with files.told("read", path), pq.ParquetFile(path) as file:
            yield from file.iter_batches()

    def resolve(self, entry_ids: Sequence[str], status: str) -> int:
        changed: list[str] = []

        def resolved(head: Manifest) -> Manifest:
            changed[:] = [e.id for _, e in head.quarantine if e.id in entry_ids and e.waits]
            entries = ((p, replace(e, status=status) if e.id in changed else e) for p, e in head.quarantine)
            return replace(head, number=head.number + 1, quarantine=tuple(entries))

        if any(entry.id in entry_ids and entry.waits for _, entry in self._chain.head().quarantine):
            self._chain.commit("by-hand", resolved)
        return len(changed)

    def free(self, entry_ids: Sequence[str]) -> int:
        settled = [entry for _, entry in self._chain.head().quarantine if entry.id in entry_ids and not entry.waits]
        return sum(files.remove(self._chain.root / entry.location) for entry in settled if entry.location)

    # ------------------------------------------------------------------------------------------------- runs

    def begin(self, claim: Claim, emitter: Emitter, workdir: Path, *, durable: bool = False) -> FolderTransaction:  # noqa: ARG002 - staging is durable anyway
        return FolderTransaction(self._chain, claim, emitter, workdir)

    def resume(
        self, claim: Claim, run_id: str, emitter: Emitter, workdir: Path
    ) -> tuple[FolderTransaction, LedgerRecord] | None:
        path = self._chain.own / "staging" / transaction.owner(claim.key, run_id) / "parked.json"
        if not path.exists():
            return None
        try:
            record, tables, held = transaction.parked(files.read_json(path))
        except (ValueError, KeyError, TypeError) as error:
            raise FatalError(
                Code.STATE_INVALID,
                f"what the run left cannot be read: {error}",
                operation="resume",
                object=str(path),
                hint=f"discard it with: headgate discard {run_id}",
            ) from None
        found = FolderTransaction(self._chain, claim, emitter, workdir, staged_by=run_id)
        found.adopt(tables, held)
        return found, record

    def sweep(self, claim: Claim) -> int:
        """Also forgets manifests that are no longer kept, with the files that only they name."""
        prefix = f"{key_hash(claim.key)}-"
        mine = transaction.owner(claim.key, claim.run_id)
        gone = 0
        with files.told("sweep", self._chain.root):
            for path in self._chain.leftovers(prefix):
                if not path.name.startswith(f".{mine}."):
                    files.unlink(path)
                    gone += 1
            for intent in sorted((self._chain.own / "staging").glob(f"{prefix}*")):
                if intent.name != mine and not self._is_parked(intent, claim.key):
                    gone += self._sweep_run(intent)
        return gone + self._chain.prune()

    def _is_parked(self, intent: Path, key: PipelineKey) -> bool:
        """Whether a run waits here to be published. Its files are named already if that was done and then it died."""
        try:
            document = files.read_json(intent / "parked.json")
            record, tables, _ = transaction.parked(document)
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError):
            return True  # whatever it is, it was meant to be kept
        if self.published(key, record.claim.execution_id) is None:
            return True
        waiting = {file.path for staged in tables for file in staged.files}
        return bool(waiting) and not waiting & self._chain.named_since()

    def _sweep_run(self, intent: Path) -> int:
        """Remove the files of a dead run that no manifest names, and then the mark that it was there."""
        named = self._chain.named_since()
        left = [
            path
            for path in writing.left(self._chain.root, intent.name)
            if path.relative_to(self._chain.root).as_posix() not in named
        ]
        for path in left:
            files.unlink(path)
            writing.remove_empty(self._chain.root, path.parent)
        files.remove_tree(intent)
        return len(left) + 1

    # ------------------------------------------------------------------------------------------------- tables

    def tables(self) -> list[str]:
        return sorted(self._chain.head().tables)

    def describe(self, table: str) -> TableInfo | None:
        head = self._chain.head()
        found = head.tables.get(table)
        if found is None:
            return None
        return TableInfo(staging.decode_schema(found.schema), found.keys, str(found.changed), found.rows)

    def reader(self, table: str, at: str | None = None) -> Scan:
        manifest = self._chain.head() if at is None else self._chain.at(_number(at))
        found = manifest.tables.get(table)
        if found is None:
            raise FatalError(
                Code.TABLE_NOT_FOUND,
                "there is no such table",
                operation="read",
                object=table,
                hint=nearest(table, manifest.tables),
            )
        schema = SourceSchema(staging.decode_schema(found.schema), keys=found.keys)
        plain = all(file.path.endswith(".parquet") and file.columns == len(found.names) for file in found.files)
        if found.files and plain:
            paths = tuple(str(self._chain.root / file.path) for file in found.files)
            return Scan(schema, files=FileScan("parquet", paths), estimated_rows=found.rows)
        return Scan(schema, batches=self._batches(schema.raw, found), estimated_rows=found.rows)

    def _batches(self, schema: pa.Schema, table: Table) -> pa.RecordBatchReader:
        """Rows of files that lack columns which came later (NULL there), or that only their format reads."""
        import pyarrow as pa

        def read(held: Sequence[DataFile]) -> Iterator[pa.RecordBatch]:
            for one in held:
                for batch in formats.read(self._chain.root / one.path, schema, one.columns):
                    yield staging.fitted(batch, schema)

        return pa.RecordBatchReader.from_batches(schema, read(table.files))

    def close(self) -> None:
        """Nothing is open."""


def _number(at: str) -> int:
    if not at.isdecimal():
        raise FatalError(
            Code.USAGE, f'"{at}" is not a version', operation="read", object=at, hint="versions are numbers"
        )
    return int(at)
