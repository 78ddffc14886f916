"""A session as the ledger and the catalogue want it: ``?`` marks parameters, errors are ours."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headgate.core import ledger
from headgate.core.errors import Code, FatalError
from headgate.core.secrets import mask
from headgate.io.mysql.connection import Connection, connect, place
from headgate.io.mysql.errors import explained
from headgate.io.mysql.types import BINARY_COLLATIONS, Described, table_column
from headgate.io.relational.columns import TableColumn
from headgate.io.relational.statements import percent_marks
from headgate.io.relational.tables import Tables
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

CONSTRAINTS = frozenset((1048, 1062, 1169, 1216, 1264, 1265, 1292, 1364, 1366, 1406, 1452, 3819, 4025))
"""Numbers of errors that are about a row: NULL, keys, references, checks, values that do not fit."""
SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


class Session(Tables):
    """One connection, in autocommit mode until :meth:`begin`."""

    def __init__(self, connection: Connection, operation: str, *, read_only: bool = False) -> None:
        self._place, self.operation = place(connection), operation
        isolation = "REPEATABLE READ" if read_only else "READ COMMITTED"
        self.raw = connect(connection, read_only=read_only, isolation=isolation)
        self.id = int(self.raw.thread_id())
        self._collation = ""

    # ---------------------------------------------------------------------------------------- statements

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._explained(), self.raw.cursor() as cursor:
            _run(cursor, statement, parameters)
            return list(cursor.fetchall())

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """The one value of a statement's one row; None if there is no row."""
        rows = self.query(statement, parameters)
        return rows[0][0] if rows else None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it met, changed or not."""
        with self._explained(), self.raw.cursor() as cursor:
            _run(cursor, _spelled(statement), parameters)
            return int(cursor.rowcount)

    def attempt(self, statement: str) -> int | str:
        """Run a statement under a savepoint: how many rows it changed, or why a constraint rejected them."""
        import pymysql

        self.execute("SAVEPOINT headgate_try")
        with self._explained(), self.raw.cursor() as cursor:
            try:
                cursor.execute(statement)
            except pymysql.Error as error:
                if error.args[0] not in CONSTRAINTS:
                    raise
                cursor.execute("ROLLBACK TO SAVEPOINT headgate_try")
                return mask(str(error.args[1]))
            changed = int(cursor.rowcount)
        self.execute("RELEASE SAVEPOINT headgate_try")
        return changed

    def stream(
        self, select: str, schema: pa.Schema, batch_rows: int, name: str
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a SELECT as they come, from texts; until they end, the session takes no other statement."""
        import pyarrow as pa
        from pymysql.cursors import SSCursor

        with explained("scan", name, Code.EXTRACTION_FAILED), self.raw.cursor(SSCursor) as cursor:
            decoders, self.raw.decoders = self.raw.decoders, {}
            try:
                cursor.execute(select)
            finally:
                self.raw.decoders = decoders
            while rows := cursor.fetchmany(batch_rows):
                arrays = [
                    _typed(cells, field.type) for cells, field in zip(zip(*rows, strict=True), schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def begin(self) -> None:
        self.execute("START TRANSACTION")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        self.execute("ROLLBACK")

    @property
    def alive(self) -> bool:
        """Whether the server still answers: a connection that was kept may be gone."""
        import pymysql

        try:
            self.raw.ping(reconnect=False)
        except (pymysql.Error, OSError):
            return False
        return True

    def close(self) -> None:
        """End the session; the server rolls back what was not committed. May be called twice."""
        self.raw.leave()

    def load(self, table: str, columns: Sequence[str], rows: Iterator[bytes], expected: int) -> None:
        """Rows from memory by LOAD DATA LOCAL; raises for the first that the server would have changed."""
        names = ", ".join(quote_name(name) for name in columns)
        statement = (
            f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {quote_name(table)} CHARACTER SET binary"
            f" FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' ({names})"
        )
        with self._explained(Code.LOAD_EXECUTION_FAILED):
            taken, warnings = self.raw.send_rows(statement, rows)
        if warnings or taken != expected:
            told = [str(text) for _, _, text in self.query("SHOW WARNINGS")[:1]]
            raise FatalError(
                Code.UNSUPPORTED,
                f"the server would not take the rows as they are: {''.join(told) or f'{taken} of {expected} arrived'}",
                operation="stage",
                object=table,
                hint="cast the column before, or clean it",
            )

    def _explained(self, code: Code = Code.EXTRACTION_FAILED) -> Any:
        if self.operation in ("stage", "publish", "ledger", "claim"):
            code = Code.LOAD_EXECUTION_FAILED
        return explained(self.operation, self._place, code)

    # ----------------------------------------------------------------------------------------- catalogue

    def tables(self) -> list[str]:
        """Tables and views of the database; those of headgate are left out."""
        rows = self.query(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME"
        )
        return [name for (name,) in rows if not name.startswith(ledger.PREFIX)]

    def find(self, table: str) -> tuple[str, str] | None:
        """(database, table) of a name, which may be ``database.table``; None if it is not there."""
        current = self.value("SELECT DATABASE()") or ""
        candidates = [(current, table)]
        if "." in table:
            candidates.append((table.partition(".")[0], table.partition(".")[2]))
        for schema, name in candidates:
            if any(ord(letter) > 0xFFFF for letter in schema + name):  # no name has these, and asking is an error
                continue
            rows = self.query(
                "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
                " WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
                (schema, name),
            )
            for found in rows:
                if found == (schema, name):
                    return schema, name
        return None

    def columns(self, place_: tuple[str, str]) -> list[tuple[Described, str]]:
        """Each column of a table, and its type as the server writes it."""
        rows = self.query(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION,"
            " COLUMN_COMMENT FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?"
            " ORDER BY ORDINAL_POSITION",
            place_,
        )
        return [
            (
                Described(
                    name,
                    data.lower(),
                    "unsigned" in full.lower(),
                    int(digits or 0),
                    int(scale if scale is not None else places or 0),
                    1 if full.lower().startswith("tinyint(1)") else 0,
                    comment,
                ),
                full,
            )
            for name, data, full, digits, scale, places, comment in rows
        ]

    def table_columns(self, place_: tuple[str, str]) -> list[TableColumn]:
        return [table_column(column, full) for column, full in self.columns(place_)]

    def binary_collations(self, place_: tuple[str, str]) -> dict[str, str]:
        """Columns of a table that compare texts by code point in a collation of their own; two of these do not mix."""
        rows = self.query(
            "SELECT COLUMN_NAME, COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?"
            " AND TABLE_NAME = ? AND CHARACTER_SET_NAME = 'utf8mb4' AND RIGHT(COLLATION_NAME, 4) = '_bin'",
            place_,
        )
        return {str(name): str(collation) for name, collation in rows}

    def keys(self, place_: tuple[str, str]) -> tuple[str, ...]:
        """Columns of the primary key in its order."""
        rows = self.query(
            "SELECT COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE CONSTRAINT_NAME = 'PRIMARY'"
            " AND TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            place_,
        )
        return tuple(name for (name,) in rows)

    def cascades(self, place_: tuple[str, str]) -> list[tuple[str, str]]:
        """Tables whose foreign keys delete or change their rows when rows of this one are deleted."""
        rows = self.query(
            "SELECT CONSTRAINT_SCHEMA, TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS"
            " WHERE UNIQUE_CONSTRAINT_SCHEMA = ? AND REFERENCED_TABLE_NAME = ?"
            " AND DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT')",
            place_,
        )
        return [(str(schema), str(name)) for schema, name in rows]

    def collation(self) -> str:
        """The collation in which texts are what they are, byte for byte if the server can."""
        if not self._collation:
            known = {name for (name,) in self.query("SELECT COLLATION_NAME FROM information_schema.COLLATIONS")}
            self._collation = next(name for name in BINARY_COLLATIONS if name in known)
        return self._collation


def quoted(place_: tuple[str, str]) -> str:
    return f"{quote_name(place_[0])}.{quote_name(place_[1])}"


def _typed(cells: Sequence[Any], type_: pa.DataType) -> Any:
    import pyarrow as pa

    return pa.array(cells, type_ if pa.types.is_binary(type_) else pa.string()).cast(type_)


def _run(cursor: Any, statement: str, parameters: Sequence[Any]) -> None:
    if parameters:
        cursor.execute(percent_marks(statement), tuple(parameters))
    else:
        cursor.execute(statement)  # without parameters nothing in it is special


def _spelled(statement: str) -> str:
    """The ledger's statements as MySQL spells them."""
    if statement == ledger.INSERT_PIPELINE:
        return statement.replace("INSERT INTO", "INSERT IGNORE INTO").replace(
            " ON CONFLICT (project, pipeline) DO NOTHING", ""
        )
    if statement.startswith(f"CREATE TABLE IF NOT EXISTS {ledger.PREFIX}"):
        wide = (
            statement.replace(" name TEXT", " name VARCHAR(255)")
            .replace(" TEXT", " LONGTEXT")
            .replace(" BLOB", " LONGBLOB")
        )
        return wide + " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    return statement
