"""Every mode that takes rows away but upsert, copy on write: affected files are written anew, all others left alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headgate.core.contracts import Load
from headgate.core.errors import Code, FatalError
from headgate.io import rewriting
from headgate.io.loads import respelled
from headgate.io.merging import Counts
from headgate.lake._iceberg import queries, snapshots
from headgate.lake._iceberg.metadata import TableState
from headgate.lake._iceberg.schemas import SchemaPlan
from headgate.lake._iceberg.snapshots import LiveFile
from headgate.lake._iceberg.staging import DataFile, RollingFile
from headgate.sql.literals import quote_text


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
            kept = queries.relation([file.path for file in live], rewriting.FILE) if live else None
            there = queries.present([file.path for file in live])
            staged = queries.relation([file.path for file in self.staged]) if self.staged else None
            rewriting.give(connection, load, columns.remove_metadata(), kept, staged, there)
            done = rewriting.work_out(connection, load, columns.names)
            removed = [file for file in live if file.path in done.affected]
            written = 0
            for query in (*self._remaining(removed, done.gone), done.fresh):
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
