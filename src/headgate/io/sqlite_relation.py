"""What a read of SQLite names: a table, a view or a query, as SQL that stands after FROM, with the values it binds."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from headgate.core.contracts import ReadContext
from headgate.core.errors import Code, FatalError, nearest
from headgate.core.models import ReadOptions
from headgate.io import sqlite
from headgate.io.sqlite import TableColumn
from headgate.io.table_reads import check
from headgate.sql.literals import quote_name
from headgate.sql.templates import render_sql


@dataclass(frozen=True)
class Relation:
    """What is read: SQL that stands after FROM, with the values that it binds."""

    sql: str
    columns: tuple[TableColumn, ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    def where(self, *conditions: str) -> str:
        kept = " AND ".join(f"({condition})" for condition in conditions if condition)
        return f"{self.sql} WHERE {kept}" if kept else self.sql

    def column(self, name: str) -> TableColumn:
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        names = [column.name for column in self.columns]
        raise FatalError(
            Code.PLAN_INVALID,
            f'column "{name}" not found',
            operation="schema",
            object=name,
            hint=nearest(name, names) + "; existing columns: " + ", ".join(names),
        )


class Binder:
    """Collects values for a statement and gives each a name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def __call__(self, value: Any) -> str:
        name = f"headgate_{len(self.values)}"
        self.values[name] = value
        return f":{name}"


class Bound:
    """A connection on which every statement gets the same values, for queries with parameters."""

    def __init__(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
        self._connection, self._values = connection, values

    def execute(self, statement: str) -> sqlite3.Cursor:
        return self._connection.execute(statement, self._values)


def find_relation(connection: sqlite3.Connection, read: ReadOptions, context: ReadContext) -> Relation:
    """What a read names, with the run's variables bound in it."""
    check("SQLite", read)
    variables = {name: _as_text(value) for name, value in context.variables.items()}
    where = render_sql(read.where, variables) if read.where else ""
    if read.query is not None:
        query = render_sql(read.query, variables).strip().rstrip(";")
        columns = _query_columns(connection, query, read.parameters)
        relation = Relation(f"({query}\n)", columns, read.parameters)
    else:
        columns = sqlite.known_columns(connection, read.table or "", "schema")
        relation = Relation(quote_name(read.table or ""), columns, read.parameters)
    return replace(relation, sql=f"(SELECT * FROM {relation.sql} WHERE {where}\n)") if where else relation


def _query_columns(
    connection: sqlite3.Connection, query: str, parameters: Mapping[str, Any]
) -> tuple[TableColumn, ...]:
    """Columns of a query, with declared types where they come straight from a table."""
    try:
        connection.execute(f"CREATE TEMP VIEW headgate_query AS SELECT * FROM ({query}\n)")
    except sqlite3.Error:  # a view takes no parameters: the cells must tell then
        found = connection.execute(f"SELECT * FROM ({query}\n) LIMIT 0", parameters)
        return tuple(TableColumn(name, "") for name, *_ in found.description)
    columns = sqlite.columns(connection, "headgate_query", "temp")
    connection.execute("DROP VIEW temp.headgate_query")
    return columns


def _as_text(value: Any) -> Any:
    """Variables as SQLite compares them: it has no type for time, only ISO text."""
    match value:
        case datetime():
            return value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case _:
            return value
