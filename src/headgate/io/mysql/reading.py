"""Reading to Arrow: one read-only statement is one snapshot, streamed by connectorx, or by the driver for TLS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.secrets import mask
from headgate.io.ahead import Ahead
from headgate.io.cursor_values import Kind
from headgate.io.mysql import in_flight, sifting
from headgate.io.mysql.connection import Connection, arrow_url, encrypted, place, settings
from headgate.io.mysql.errors import explained, told
from headgate.io.mysql.sessions import Session, quoted
from headgate.io.mysql.types import Described, computed, read_column
from headgate.io.relational.columns import ReadColumn, arrow_schema
from headgate.io.relational.reader import Rows, standard_limit
from headgate.sql.literals import literal as standard_literal
from headgate.sql.literals import quote_name, quote_text

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 50_000

_LOST = (
    "Connection reset", "Broken pipe", "UnexpectedEof", "connection closed", "IoError", "IO error", "CodecError",
    "Lost connection", "Could not connect", "timed out waiting for connection",
)  # fmt: skip


def literal(value: Any) -> str:
    """A typed literal as MySQL has them."""
    if isinstance(value, datetime):
        plain = value.replace(tzinfo=None)  # positions are in UTC, and so are sessions
        return f"TIMESTAMP{quote_text(plain.isoformat(sep=' '))}"
    if isinstance(value, float):
        return repr(value)
    return standard_literal(value)


class MysqlReader:
    """One server's database, read through a session that is kept, and replaced when it has gone."""

    product = "MySQL"
    dialect = "mysql"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: Session | None = None

    def session(self, operation: str) -> Session:
        if self._session is None or not self._session.alive:
            self._session = Session(self._connection, operation, read_only=True)
        self._session.operation = operation
        return self._session

    def test(self) -> str:
        return f"{self.session('test').value('SELECT VERSION()')} at {place(self._connection)}"

    def tables(self) -> list[str]:
        return self.session("tables").tables()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.session("probe").query(statement)

    def relation(self, table: str, operation: str) -> str:
        return quoted(self.session(operation).need(table, operation))

    def keys(self, table: str) -> tuple[str, ...]:
        session = self.session("schema")
        return session.keys(session.need(table, "schema"))

    def columns(self, source: str, table: str | None) -> list[ReadColumn]:
        session = self.session("schema")
        if table is not None:
            return [read_column(column) for column, _ in session.columns(session.need(table, "schema"))]
        with explained("schema", "query", Code.EXTRACTION_FAILED), session.raw.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {source} LIMIT 0")
            return [computed(read_column(_of_result(field))) for field in cursor._result.fields]

    literal = staticmethod(literal)

    def order(self, name: str, kind: Kind) -> str:
        """The cursor column in the order that everybody agrees on."""
        quoted_ = quote_name(name)
        return (
            f"CONVERT({quoted_} USING utf8mb4) COLLATE {self.session('probe').collation()}"
            if kind == "text"
            else quoted_
        )

    limited = staticmethod(standard_limit)

    def now(self) -> datetime:
        found: datetime = self.session("probe").value("SELECT UTC_TIMESTAMP(6)")
        return found.replace(tzinfo=UTC)

    def before_open(self, name: str, kind: Kind, rows: Rows) -> tuple[Any, str]:
        # rows of transactions that wait for a lock are in the primary key already, and not yet in other indexes
        leads = rows.table is not None and self.keys(rows.table)[:1] == (name,)
        index = " FORCE INDEX (PRIMARY)" if leads else ""
        return in_flight.lowest(self.session("probe"), name, kind, f"FROM {rows.source}{index}{rows.where}")

    def stream(
        self, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> tuple[pa.RecordBatchReader, Callable[[], None]]:
        import pyarrow as pa

        schema = arrow_schema(columns)
        if not through_arrow(self._connection):
            batches, close = self._through_driver(select, schema, batch_rows, name)
        else:
            batches, close = self._through_arrow(select, schema, batch_rows, name)
        return pa.RecordBatchReader.from_batches(schema, batches), close

    value = staticmethod(sifting.value)
    sound = staticmethod(sifting.sound)

    def stream_counted(
        self, select: str, counting: Sequence[str], rest: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> tuple[pa.RecordBatchReader, Callable[[], None], Callable[[], Sequence[int]]]:
        """Rows and counts are one statement, and so see one state: the counts are a row of their own."""
        union, extended = sifting.with_counts(select, counting, rest, columns)
        rows, close = self.stream(union, extended, batch_rows, name)
        counts: list[int] = []
        return sifting.without_counts(rows, len(columns), counts), close, lambda: counts

    def _through_arrow(
        self, select: str, schema: pa.Schema, batch_rows: int, name: str
    ) -> tuple[Iterator[pa.RecordBatch], Callable[[], None]]:
        import pyarrow as pa

        try:
            import connectorx
        except ImportError:
            return self._through_driver(select, schema, batch_rows, name)
        begin = self._settings()
        open_: list[Any] = []

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                reader = connectorx.read_sql(
                    arrow_url(self._connection),
                    any_mode(select),
                    protocol="text",  # a prepared statement would be parsed before the session has its settings
                    return_type="arrow_stream",
                    batch_size=min(batch_rows, BATCH_ROWS),
                    pre_execution_query=begin,
                )
                open_.append(reader)
                for batch in reader:
                    arrays = [_as(array, field.type) for array, field in zip(batch.columns, schema, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            except (HeadgateError, GeneratorExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                    raise _explain(error, name) from None
                raise

        rows = Ahead(batches())

        def close() -> None:
            rows.close()
            open_.clear()

        return iter(rows), close

    def _settings(self) -> list[str]:
        """What a session is told at first, in words that this server knows; asked in one that tells what is wrong
        with the connection, where the other library would try for long."""
        maria = "MariaDB" in str(self.session("scan").value("SELECT version()"))
        strange = "max_execution_time" if maria else "max_statement_time"
        found = settings(self._connection, read_only=True, isolation="REPEATABLE READ")
        return [text for text in found if strange not in text]

    def _through_driver(
        self, select: str, schema: pa.Schema, batch_rows: int, name: str
    ) -> tuple[Iterator[pa.RecordBatch], Callable[[], None]]:
        session = Session(self._connection, "scan", read_only=True)
        return session.stream(select, schema, batch_rows, name), session.close

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _as(array: Any, type_: Any) -> Any:
    return array if array.type == type_ else array.cast(type_)


def _explain(error: BaseException, name: str) -> HeadgateError:
    text = mask(str(error).splitlines()[0] if str(error) else type(error).__name__)
    if any(word in text for word in _LOST):
        return RetriableError(
            Code.CONNECTION_FAILED,
            text,
            operation="scan",
            object=name,
            hint="the connection broke; nothing was published",
        )
    return told(text, name) or FatalError(Code.EXTRACTION_FAILED, text, operation="scan", object=name)


def _of_result(field: Any) -> Described:
    """A column of a result, by the numbers of the protocol."""
    from pymysql.constants import FIELD_TYPE, FLAG

    unsigned, binary = bool(field.flags & FLAG.UNSIGNED), field.charsetnr == 63
    names = {
        FIELD_TYPE.TINY: "tinyint",
        FIELD_TYPE.SHORT: "smallint",
        FIELD_TYPE.INT24: "mediumint",
        FIELD_TYPE.LONG: "int",
        FIELD_TYPE.LONGLONG: "bigint",
        FIELD_TYPE.YEAR: "year",
        FIELD_TYPE.FLOAT: "float",
        FIELD_TYPE.DOUBLE: "double",
        FIELD_TYPE.NEWDECIMAL: "decimal",
        FIELD_TYPE.DECIMAL: "decimal",
        FIELD_TYPE.DATE: "date",
        FIELD_TYPE.NEWDATE: "date",
        FIELD_TYPE.TIME: "time",
        FIELD_TYPE.DATETIME: "datetime",
        FIELD_TYPE.TIMESTAMP: "timestamp",
        FIELD_TYPE.BIT: "bit",
        FIELD_TYPE.GEOMETRY: "geometry",
        FIELD_TYPE.JSON: "json",
        FIELD_TYPE.NULL: "null",
    }
    type_ = names.get(field.type_code, "blob" if binary else "text")
    digits = field.length - (1 if field.scale else 0) - (0 if unsigned else 1) if type_ == "decimal" else 0
    return Described(field.name, type_, unsigned, digits, field.scale, field.length)


_QUOTED = re.compile(r"'(?:[^']|'')*'|\"((?:[^\"]|\"\")*)\"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/", re.DOTALL)


def any_mode(select: str) -> str:
    """SQL in standard quotes as SQL that means the same in every sql_mode.

    connectorx asks for the types of a query in a session of its own, which has the server's default mode.
    """

    def replace(found: re.Match[str]) -> str:
        if found[1] is not None:
            return "`" + found[1].replace('""', '"').replace("`", "``") + "`"
        if found[0].startswith("'") and "\\" in found[0]:
            return f"_utf8mb4 X'{found[0][1:-1].replace(chr(39) * 2, chr(39)).encode().hex()}'"
        return found[0]

    return _QUOTED.sub(replace, select)


def through_arrow(connection: Connection) -> bool:
    """Whether connectorx may read: it has no TLS, so it is for connections that need none."""
    return not encrypted(connection)
