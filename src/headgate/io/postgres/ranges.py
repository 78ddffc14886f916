"""One table read by several sessions at once: ranges of its pages, all in one exported snapshot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from headgate.io.ahead import Ahead
from headgate.io.postgres.catalogue import Relation
from headgate.io.postgres.connection import Connection, connect
from headgate.io.postgres.reading import SNAPSHOT, Snapshot
from headgate.io.postgres.statements import Statements

if TYPE_CHECKING:
    import pyarrow as pa


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
        self._together: Ahead[pa.RecordBatch] | None = None
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
        parts = [snapshot.batches(select(condition), schema, batch_rows) for snapshot, condition in pairs]
        self._together = Ahead(*parts, cancel=self.cancel)
        return pa.RecordBatchReader.from_batches(schema, iter(self._together))

    def cancel(self) -> None:
        for snapshot in self._snapshots:
            snapshot.cancel()

    def close(self) -> None:
        """End the sessions, also in the middle of a stream: whoever still reads from them is stopped first."""
        if self._together is not None:
            self._together.close()
        while self._snapshots:
            self._snapshots.pop().close()
