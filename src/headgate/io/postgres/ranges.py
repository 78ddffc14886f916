"""One table read by several sessions at once: ranges of its pages, all in one exported snapshot."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from headgate.core.errors import Code, FatalError
from headgate.io.postgres.catalogue import Relation
from headgate.io.postgres.connection import Connection, connect
from headgate.io.postgres.reading import SNAPSHOT, Snapshot
from headgate.io.postgres.statements import Statements

if TYPE_CHECKING:
    import pyarrow as pa

DEPTH = 2
"""Batches that wait for each session."""


def conditions(pages: int, parts: int) -> list[str]:
    """SQL for so many ranges of a table's pages, which together are the table, however it grows meanwhile."""
    edges = [pages * number // parts for number in range(1, parts)]
    starts = ["", *(f"ctid >= '({edge},0)'" for edge in edges)]
    ends = [*(f"ctid < '({edge},0)'" for edge in edges), ""]
    return [" AND ".join(part for part in pair if part) for pair in zip(starts, ends, strict=True)]


class Ranges:
    """The sessions that read one table.

    Args:
        connection: where.
        relation: a plain table.
        parts: how many sessions; fewer for small tables.
    """

    def __init__(self, connection: Connection, relation: Relation, parts: int) -> None:
        self._snapshots: list[Snapshot] = []
        self._together: _Together | None = None
        exporting = connect(connection, autocommit=False, settings=SNAPSHOT)
        try:
            statements = Statements(exporting, "scan", relation.name)
            pages = int(
                statements.value(
                    "SELECT pg_relation_size(?::oid) / current_setting('block_size')::bigint", (relation.oid,)
                )
            )
            exported = str(statements.value("SELECT pg_export_snapshot()"))
            self.conditions = conditions(pages, max(1, min(parts, pages)))
            for _ in self.conditions:
                self._snapshots.append(Snapshot(connection, relation.name, exported))
        except BaseException:
            self.close()
            raise
        finally:
            exporting.close()  # the others hold the snapshot now

    def stream(self, select: Callable[[str], str], schema: pa.Schema, batch_rows: int) -> pa.RecordBatchReader:
        """The rows of all ranges as they come; ``select`` makes a statement of a range's condition."""
        import pyarrow as pa

        pairs = zip(self._snapshots, self.conditions, strict=True)
        readers = [snapshot.stream(select(condition), schema, batch_rows) for snapshot, condition in pairs]
        self._together = _Together(readers, self.cancel)
        return pa.RecordBatchReader.from_batches(schema, self._together.batches())

    def cancel(self) -> None:
        for snapshot in self._snapshots:
            snapshot.cancel()

    def close(self) -> None:
        """End the sessions, also in the middle of a stream: whoever still reads from them is stopped first."""
        if self._together is not None:
            self._together.stop()
        while self._snapshots:
            self._snapshots.pop().close()


class _Together:
    """Batches of several readers, each read in a thread of its own."""

    def __init__(self, readers: Sequence[pa.RecordBatchReader], cancel: Callable[[], None]) -> None:
        self._readers, self._cancel = readers, cancel
        self._waiting: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(DEPTH * len(readers))
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def batches(self) -> Iterator[pa.RecordBatch]:
        """In the order in which they come. Raises the first error of a reader."""
        self._threads = [
            threading.Thread(target=self._read, args=(reader,), name="headgate-range", daemon=True)
            for reader in self._readers
        ]
        for thread in self._threads:
            thread.start()
        try:
            left = len(self._readers)
            while left:
                item = self._waiting.get()
                if self._stopped.is_set():
                    raise FatalError(Code.INTERRUPTED, "the reading was ended", operation="scan")
                if isinstance(item, BaseException):
                    raise item
                if item is None:
                    left -= 1
                else:
                    yield item
        finally:
            self.stop()

    def stop(self) -> None:
        """Nobody wants more. Waits for the threads: a session that one of them reads from must not be closed."""
        self._stopped.set()
        if any(thread.is_alive() for thread in self._threads):
            self._cancel()
        for thread in self._threads:
            thread.join()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)  # for whoever waits in another thread

    def _read(self, reader: pa.RecordBatchReader) -> None:
        try:
            for batch in reader:
                if not self._offer(batch):
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._offer(error)
        else:
            self._offer(None)

    def _offer(self, item: pa.RecordBatch | BaseException | None) -> bool:
        """Put an item when there is room; False when nobody wants it any more."""
        while not self._stopped.is_set():
            try:
                self._waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
