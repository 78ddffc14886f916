"""SQL that moves staged rows into their table, inside the one transaction that publishes a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Repeats
from headgate.core.errors import Code, FatalError
from headgate.core.runs import TableCommit
from headgate.io import merging, sqlite, sqlite_rows, sqlite_types
from headgate.io.sqlite_staging import StagedTable
from headgate.sql.literals import literal as sql_literal
from headgate.sql.literals import quote_name, quote_text
from headgate.sql.repeats import repeats

if TYPE_CHECKING:
    import pyarrow as pa


def merge(connection: sqlite3.Connection, staged: StagedTable, commit: str) -> TableCommit:
    """Apply one staged table; the staging file is attached as ``staging``."""
    prepare(connection, staged)
    target, source = f"main.{quote_name(staged.table)}", f"staging.{staged.relation}"
    names = ", ".join(quote_name(name) for name in staged.names)
    insert = f"INSERT INTO {target} ({names}) SELECT {names} FROM {source}"
    if merging.handles(staged.load):
        place = merging.Target(target, source, _literal(staged), f"headgate_{staged.number}")
        done = merging.apply(staged.load, place, _Session(connection))
        return TableCommit(
            staged.table, commit, "", done.inserted, done.updated, done.deleted, done.unchanged, done.rejected
        )
    match staged.mode:
        case "append":
            return TableCommit(staged.table, commit, inserted=connection.execute(insert).rowcount)
        case "overwrite":
            deleted = _count(connection, target)
            connection.execute(f"DELETE FROM {target}")
            return TableCommit(staged.table, commit, inserted=connection.execute(insert).rowcount, deleted=deleted)
        case _:
            updated = connection.execute(_update(staged, target, source)).rowcount
            inserted = connection.execute(_insert_missing(staged, target, source)).rowcount
            return TableCommit(staged.table, commit, inserted=inserted, updated=updated)


def prepare(connection: sqlite3.Connection, staged: StagedTable) -> None:
    """Create the table or add its new columns. Raises SCHEMA_MISMATCH if it changed since the rows were staged."""
    target = f"main.{quote_name(staged.table)}"
    existing = {column.name.lower(): column for column in sqlite.columns(connection, staged.table)}
    if not existing:
        columns = [f"{quote_name(column.name)} {column.declared}" for column in staged.kept]
        if staged.mode in merging.KEYED:
            listed = ", ".join(quote_name(key) for key in merging.identity(staged.load))
            columns.append(f"PRIMARY KEY ({listed})")
        connection.execute(f"CREATE TABLE {target} ({', '.join(columns)})")
        return
    for column in staged.kept:
        found = existing.get(column.name.lower())
        if found is None:
            connection.execute(f"ALTER TABLE {target} ADD COLUMN {quote_name(column.name)} {column.declared}")
        elif found.type != column.type:
            raise FatalError(
                Code.SCHEMA_MISMATCH,
                f'"{column.name}" was {column.declared} when the rows were staged and is {found.declared} now',
                operation="publish",
                object=staged.table,
                hint="run again",
            )


def _same_keys(staged: StagedTable, left: str, right: str) -> str:
    return " AND ".join(f"{left}.{quote_name(key)} = {right}.{quote_name(key)}" for key in staged.keys)


def _update(staged: StagedTable, target: str, source: str) -> str:
    """Sets every other column; a key alone is set to itself, so that matches are counted."""
    others = [name for name in staged.names if name not in staged.keys] or [staged.keys[0]]
    changes = ", ".join(f"{quote_name(name)} = incoming.{quote_name(name)}" for name in others)
    same = _same_keys(staged, "kept", "incoming")
    return f"UPDATE {target} AS kept SET {changes} FROM {source} AS incoming WHERE {same}"


def _insert_missing(staged: StagedTable, target: str, source: str) -> str:
    names = ", ".join(quote_name(name) for name in staged.names)
    incoming = ", ".join(f"incoming.{quote_name(name)}" for name in staged.names)
    return (
        f"INSERT INTO {target} ({names}) SELECT {incoming} FROM {source} AS incoming"
        f" LEFT JOIN {target} AS kept ON {_same_keys(staged, 'kept', 'incoming')}"
        f" WHERE kept.{quote_name(staged.keys[0])} IS NULL"
    )


@dataclass(frozen=True)
class _Session:
    connection: sqlite3.Connection

    def execute(self, statement: str) -> int:
        return max(self.connection.execute(statement).rowcount, 0)

    def value(self, statement: str) -> Any:
        return self.connection.execute(statement).fetchone()[0]

    def attempt(self, statement: str) -> int | str:
        self.connection.execute("SAVEPOINT headgate_try")
        try:
            return self.execute(statement)
        except sqlite3.IntegrityError as error:
            self.connection.execute("ROLLBACK TO headgate_try")
            return str(error)
        finally:
            self.connection.execute("RELEASE headgate_try")

    def payload(self, columns: Sequence[str]) -> str:
        # JSON has no infinity, and SQLite would write one as Inf
        infinite = "WHEN 'real' THEN CASE s.{c} WHEN 9e999 THEN 'Infinity' WHEN -9e999 THEN '-Infinity' ELSE s.{c} END"
        values = (
            f"CASE typeof(s.{c}) WHEN 'blob' THEN hex(s.{c}) {infinite.format(c=c)} ELSE s.{c} END"
            for c in map(quote_name, columns)
        )
        pairs = ", ".join(f"{quote_text(name)}, {value}" for name, value in zip(columns, values, strict=True))
        return f"json_object({pairs})"

    def letters(self, table: str, columns: Sequence[str]) -> str:
        place = f"main.{quote_name(table)}"
        self.execute(f"CREATE TABLE IF NOT EXISTS {place} ({', '.join(f'{name} TEXT' for name in columns)})")
        return place


def _literal(staged: StagedTable) -> merging.Literal:
    """Values in the form that their column keeps them in."""
    columns = {column.name: column for column in staged.columns}

    def literal(value: Any, column: str) -> str:
        import pyarrow as pa

        (cell,) = sqlite_types.cells(pa.array([value.as_py()], value.type), columns[column])
        return sql_literal(cell)

    return literal


def expected(connection: sqlite3.Connection, staged: StagedTable) -> TableCommit:
    """What :func:`merge` would do now, without doing it."""
    exists = bool(sqlite.columns(connection, staged.table))
    target, source = f"main.{quote_name(staged.table)}", f"staging.{staged.relation}"
    match staged.mode:
        case "append":
            return TableCommit(staged.table, "", inserted=staged.rows)
        case "overwrite":
            deleted = _count(connection, target) if exists else 0
            return TableCommit(staged.table, "", inserted=staged.rows, deleted=deleted)
        case _:
            if not exists:
                return TableCommit(staged.table, "", inserted=staged.rows)
            both = f"{source} AS incoming JOIN {target} AS kept ON {_same_keys(staged, 'kept', 'incoming')}"
            updated = _count(connection, both)
            keys = ", ".join(f"incoming.{quote_name(key)}" for key in staged.keys)
            matched = _count(connection, f"(SELECT DISTINCT {keys} FROM {both})")
            return TableCommit(staged.table, "", inserted=staged.rows - matched, updated=updated)


def duplicates(connection: sqlite3.Connection, staged: StagedTable, columns: Sequence[str]) -> Repeats:
    """Rows, of the table as it will be, whose ``columns`` occur more than once and are not NULL; and all rows."""
    names = [f"c{place}" for place in range(len(columns))]
    return _repeats(connection, f"({result(connection, staged, columns)})", names)


def _repeats(connection: sqlite3.Connection, rows: str, columns: Sequence[str]) -> Repeats:
    repeated, every = connection.execute(repeats(rows, columns)).fetchone()
    return Repeats(int(repeated), int(every))


def result(connection: sqlite3.Connection, staged: StagedTable, columns: Sequence[str]) -> str:
    """SQL of the table as it will be, its columns called c0, c1 and so on."""
    target, source = f"main.{quote_name(staged.table)}", f"staging.{staged.relation}"
    kept = {column.name.lower(): column.name for column in sqlite.columns(connection, staged.table)}
    incoming = {name.lower(): name for name in staged.names}
    parts = [f"SELECT {_listed(columns, incoming)} FROM {source}"]
    if kept and staged.mode != "overwrite":
        stays = ""
        if staged.mode == "upsert":
            stays = (
                f" WHERE NOT EXISTS (SELECT 1 FROM {source} AS incoming WHERE {_same_keys(staged, 'kept', 'incoming')})"
            )
        parts.append(f"SELECT {_listed(columns, kept)} FROM {target} AS kept{stays}")
    return " UNION ALL ".join(parts)


def preview(connection: sqlite3.Connection, staged: StagedTable, columns: Sequence[str]) -> pa.RecordBatchReader:
    """Columns of the table as it will be, as its cells are."""
    return _shown(connection, result(connection, staged, columns), staged.table, columns)


def preview_now(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> pa.RecordBatchReader:
    """The same of the table as it is in this transaction."""
    known = {column.name.lower(): column.name for column in sqlite.columns(connection, table)}
    rows = f"SELECT {_listed(columns, known)} FROM main.{quote_name(table)}"
    return _shown(connection, rows, table, columns)


def _shown(connection: sqlite3.Connection, rows: str, table: str, columns: Sequence[str]) -> pa.RecordBatchReader:
    names = ", ".join(f"c{place} AS {quote_name(name)}" for place, name in enumerate(columns))
    relation = f"(SELECT {names} FROM ({rows}))"
    known = [sqlite.TableColumn(name, "") for name in columns]
    found = sqlite_rows.read_columns(connection, known, relation, quote_name)
    listed = ", ".join(quote_name(name) for name in columns)
    statement = f"SELECT {listed} FROM {relation}"
    return sqlite_rows.read(connection.cursor(), statement, {}, found, 100_000, table)


def duplicates_now(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> Repeats:
    """The same of the table as it is in this transaction."""
    return _repeats(connection, f"main.{quote_name(table)}", [quote_name(name) for name in columns])


def _listed(columns: Sequence[str], known: dict[str, str]) -> str:
    return ", ".join(
        f"{quote_name(known[name.lower()]) if name.lower() in known else 'NULL'} AS c{place}"
        for place, name in enumerate(columns)
    )


def _count(connection: sqlite3.Connection, relation: str) -> int:
    (found,) = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(found)
