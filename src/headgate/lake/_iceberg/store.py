"""The lake as a store: reading its state needs nothing but the standard library's sqlite3 and json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.core.contracts import Scan, TableInfo, Transaction
from headgate.core.events import Emitter
from headgate.core.ledger import (
    RESOLVE_QUARANTINE,
    SETTLED_LOCATION,
    Claim,
    LedgerRecord,
    PipelineState,
    PublishedRun,
    QuarantineEntry,
    Watermark,
)
from headgate.core.runs import PipelineKey
from headgate.core.values import counted
from headgate.io import files, ledger
from headgate.io.locks import file_lock
from headgate.lake._iceberg import metadata, names, parked
from headgate.lake._iceberg.catalog import Catalogue

if TYPE_CHECKING:
    import pyarrow as pa


class LakeStore:
    """See :class:`headgate.core.contracts.Store`. Nothing stays open between calls."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self._catalogue = Catalogue(root)

    def test(self) -> str:
        root = self._catalogue.root
        files.refuse_unwritable(root, "connect")
        with self._catalogue.reading() as session:
            if session is not None:
                return f"Iceberg lake at {root}, {counted(len(self._catalogue.tables()), 'table')}"
        return f"Iceberg lake at {root}, nothing published yet"

    def lock(self, key: PipelineKey) -> AbstractContextManager[None]:
        return file_lock(self._catalogue.root / names.LOCKS / f"{names.pipeline_digest(key)}.lock", key)

    def state(self, key: PipelineKey) -> PipelineState:
        with self._catalogue.reading() as session:
            return ledger.state(session, key) if session else PipelineState()

    def published(self, key: PipelineKey, execution_id: str) -> PublishedRun | None:
        with self._catalogue.reading() as session:
            return ledger.published(session, key, execution_id) if session else None

    def describe(self, table: str) -> TableInfo | None:
        pointer = self._catalogue.pointer(table)
        if pointer is None:
            return None
        from headgate.lake._iceberg import types

        state = metadata.load(table, pointer)
        schema = types.without_ids(types.arrow_schema(state.schema))
        return TableInfo(schema, state.keys, state.version, state.rows)

    def tables(self) -> list[str]:
        return self._catalogue.tables()

    def claim(self, key: PipelineKey, run_id: str, execution_id: str) -> Claim:
        with self._catalogue.writing("claim") as session:
            claim = ledger.claim(session, key, run_id, execution_id)
            session.commit()
            return claim

    def begin(self, claim: Claim, emitter: Emitter, workdir: Path, *, durable: bool = False) -> Transaction:
        """Staging in the lake is always durable, so ``durable`` changes nothing."""
        del durable
        from headgate.lake._iceberg.transaction import LakeTransaction

        return LakeTransaction(self._catalogue, self.name, claim, emitter, workdir, tag=names.tag(claim))

    def resume(
        self, claim: Claim, run_id: str, emitter: Emitter, workdir: Path
    ) -> tuple[Transaction, LedgerRecord] | None:
        with self._catalogue.reading() as session:
            found = parked.find(session, claim, run_id) if session else None
        if found is None:
            return None
        from headgate.lake._iceberg.transaction import LakeTransaction

        transaction = LakeTransaction(
            self._catalogue, self.name, claim, emitter, workdir, tag=found.tag, resumed=run_id
        )
        transaction.take_over(found.tables, found.held)
        return transaction, found.record

    def sweep(self, claim: Claim) -> int:
        from headgate.lake._iceberg.sweep import sweep

        return sweep(self._catalogue, claim)

    def quarantine(self, project: str) -> list[QuarantineEntry]:
        with self._catalogue.reading() as session:
            return ledger.quarantine(session, project) if session else []

    def held(self, entry: QuarantineEntry) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        path = self._catalogue.root / entry.location
        if not entry.location or not path.is_file():
            raise ledger.gone(entry)
        with files.told("read", path), pq.ParquetFile(path) as file:
            yield from file.iter_batches()

    def resolve(self, entry_ids: Sequence[str], status: str) -> int:
        with self._catalogue.writing("quarantine") as session:
            changed = sum(session.execute(RESOLVE_QUARANTINE, (status, entry)) for entry in entry_ids)
            session.commit()
            return changed

    def free(self, entry_ids: Sequence[str]) -> int:
        with self._catalogue.reading() as session:
            found = [session.query(SETTLED_LOCATION, (entry,)) for entry in entry_ids] if session else []
        return sum(files.remove(self._catalogue.root / rows[0][0]) for rows in found if rows and rows[0][0])

    def set_watermark(self, key: PipelineKey, watermark: Watermark | None, source: str) -> None:
        with self._catalogue.writing("state") as session:
            if watermark is None:
                ledger.forget_watermark(session, key, source)
            else:
                ledger.set_watermark(session, key, watermark)
            session.commit()

    def reader(self, table: str, at: str | None = None) -> Scan:
        from headgate.lake._iceberg import reading

        return reading.read(metadata.current(self._catalogue, table), at)

    def close(self) -> None:
        """Nothing is open."""
