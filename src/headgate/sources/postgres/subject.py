"""What one read is about, as far as the catalogue tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from headgate.core.contracts import ReadContext
from headgate.core.errors import Code, FatalError
from headgate.core.models import Incremental, ReadOptions
from headgate.io import table_reads
from headgate.io.cursor import need_delivered
from headgate.io.cursor_values import Kind
from headgate.io.postgres import Connection, Statements, catalogue, changes
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.reading import read_columns, server_columns
from headgate.io.postgres.types import NAMES, ReadColumn
from headgate.io.relational.columns import no_column
from headgate.sources.postgres import Read
from headgate.sql.literals import quote_name
from headgate.sql.templates import bind, render_sql

_KINDS: dict[str, Kind] = {
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "numeric": "decimal",
    "float4": "float",
    "float8": "float",
    "text": "text",
    "varchar": "text",
    "bpchar": "text",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}


class Subject:
    """What one read is about, as far as the catalogue tells: relation, columns, condition, cursor."""

    def __init__(self, statements: Statements, read: ReadOptions, context: ReadContext, connection: Connection) -> None:
        table_reads.check("PostgreSQL", read, "cdc")
        assert isinstance(read, Read)
        self.read, self.context, self.statements, self.connection = read, context, statements, connection
        self.relation = catalogue.need(statements, read.table, "probe") if read.table else None
        self.source = self.relation.quoted if self.relation else f"({self._sql(read.query or '')}\n) AS q"
        self.name = read.table or "query"
        parts = [f"({self._sql(read.where)}\n)"] if read.where else []
        self.conditions = parts

    @property
    def told(self) -> str:
        """What errors call it: the table, or the query as the user wrote it."""
        return self.read.table or " ".join((self.read.query or "").split())

    def _sql(self, text: str) -> str:
        return bind(render_sql(text.strip().rstrip(";"), self.context.variables), self.read.parameters)

    def columns(self) -> list[ReadColumn]:
        if self.conditions:  # the server looks at the condition now, so that a plan finds what is wrong with it
            catalogue.columns(self.statements, f"SELECT FROM {self.source}{self.where()}", f"where of {self.name}")
        return read_columns(self.statements, self.source, self.read.columns, self.told, self._names())

    def server_columns(self) -> list[ServerColumn]:
        return server_columns(self.statements, self.source, self.read.columns, self.told, self._names())

    def _names(self) -> list[str] | None:
        """The columns of a table; None for a query, whose columns only the server knows."""
        return catalogue.column_names(self.statements, self.relation) if self.relation else None

    def keys(self) -> tuple[str, ...]:
        return catalogue.primary_key(self.statements, self.relation) if self.relation else ()

    @property
    def ranged(self) -> bool:
        """Whether several sessions read it, each a range of its pages."""
        plain = self.relation is not None and self.relation.kind == "r"
        return plain and self.read.mode == "full" and self.read.parallel > 1

    @property
    def incremental(self) -> Incremental:
        assert self.read.incremental is not None, "checked in _check"
        return self.read.incremental

    def _known(self, name: str) -> ServerColumn:
        known = self._names()
        if known is not None and name in known:
            (column,) = server_columns(self.statements, self.source, (name,), self.told, known)
            return column
        columns = catalogue.columns(self.statements, f"SELECT * FROM {self.source}", self.told)
        found = {column.name: column for column in columns}
        if name not in found:
            raise no_column(name, found, "probe", self.name)
        return found[name]

    def need_cursor(self, since: Mapping[str, Any] | None) -> None:
        """Raise FatalError for a column that says what is new, or tells rows apart, and is not there.

        Where values say what is new, the columns must also be among those that are read.
        """
        wanted = (self.incremental.column, *(self.incremental.key or ()))
        for name in wanted:
            self._known(name)
        if self.read.columns and self.context.interval is None and not self.by_xid(since):
            need_delivered(wanted, self.read.columns)

    def cursor_kind(self) -> Kind | None:
        """What the cursor column holds; None for types that have an order but no place in a position."""
        return _KINDS.get(NAMES.get(self._known(self.incremental.column).oid, ""))

    def known_kind(self) -> Kind:
        kind = self.cursor_kind()
        if kind is None:
            raise FatalError(
                Code.UNSUPPORTED,
                "a cursor must be a number, a text or a time",
                operation="probe",
                object=self.incremental.column,
                hint="name another column, or cast it in a query; known: " + ", ".join(get_args(Kind)),
            )
        return kind

    def cursor_sql(self, kind: Kind) -> str:
        """The cursor column, in the order that everybody agrees on."""
        name = quote_name(self.incremental.column)
        return f'{name} COLLATE "C"' if kind == "text" else name

    def by_xid(self, since: Mapping[str, Any] | None) -> bool:
        """Whether the window is one of transaction ids. One that began by values goes on so."""
        if self.relation is None or self.read.max_records is not None or "from" in (since or {}):
            return False
        return changes.applies(self.statements, self.relation)

    def where(self, *more: str) -> str:
        parts = [*self.conditions, *(part for part in more if part)]
        return " WHERE " + " AND ".join(parts) if parts else ""
