"""Upsert, copy on write: find the files that hold changed keys, write those anew, leave all others alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from headgate.core.errors import Code, FatalError
from headgate.io import files
from headgate.lake._iceberg import queries, snapshots
from headgate.lake._iceberg.metadata import TableState
from headgate.lake._iceberg.schemas import SchemaPlan
from headgate.lake._iceberg.snapshots import LiveFile
from headgate.lake._iceberg.staging import DataFile, RollingFile
from headgate.sql.literals import quote_text

_FILE = "headgate_file"


@dataclass
class Merged:
    added: list[DataFile] = field(default_factory=list)
    removed: list[LiveFile] = field(default_factory=list)
    inserted: int = 0
    updated: int = 0


@dataclass(frozen=True)
class Upsert:
    """One upsert to merge.

    Args:
        keys: in the table's spelling.
        changes: staged files with the load's columns; they stay where they are.
        folder: the table's data folder.
        output: where merged rows go.
        spill: a folder for what does not fit into memory.
    """

    table: str
    state: TableState | None
    plan: SchemaPlan
    keys: tuple[str, ...]
    changes: Sequence[DataFile]
    folder: Path
    output: RollingFile
    spill: Path

    def merge(self) -> Merged:
        """Raises DUPLICATE_KEYS when keys in the rows are NULL or repeated, or repeated in the table."""
        if not self.changes:
            return Merged()
        with queries.session(self.spill) as connection:
            connection.execute(f"CREATE VIEW changes AS FROM {queries.relation([c.path for c in self.changes])}")
            self._check_keys(connection)
            live = snapshots.live_files(self.state)
            if snapshots.has_deletes(self.state):
                raise self._unsupported("another tool left delete files in it")
            candidates = self._prune(connection, live)
            counts = self._match(connection, candidates)
            affected = [file for file in candidates if file.path in counts]
            merged = Merged(removed=affected, updated=sum(counts.values()))
            merged.inserted = sum(change.rows for change in self.changes) - merged.updated
            self._write(connection, merged)
        return merged

    def _check_keys(self, connection: duckdb.DuckDBPyConnection) -> None:
        names = queries.column_list(self.keys)
        nulls = queries.count(
            connection,
            "SELECT count(*) FROM changes WHERE "
            + " OR ".join(f"{queries.column_list([k])} IS NULL" for k in self.keys),
        )
        twice = queries.count(
            connection, f"SELECT count(*) FROM (FROM changes SELECT {names} GROUP BY {names} HAVING count(*) > 1)"
        )
        if nulls or twice:
            what = f"{nulls} rows have no" if nulls else f"{twice} values occur more than once as"
            raise self._duplicate(f"{what} key ({', '.join(self.keys)})", "deduplicate the rows before they are loaded")

    def _duplicate(self, message: str, hint: str) -> FatalError:
        return FatalError(Code.DUPLICATE_KEYS, message, operation="merge", object=self.table, hint=hint)

    def _unsupported(self, why: str) -> FatalError:
        return FatalError(
            Code.UNSUPPORTED,
            f"the table cannot be merged into: {why}",
            operation="merge",
            object=self.table,
            hint="rewrite the table with that tool, or overwrite it",
        )

    def _prune(self, connection: duckdb.DuckDBPyConnection, live: list[LiveFile]) -> list[LiveFile]:
        """Files whose bounds may hold one of the keys, in the order of the first key."""
        state = self.state
        if state is None:
            return []
        present = {column["name"]: column["type"] for column in state.schema["fields"]}
        # Bounds of floating point columns leave NaN out; nested ones have none.
        bounded = [key for key in self.keys if str(present.get(key, "float")) not in {"float", "double"}]
        ranges = {key: self._range(connection, key) for key in bounded}
        kept = []
        for file in live:
            bounds = {key: file.bounds(state.schema, key) for key in bounded}
            if all(_meet(bounds[key], ranges[key]) for key in bounded):
                kept.append((bounds.get(self.keys[0]), file))
        kept.sort(key=lambda found: (found[0] is None, found[0][0] if found[0] else 0))
        return [file for _, file in kept]

    def _range(self, connection: duckdb.DuckDBPyConnection, key: str) -> tuple[Any, Any]:
        """The least and greatest value of a key, as :meth:`LiveFile.bounds` gives them: dates and times as numbers."""
        name = queries.column_list([key])
        table = connection.sql(f"SELECT min({name}) AS low, max({name}) AS high FROM changes").to_arrow_table()
        plain = self.plan.columns.field(key).type
        table = table.cast(pa.schema([pa.field("low", plain), pa.field("high", plain)]))
        number = {pa.date32(): pa.int32(), pa.time64("us"): pa.int64()}.get(plain)
        if isinstance(plain, pa.TimestampType):
            number = pa.int64()
        if number is not None:
            table = table.cast(pa.schema([pa.field("low", number), pa.field("high", number)]))
        low, high = table["low"][0].as_py(), table["high"][0].as_py()
        return low, high

    def _match(self, connection: duckdb.DuckDBPyConnection, candidates: list[LiveFile]) -> dict[str, int]:
        """How many changed keys each file holds; the table ``matched`` keeps which."""
        names = queries.column_list(self.keys)
        there = queries.present([file.path for file in candidates])
        if not candidates or not set(self.keys) <= there:
            connection.execute(f"CREATE TEMP TABLE matched AS SELECT {names}, '' AS {_FILE} FROM changes LIMIT 0")
            return {}
        source = queries.relation([file.path for file in candidates], _FILE)
        connection.execute(
            f"CREATE TEMP TABLE matched AS SELECT {queries.column_list(self.keys, 'c')}, o.{_FILE} AS {_FILE}"
            f" FROM {source} o JOIN (SELECT {names} FROM changes) c ON {queries.equal(self.keys, 'o', 'c')}"
        )
        twice = queries.count(
            connection, f"SELECT count(*) FROM (SELECT {names} FROM matched GROUP BY {names} HAVING count(*) > 1)"
        )
        if twice:
            raise self._duplicate(
                f"the table itself holds {twice} of the keys ({', '.join(self.keys)}) more than once",
                "choose keys that identify a row, or overwrite the table with deduplicated rows",
            )
        found = connection.sql(f"SELECT {_FILE}, count(*) FROM matched GROUP BY 1").fetchall()
        return {str(path): int(number) for path, number in found}

    def _write(self, connection: duckdb.DuckDBPyConnection, merged: Merged) -> None:
        if not set(self.plan.loaded.names) - set(self.keys):
            merged.removed = []  # nothing but keys: a row that is there already stays as it is
        if not merged.removed and not self.plan.missing and not merged.updated:
            merged.added = [self._adopted(change) for change in self.changes]
            return
        written = 0
        for query in self._queries(merged.removed):
            for batch in queries.batches(connection, query, self.plan.columns):
                self.output.write(batch)
                written += batch.num_rows
        merged.added = list(self.output.close())
        wanted = sum(file.rows for file in merged.removed) + merged.inserted
        if written != wanted:
            raise FatalError(
                Code.ACCOUNTING_FAILED,
                f"the merge gave {written} rows where {wanted} were due",
                operation="merge",
                object=self.table,
                hint="nothing was published; please report this",
            )

    def _adopted(self, change: DataFile) -> DataFile:
        """A staged file under a second name among the table's data: no row needs to be written again."""
        name = self.folder / change.path.name
        with files.told("link", name):
            files.make_folder(self.folder)
            try:
                files.link_new(change.path, name)
            except OSError:
                if name.exists():
                    raise
                shutil.copyfile(change.path, name)  # a file system without hard links
                files.sync_file(name)
        return DataFile(name, change.rows)

    def _queries(self, affected: Sequence[LiveFile]) -> Iterator[str]:
        """One query a file, so that rows stay near their neighbours; new rows last."""
        columns, missing = self.plan.columns, set(self.plan.missing)
        on_change = queries.equal(self.keys, "o", "c")
        on_match = queries.equal(self.keys, "c", "m")
        for file in affected:
            if queries.agreement(file.path, columns) == "foreign":
                raise self._unsupported(f"another tool renamed or retyped columns ({Path(file.path).name})")
            there = queries.present([file.path])
            old = queries.relation([file.path])
            kept = f"SELECT {queries.projection(columns, there, 'o')} FROM {old} o ANTI JOIN changes c ON {on_change}"
            if missing:
                mixed = ", ".join(
                    queries.projection(pa.schema([column]), there if column.name in missing else {column.name}, side)
                    for column in columns
                    for side in ["o" if column.name in missing else "c"]
                )
                yield f"{kept} UNION ALL SELECT {mixed} FROM {old} o JOIN changes c ON {on_change}"
                continue
            of_file = f"(FROM matched WHERE {_FILE} = {quote_text(file.path)}) m"
            changed = (
                f"SELECT {queries.column_list(columns.names, 'c')} FROM changes c SEMI JOIN {of_file} ON {on_match}"
            )
            yield f"{kept} UNION ALL {changed}"
        fresh = queries.projection(columns, set(self.plan.loaded.names), "c")
        yield f"SELECT {fresh} FROM changes c ANTI JOIN matched m ON {on_match}"


def _meet(bounds: tuple[Any, Any] | None, span: tuple[Any, Any]) -> bool:
    """Whether a file's bounds and the keys' span have values in common; without bounds they may."""
    if bounds is None or span[0] is None:
        return True
    try:
        return bool(bounds[0] <= span[1] and span[0] <= bounds[1])
    except TypeError:
        return True  # a type that Iceberg's metrics give in another form than Arrow: read the file
