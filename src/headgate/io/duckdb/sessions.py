"""A connection to a DuckDB file as ledger, catalogue and merges want it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headgate.core import ledger
from headgate.io.duckdb.files import told
from headgate.io.relational.columns import TableColumn
from headgate.io.relational.tables import Tables
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import duckdb

_RELATIONS = (
    "SELECT schema_name, table_name AS name FROM duckdb_tables() WHERE database_name = current_database()"
    " UNION ALL SELECT schema_name, view_name FROM duckdb_views()"
    " WHERE NOT internal AND database_name = current_database()"
)
TEMPORARY = ""
"""The schema of relations that only this connection has."""


class Session(Tables):
    """One open connection. Whoever made it closes it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, operation: str, object_: str) -> None:
        self.connection, self.operation, self._object = connection, operation, object_

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with told(self.operation, self._object):
            return self.connection.execute(statement, list(parameters)).fetchall()

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        rows = self.query(statement, parameters)
        return rows[0][0] if rows else None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it changed."""
        rows = self.query(statement, parameters)
        return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0

    def begin(self) -> None:
        self.query("BEGIN")

    def commit(self) -> None:
        self.query("COMMIT")

    def rollback(self) -> None:
        self.query("ROLLBACK")

    @property
    def alive(self) -> bool:
        return True

    def close(self) -> None:
        self.connection.close()

    # ----------------------------------------------------------------------------------------- catalogue

    def tables(self) -> list[str]:
        """Tables and views; those of another schema than main with its name."""
        rows = self.query(f"SELECT * FROM ({_RELATIONS}) ORDER BY 1, 2")
        return [
            name if schema == "main" else f"{schema}.{name}"
            for schema, name in rows
            if not name.startswith(ledger.PREFIX)
        ]

    def find(self, table: str) -> tuple[str, str] | None:
        """(schema, table) of a name, which may be ``schema.table``; None if it is not there."""
        candidates = [("main", table)]
        if "." in table:
            candidates.append((table.partition(".")[0], table.partition(".")[2]))
        for place in candidates:
            if self.query(f"SELECT 1 FROM ({_RELATIONS}) WHERE schema_name = ? AND name = ?", place):
                return place
        return None

    def keys(self, place: tuple[str, str]) -> tuple[str, ...]:
        rows = self.query(
            "SELECT constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
            " AND database_name = current_database() AND schema_name = ? AND table_name = ?",
            place,
        )
        return tuple(rows[0][0]) if rows else ()

    def cascades(self, place: tuple[str, str]) -> list[tuple[str, str]]:  # noqa: ARG002 - DuckDB has none
        return []

    def table_columns(self, place: tuple[str, str]) -> list[TableColumn]:
        from headgate.io.duckdb.types import table_column

        with told(self.operation, self._object):
            relation = self.connection.sql(f"SELECT * FROM {quoted(place)} LIMIT 0")
            arrow = relation.to_arrow_table().schema
            found = zip(relation.columns, relation.types, arrow, strict=True)
            return [table_column(name, type_, field.type) for name, type_, field in found]


def quoted(place: tuple[str, str]) -> str:
    return quote_name(place[1]) if place[0] == TEMPORARY else f"{quote_name(place[0])}.{quote_name(place[1])}"
