"""A read that is worked on in the server: its window as a relation in SQL, its rows as bytes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code
from headgate.core.sites import SOURCE, Site
from headgate.io.postgres import Connection, Statements, connect, wire
from headgate.io.postgres.catalogue import ServerColumn
from headgate.io.postgres.connection import parameters
from headgate.io.postgres.link import hang_up
from headgate.io.postgres.reading import SNAPSHOT, Snapshot
from headgate.io.postgres.types import NAMES, ReadColumn, decimal, is_decimal, numeric, read_column
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

DIALECT = "postgres"
_ENDLESS = {"date", "timestamp", "timestamptz"}
_FORMS = {
    "bool": {"boolean"},
    "int2": {"smallint"},
    "int4": {"integer"},
    "int8": {"bigint"},
    "float4": {"real"},
    "float8": {"double precision"},
    "numeric": {"numeric"},
    "text": {"text"},
    "varchar": {"text"},
    "bpchar": {"text"},
    "bytea": {"bytea"},
    "date": {"date"},
    "timestamp": {"timestamp", "timestamp without time zone"},
    "timestamptz": {"timestamptz", "timestamp with time zone"},
}
"""The SQL names of types that have the binary form in which a column in its true type leaves."""


def site_of(connection: Connection, columns: list[ServerColumn], obstacle: str = "", encoding: str = "") -> Site:
    """What a plan may know of a database, and of the columns that a source has there."""
    found = parameters(connection)
    place = "/".join(found.get(name, "") for name in ("hostaddr", "host", "port", "dbname", "user"))
    return Site(DIALECT, place, frozenset(column.name for column in columns if true_value(column)), obstacle, encoding)


@dataclass(frozen=True)
class TrueValue:
    """A column as SQL in its true type.

    Args:
        expression: its value.
        holds: a condition of which no value that an engine could hold makes false; empty: it holds them all.
        refusal: an expression that fails, and tells the value.
        cast: the value is brought into a type that does not hold all values of the column's own.
    """

    expression: str
    holds: str = ""
    refusal: str = ""
    cast: bool = False


def true_value(column: ServerColumn) -> TrueValue | None:
    """A column in its true type; None for types that only an engine converts."""
    read: ReadColumn = read_column(column)
    kind, name = NAMES.get(column.oid, ""), quote_name(column.name)
    if kind == "numeric" and read.cast:
        found = decimal(column.typmod)
        assert found is not None, "a numeric that no decimal holds is read as text"
        free = numeric(column.typmod) is None
        exact = f"{name}::numeric({found[0]},{found[1]})" if free else name
        return TrueValue(exact, is_decimal(column), f"({name}::text || ' is no decimal')::numeric", cast=free)
    if read.cast:
        return None
    if kind in _ENDLESS:
        refusal = f"({name}::text || ' is beyond every time')::{kind}"
        return TrueValue(name, f"isfinite({name})", refusal)
    return TrueValue(read.expression)


def proved(source: str, where: str, columns: Sequence[ServerColumn], looked_at: Collection[str] | None = None) -> str:
    """A SELECT of columns in their true types that fails for a value which an engine could not hold.

    One condition a row looks at all columns: a CASE around each takes twice the time.

    Args:
        source: what follows FROM.
        where: a clause with the conditions of the window, or nothing.
        columns: those that can be worked with; others are left out.
        looked_at: those whose values are proved; None: all. What is cast on its way is proved in any case.
    """
    values = [(column.name, value) for column in columns if (value := true_value(column)) is not None]
    selected = ", ".join(f"{value.expression} AS {quote_name(name)}" for name, value in values)
    checked = [
        value for name, value in values if value.holds and (looked_at is None or name in looked_at or value.cast)
    ]
    if checked:
        holds = " AND ".join(value.holds for value in checked)
        whens = " ".join(f"WHEN NOT ({value.holds}) THEN {value.refusal} IS NULL" for value in checked)
        proof = f"(({holds}) IS NOT FALSE OR CASE {whens} END)"
        where = f"{where} AND {proof}" if where else f" WHERE {proof}"
    return f"SELECT {selected} FROM {source}{where}"


class PostgresOutlet:
    """One snapshot of one window.

    Args:
        connection: where.
        name: of the table or query, for errors.
        relation: the window's rows, as a SELECT.
        columns: those of the relation.
        position: of the window's end; asked for with the snapshot's own statements.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        relation: str,
        columns: Sequence[ServerColumn],
        position: Callable[[Statements], Mapping[str, Any]],
    ) -> None:
        self._connection, self._name, self._relation, self._columns = connection, name, relation, columns
        self._session = connect(connection, autocommit=False, settings=SNAPSHOT)
        try:
            self._statements = Statements(self._session, "scan", name, Code.EXTRACTION_FAILED)
            self._position = position(self._statements)
        except BaseException:
            self._session.close()
            raise

    @property
    def forms(self) -> Mapping[str, frozenset[str]]:
        kinds = {quote_name(column.name): NAMES.get(column.oid, "") for column in self._columns}
        return {name: frozenset(_FORMS.get(kind, ())) for name, kind in kinds.items()}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._statements.query(self.statement(sql))

    def batches(self, sql: str, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """By a session of its own, which sees the same state."""
        snapshot = Snapshot(self._connection, self._name, str(self._statements.value("SELECT pg_export_snapshot()")))
        try:
            yield from snapshot.stream(self.statement(sql), schema, batch_rows)
        finally:
            snapshot.close()

    def stream(self, sql: str) -> Iterator[memoryview]:
        return wire.copy_out(self._session, f"COPY ({self.statement(sql)}) TO STDOUT (FORMAT binary)", self._name)

    def statement(self, sql: str) -> str:
        return f"WITH {quote_name(SOURCE)} AS ({self._relation}) {sql}"

    def cancel(self) -> None:
        hang_up(self._session)

    def position(self) -> Mapping[str, Any]:
        return self._position

    def close(self) -> None:
        self._session.close()
