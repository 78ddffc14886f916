"""Rows on their way into a SQLite database: a file of their own beside it, which nobody reads and no lock guards.

The database's own write lock is taken only when the staged rows are merged.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.ledger import Claim, LedgerRecord, QuarantineEntry
from headgate.core.runs import PipelineKey
from headgate.io import files, ledger, loads, sqlite_types
from headgate.io.merging import KEYED, identity
from headgate.io.sqlite import SqliteStatements, TableColumn, told
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.core.contracts import Load, Mode


@dataclass(frozen=True)
class StagedTable:
    """What is staged for one table: plain data, so that parked work can be found again."""

    number: int
    load: Load
    """With its columns spelled as in the table."""
    columns: tuple[TableColumn, ...]
    rows: int = 0

    @property
    def table(self) -> str:
        return self.load.table

    @property
    def mode(self) -> Mode:
        return self.load.mode

    @property
    def keys(self) -> tuple[str, ...]:
        return self.load.keys

    @property
    def relation(self) -> str:
        return f"staged_{self.number}"

    @property
    def kept(self) -> list[TableColumn]:
        """The columns that the table gets."""
        return [column for column in self.columns if column.name != self.load.marker]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.kept]

    def document(self) -> dict[str, Any]:
        columns = [asdict(column) for column in self.columns]
        return {"number": self.number, "load": loads.document(self.load), "columns": columns, "rows": self.rows}

    @classmethod
    def of(cls, document: dict[str, Any]) -> StagedTable:
        columns = tuple(TableColumn(**column) for column in document["columns"])
        return cls(document["number"], loads.load_of(document["load"]), columns, document["rows"])


def plan_table(load: Load, existing: Sequence[TableColumn], number: int) -> StagedTable:
    """Match a load with the table as it is; declared types of known columns are the table's own.

    Raises:
        FatalError: TABLE_NOT_FOUND, SCHEMA_MISMATCH or UNSUPPORTED, before a row is staged.
    """
    if not existing and not load.create:
        raise FatalError(
            Code.TABLE_NOT_FOUND,
            f'there is no table "{load.table}", and create is off',
            operation="stage",
            object=load.table,
            hint="create it, or let headgate: create: true",
        )
    known = {column.name.lower(): column for column in existing}
    columns: list[TableColumn] = []
    for field in load.schema:
        declared = sqlite_types.declare(field)
        column = known.get(field.name.lower())
        if column is None:
            if existing and not load.evolve and field.name != load.marker:
                raise _mismatch(load.table, f'"{field.name}" is new, and evolve is off', "let it grow: evolve: evolve")
            column = TableColumn(field.name, declared)
        elif not sqlite_types.accepts(column, field.type):
            raise _mismatch(
                load.table,
                f'"{column.name}" is {column.declared or "without a type"} in the table and {field.type} in the rows,'
                " which would not fit exactly",
                f"cast it: {{type: cast, columns: {{{column.name}: …}}}}",
            )
        columns.append(column)
    _check_names(load, columns)
    return StagedTable(number, loads.respelled(load, [column.name for column in columns]), tuple(columns))


def _mismatch(table: str, message: str, hint: str) -> FatalError:
    return FatalError(Code.SCHEMA_MISMATCH, message, operation="stage", object=table, hint=hint)


def _check_names(load: Load, columns: Sequence[TableColumn]) -> None:
    lowered = [column.name.lower() for column in columns]
    twice = sorted({name for name in lowered if lowered.count(name) > 1})
    missing = [key for key in load.keys if key.lower() not in lowered]
    if load.table.lower().startswith(("headgate_", "sqlite_")):
        message, hint = "names that start so are kept for the database's own tables", "choose another table name"
    elif twice:
        message, hint = f"SQLite takes {', '.join(twice)} for one column", "rename one of them"
    elif missing or (load.mode in KEYED and not load.keys):
        message, hint = f"the merge keys {missing} are not among the columns", "name the columns in keys"
    else:
        return
    raise FatalError(Code.UNSUPPORTED, message, operation="stage", object=load.table, hint=hint)


class Staging:
    """One staging file: a table a load, and the held rows."""

    def __init__(self, path: Path, *, durable: bool, new: bool = True) -> None:
        self.path, self.durable = path, durable
        self.tables: list[StagedTable] = []
        with told("stage", path):
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.connection.execute(f"PRAGMA journal_mode = {'DELETE' if durable else 'OFF'}")
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
            if new:
                self.connection.execute(ledger.data_table("BLOB"))

    def add(self, staged: StagedTable) -> StagedWriter:
        columns = ", ".join(f"{quote_name(column.name)} {column.declared}" for column in staged.columns)
        with told("stage", staged.table):
            self.connection.execute(f"CREATE TABLE {staged.relation} ({columns})")
        self.tables.append(staged)
        return StagedWriter(self, staged)

    def hold(self, entry: QuarantineEntry, file: Path) -> None:
        with told("stage", self.path):
            self.connection.execute("BEGIN")
            ledger.hold_file(SqliteStatements(self.connection), entry.id, file)
            self.connection.execute("COMMIT")

    def closed(self, staged: StagedTable) -> None:
        """A writer came to its end: its count is known."""
        self.tables = [staged if table.number == staged.number else table for table in self.tables]

    def close(self) -> None:
        self.connection.close()

    def remove(self) -> None:
        self.close()
        for path in (self.path, self.path.with_name(self.path.name + "-journal")):
            files.unlink(path)

    def park(self, record: LedgerRecord) -> None:
        """Write beside the rows what publishing them needs, durably."""
        document = json.dumps({"record": asdict(record), "tables": [table.document() for table in self.tables]})
        with told("stage", self.path):
            self.connection.execute("CREATE TABLE IF NOT EXISTS headgate_parked (document TEXT NOT NULL)")
            self.connection.execute("DELETE FROM headgate_parked")
            self.connection.execute("INSERT INTO headgate_parked VALUES (?)", (document,))

    def parked(self) -> LedgerRecord:
        """The record that :meth:`park` wrote; the staged tables are known again."""
        with told("resume", self.path):
            ((text,),) = self.connection.execute("SELECT document FROM headgate_parked").fetchall()
        document = json.loads(text)
        self.tables = [StagedTable.of(table) for table in document["tables"]]
        return _record(document["record"])


def _record(document: dict[str, Any]) -> LedgerRecord:
    claim = document["claim"]
    return LedgerRecord.restored(Claim(**{**claim, "key": PipelineKey(**claim["key"])}), document)


class StagedWriter:
    """Takes the rows of one table."""

    def __init__(self, staging: Staging, staged: StagedTable) -> None:
        self._staging, self._staged, self._rows = staging, staged, 0
        marks = ", ".join("?" * len(staged.columns))
        self._insert = f"INSERT INTO {staged.relation} VALUES ({marks})"

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows, each batch in a transaction of the staging file."""
        columns = [sqlite_types.cells(batch.column(place), column) for place, column in enumerate(self._staged.columns)]
        connection = self._staging.connection
        with told("stage", self._staged.table):
            connection.execute("BEGIN")
            try:
                connection.executemany(self._insert, zip(*columns, strict=True))
            except (UnicodeEncodeError, OverflowError, ValueError) as error:
                connection.execute("ROLLBACK")
                raise self._odd_value(error) from error
            connection.execute("COMMIT")
        self._rows += batch.num_rows

    def close(self) -> None:
        """Check the merge keys; afterwards the rows are complete."""
        self._staged = replace(self._staged, rows=self._rows)
        self._staging.closed(self._staged)
        if self._staged.mode in KEYED:
            self._check_keys()

    def _check_keys(self) -> None:
        relation, keys = self._staged.relation, [quote_name(key) for key in identity(self._staged.load)]
        connection = self._staging.connection
        nulls = " OR ".join(f"{key} IS NULL" for key in keys)
        with told("stage", self._staged.table):
            (empty,) = connection.execute(f"SELECT count(*) FROM {relation} WHERE {nulls}").fetchone()
        if empty:
            raise self._bad_keys(f"{empty} row{'' if empty == 1 else 's'} with a NULL merge key")
        try:
            connection.execute(f"CREATE UNIQUE INDEX {relation}_keys ON {relation} ({', '.join(keys)})")
        except sqlite3.IntegrityError:
            grouped = f"SELECT count(*) AS n FROM {relation} GROUP BY {', '.join(keys)} HAVING n > 1"
            (twice,) = connection.execute(f"SELECT count(*) FROM ({grouped})").fetchone()
            raise self._bad_keys(f"{twice} merge key{'' if twice == 1 else 's'} occurring more than once") from None
        except sqlite3.Error as error:
            with told("stage", self._staged.table):
                raise error

    def _bad_keys(self, what: str) -> FatalError:
        return FatalError(
            Code.DUPLICATE_KEYS,
            f"the rows for {self._staged.table} have {what} ({', '.join(identity(self._staged.load))})",
            operation="stage",
            object=self._staged.table,
            hint="add a deduplicate step with an order, or filter the rows without a key",
        )

    def _odd_value(self, error: Exception) -> HeadgateError:
        return FatalError(
            Code.UNSUPPORTED,
            f"a value cannot be kept in SQLite: {error}",
            operation="stage",
            object=self._staged.table,
            hint="clean or cast the column before",
        )
