"""Every mode that takes rows away but upsert, copy on write: affected files are written anew, all others left alone.

A large file of whose rows some only end, or get another number, is written with new columns for that; its other columns
are copied as they are. Small files are brought together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from headgate.core.contracts import Load
from headgate.core.errors import Code, FatalError
from headgate.io import rewriting
from headgate.io.loads import respelled
from headgate.io.merging import Counts
from headgate.io.parquet_columns import FixedError, replace_values
from headgate.io.rewriting import Amended
from headgate.lake._iceberg import queries, snapshots, staging
from headgate.lake._iceberg.metadata import TableState
from headgate.lake._iceberg.schemas import SchemaPlan
from headgate.lake._iceberg.snapshots import LiveFile
from headgate.lake._iceberg.staging import DataFile, RollingFile
from headgate.sql.literals import quote_text

if TYPE_CHECKING:
    import duckdb

LARGE = 4
"""A file of more than this part of a full one stays a file of its own."""


@dataclass
class Rewritten:
    counts: Counts
    added: list[DataFile] = field(default_factory=list)
    removed: list[LiveFile] = field(default_factory=list)


@dataclass(frozen=True)
class Rewriting:
    """One load to bring in. ``output`` takes the rows of the new files; ``spill`` is a folder for what is too large."""

    load: Load
    state: TableState | None
    plan: SchemaPlan
    staged: Sequence[DataFile]
    output: RollingFile
    spill: Path

    def work(self) -> Rewritten:
        """Raises DUPLICATE_KEYS for NULL or repeated keys, UNSUPPORTED for what other tools made of the table."""
        live = snapshots.live_files(self.state)
        if snapshots.has_deletes(self.state):
            raise self._unsupported("another tool left delete files in it")
        load = respelled(self.load, [self.plan.spelling(name) for name in self.load.schema.names])
        columns = self.plan.columns
        with queries.session(self.spill) as connection:
            there = queries.present([file.path for file in live])
            staged = queries.relation([file.path for file in self.staged]) if self.staged else None
            rewriting.give(connection, load, columns.remove_metadata(), *_placed(live, there), staged)
            done = rewriting.work_out(connection, load, columns.names)
            removed = [file for file in live if file.path in done.affected]
            in_place = [file for file in removed if self._amended_in_place(connection, file, done.amended)]
            written = sum(file.rows for file in in_place)
            others = [file for file in removed if file not in in_place]
            coming = done.coming([file.path for file in in_place])
            for query in (*self._remaining(others, done.gone), coming):
                for batch in queries.batches(connection, query, columns):
                    self.output.write(batch)
                    written += batch.num_rows
        wanted = sum(file.rows for file in removed) + done.growth
        if written != wanted:
            raise FatalError(
                Code.ACCOUNTING_FAILED,
                f"the merge gave {written} rows where {wanted} were due",
                operation="merge",
                object=self.load.table,
                hint="nothing was published; please report this",
            )
        return Rewritten(done.counts, list(self.output.close()), removed)

    def _amended_in_place(self, connection: duckdb.DuckDBPyConnection, file: LiveFile, amended: Amended | None) -> bool:
        """Write a file anew but for the columns that stay as they are; False if it is to be written as a whole."""
        if amended is None or file.path not in amended.files or not _large(file):
            return False
        columns = self.plan.columns
        if queries.agreement(file.path, columns) != "exact":
            return False
        values = pa.schema([pa.field(rewriting.ROW, pa.int64()), *(columns.field(name) for name in amended.columns)])
        table = pa.Table.from_batches(queries.batches(connection, amended.of(file.path), values), values)
        if table.num_rows != amended.files[file.path] or table.column(0).null_count:
            return False
        try:
            self.output.place(lambda path: replace_values(Path(file.path), path, table), file.rows)
        except FixedError:
            return False
        return True

    def _remaining(self, removed: Sequence[LiveFile], gone: str) -> Iterator[str]:
        """One query a file, so that rows stay near their neighbours."""
        columns = self.plan.columns
        for file in removed:
            match queries.agreement(file.path, columns):
                case "foreign":
                    raise self._unsupported(f"another tool renamed or retyped columns ({Path(file.path).name})")
                case "exact":
                    source = f"{queries.relation([file.path])} AS o WHERE"
                case _:
                    source = f"{rewriting.KEPT} AS o WHERE o.{rewriting.FILE} = {quote_text(file.path)} AND"
            yield f"SELECT {queries.column_list(columns.names, 'o')} FROM {source} NOT coalesce({gone}, FALSE)"

    def _unsupported(self, why: str) -> FatalError:
        return FatalError(
            Code.UNSUPPORTED,
            f"the table cannot be merged into: {why}",
            operation="merge",
            object=self.load.table,
            hint="rewrite the table with that tool, or overwrite it",
        )


def _placed(live: Sequence[LiveFile], there: set[str]) -> tuple[str | None, set[str]]:
    """The table's rows with their places, and the columns that they have. Files may have a column of the same name."""
    if not live:
        return None, there
    source = queries.relation([file.path for file in live], rewriting.FILE)
    if queries.NUMBER in there:
        return source, there
    return f"(SELECT *, {queries.NUMBER} AS {rewriting.ROW} FROM {source})", {*there, rewriting.ROW}


def _large(file: LiveFile) -> bool:
    """Whether a file is to stay one: it need not meet others, and is not larger than those that are made now."""
    part = max(file.rows / staging.FILE_ROWS, file.size / staging.FILE_BYTES)
    return part >= 1 / LARGE and file.rows <= 2 * staging.FILE_ROWS
