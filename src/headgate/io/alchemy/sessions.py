"""A connection of an engine as ledger, catalogue and merges want it: ``?`` marks parameters, in autocommit mode."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from headgate.core import ledger
from headgate.io.alchemy.engines import explained
from headgate.io.alchemy.types import MYSQL, batches_of, table_column
from headgate.io.relational.columns import TableColumn
from headgate.io.relational.statements import percent_marks
from headgate.io.relational.tables import Tables
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy

_numbers = itertools.count(1)


class Session(Tables):
    """One connection out of the pool. ``close`` gives it back."""

    def __init__(self, engine: sqlalchemy.Engine, operation: str) -> None:
        self.operation, self._place = operation, engine.url.render_as_string(hide_password=True)
        self.dialect = engine.dialect.name
        self._marks = engine.dialect.paramstyle
        self._began = False
        with explained("connect", self._place):
            self.connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    # ---------------------------------------------------------------------------------------- statements

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with explained(self.operation, self._place):
            return [tuple(row) for row in self._run(statement, parameters).fetchall()]

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        rows = self.query(statement, parameters)
        return rows[0][0] if rows else None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it changed."""
        if statement == ledger.INSERT_PIPELINE:
            return self._insert_pipeline(parameters)
        with explained(self.operation, self._place):
            result = self._run(self._spelled(statement), parameters)
            return max(0, int(result.rowcount))

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """One statement with many rows of parameters."""
        with explained(self.operation, self._place):
            self.connection.exec_driver_sql(self._marked(statement), [tuple(row) for row in rows])

    def stream(self, select: str, schema: pa.Schema, batch_rows: int) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a SELECT as they come, in the open transaction if there is one."""
        with explained(self.operation, self._place):
            if self.dialect == "postgresql" and self._began:
                yield from self._fetched(select, schema, batch_rows)
                return
            options = {"no_parameters": True, "stream_results": True, "max_row_buffer": batch_rows}
            with closing(self.connection.exec_driver_sql(select, execution_options=options)) as result:
                yield from batches_of(result, schema, batch_rows)

    def _fetched(self, select: str, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """By a cursor of the server's; one driver's own cursors want a transaction that the driver has begun."""
        cursor = f"headgate_rows_{next(_numbers)}"
        self._run(f"DECLARE {cursor} NO SCROLL CURSOR FOR {select}", ())
        while found := list(batches_of(self._run(f"FETCH {batch_rows} FROM {cursor}", ()), schema, batch_rows)):
            yield from found
        self._run(f"CLOSE {cursor}", ())

    def _run(self, statement: str, parameters: Sequence[Any]) -> Any:
        if parameters:
            return self.connection.exec_driver_sql(self._marked(statement), tuple(parameters))
        # without parameters nothing in it is special; SQLAlchemy doubles the marks of its own statements
        return self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def _marked(self, statement: str) -> str:
        return statement if self._marks == "qmark" else percent_marks(statement)

    def _insert_pipeline(self, parameters: Sequence[Any]) -> int:
        """INSERT unless it is there, in words that every database knows."""
        if self.query(ledger.SELECT_PIPELINE, parameters):
            return 0
        return self.execute(ledger.INSERT_PIPELINE.partition(" ON CONFLICT")[0], parameters)

    def _spelled(self, statement: str) -> str:
        if not statement.startswith(f"CREATE TABLE IF NOT EXISTS {ledger.PREFIX}"):
            return statement
        if self.dialect in MYSQL:
            wide = statement.replace(" name TEXT", " name VARCHAR(255)").replace(" TEXT", " LONGTEXT")
            return (
                wide.replace(" BLOB", " LONGBLOB") + " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            )
        return statement.replace(" BLOB", " BYTEA") if self.dialect == "postgresql" else statement

    def begin(self) -> None:
        self._run("BEGIN", ())
        self._began = True

    def commit(self) -> None:
        with explained(self.operation, self._place):
            self._run("COMMIT", ())
        self._began = False

    def rollback(self) -> None:
        if self._began:
            self._began = False
            with explained(self.operation, self._place):
                self._run("ROLLBACK", ())

    @property
    def alive(self) -> bool:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self._run("SELECT 1", ()).fetchall()
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        """Give the connection back; one that is in a transaction is ended, and so is what it had not committed."""
        if self._began:
            self.connection.invalidate()
        self.connection.close()

    # ----------------------------------------------------------------------------------------- catalogue

    def _inspector(self) -> Any:
        import sqlalchemy

        return sqlalchemy.inspect(self.connection)

    def tables(self) -> list[str]:
        with explained(self.operation, self._place):
            inspector = self._inspector()
            names = [*inspector.get_table_names(), *inspector.get_view_names()]
        return sorted(name for name in names if not name.startswith(ledger.PREFIX))

    def find(self, table: str) -> tuple[str, str] | None:
        """(schema, table) of a name, which may be ``schema.table``; the schema is empty for the default one."""
        with explained(self.operation, self._place):
            inspector = self._inspector()
            names = {*inspector.get_table_names(), *inspector.get_view_names()}
            if table in names:
                return "", table
            schema, dot, name = table.partition(".")
            if dot and schema in inspector.get_schema_names():
                inside = {*inspector.get_table_names(schema), *inspector.get_view_names(schema)}
                return (schema, name) if name in inside else None
        return None

    def keys(self, place: tuple[str, str]) -> tuple[str, ...]:
        with explained(self.operation, self._place):
            found = self._inspector().get_pk_constraint(place[1], place[0] or None)
        return tuple(self._name(each) for each in found.get("constrained_columns") or ())

    def cascades(self, place: tuple[str, str]) -> list[tuple[str, str]]:
        """Tables whose foreign keys delete or change their rows when rows of this one are deleted."""
        if self.dialect == "sqlite":  # which looks at no foreign keys unless a session asks for it
            return []
        found = []
        with explained(self.operation, self._place):
            inspector = self._inspector()
            for schema in {None, place[0] or None}:
                for (_, table), keys in inspector.get_multi_foreign_keys(schema=schema).items():
                    for key in keys:
                        rule = (key.get("options") or {}).get("ondelete", "NO ACTION")
                        referred = (key.get("referred_schema") or "", self._name(key["referred_table"]))
                        if referred == place and rule.upper() not in ("NO ACTION", "RESTRICT"):
                            found.append((schema or "", self._name(table)))
        return found

    def types(self, place: tuple[str, str]) -> list[tuple[str, Any]]:
        """Name and SQLAlchemy type of each column."""
        with explained(self.operation, self._place):
            found = self._inspector().get_columns(place[1], place[0] or None)
        return [(self._name(each["name"]), each["type"]) for each in found]

    def _name(self, name: str) -> str:
        """A reflected name: SQLAlchemy leaves quotes doubled where MySQL speaks standard quotes."""
        return name.replace('""', '"') if self.dialect in MYSQL else name

    def table_columns(self, place: tuple[str, str]) -> list[TableColumn]:
        return [table_column(name, type_, self.dialect) for name, type_ in self.types(place)]


def quoted(place: tuple[str, str]) -> str:
    return f"{quote_name(place[0])}.{quote_name(place[1])}" if place[0] else quote_name(place[1])
