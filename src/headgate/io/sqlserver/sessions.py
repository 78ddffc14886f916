"""A session as the ledger and the catalogue want it: ``?`` marks parameters, errors are ours."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from headgate.core import ledger
from headgate.core.errors import Code, FatalError
from headgate.io.relational.columns import TableColumn
from headgate.io.relational.statements import percent_marks
from headgate.io.relational.tables import Tables
from headgate.io.sqlserver import bulk
from headgate.io.sqlserver.connection import Connection, connect, place, settings
from headgate.io.sqlserver.errors import explained
from headgate.io.sqlserver.types import Described, table_column
from headgate.sql.dialects import BINARY_COLLATION
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

FETCH_ROWS = 5_000
"""Rows that are Python's values at a time."""
MOST_CHARACTERS = 4000
"""A longer text is a value of another kind, with which no index is searched."""


class Session(Tables):
    """One connection, in autocommit mode until :meth:`begin`. A reading one is in a transaction that never commits."""

    def __init__(self, connection: Connection, operation: str, *, read_only: bool = False) -> None:
        self._place, self.operation = place(connection), operation
        self._isolation = connection.isolation
        self.raw = connect(connection, read_only=read_only)
        self._open = True
        try:
            self.execute("; ".join(settings(connection)))
        except BaseException:
            self.close()
            raise

    # ---------------------------------------------------------------------------------------- statements

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._explained(), self.raw.cursor() as cursor:
            _run(cursor, statement, parameters)
            return [tuple(row) for row in cursor.fetchall()]

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """The one value of a statement's one row; None if there is no row."""
        rows = self.query(statement, parameters)
        return rows[0][0] if rows else None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it changed."""
        with self._explained(), self.raw.cursor() as cursor:
            _run(cursor, spelled(statement), parameters)
            return max(0, int(cursor.rowcount))

    def stream(
        self, select: str, schema: pa.Schema, batch_rows: int, name: str
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a SELECT as they come, in the open transaction if there is one."""
        import pyarrow as pa

        with explained("scan", name, Code.EXTRACTION_FAILED), self.raw.cursor() as cursor:
            cursor.execute(select)
            while rows := cursor.fetchmany(min(FETCH_ROWS, batch_rows)):
                arrays = [
                    pa.array(cells, field.type) for cells, field in zip(zip(*rows, strict=True), schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def begin(self) -> None:
        self.execute("BEGIN TRANSACTION")

    def commit(self) -> None:
        self.execute("COMMIT TRANSACTION")

    def rollback(self) -> None:
        """An error may have rolled everything back already: XACT_ABORT is on."""
        self.execute("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION")

    def one_state(self) -> None:
        """Let reads see one state of the database, without locks if it allows that.

        Raises:
            FatalError: UNSUPPORTED where neither snapshots are allowed nor locks are wanted.
        """
        if self._isolation == "serializable":
            self.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            return
        asked = (
            "SELECT snapshot_isolation_state, is_read_committed_snapshot_on FROM sys.databases WHERE name = DB_NAME()"
        )
        allowed, versioned = (self.query(asked) or [(0, 0)])[0]
        if int(allowed) == 1:
            self.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
        elif versioned:  # each statement sees one state, and a read is one statement
            self.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        else:
            raise FatalError(
                Code.UNSUPPORTED,
                "the database does not allow snapshots, so a read could see half of somebody's transaction",
                operation=self.operation,
                object=self._place,
                hint="ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON; or isolation: serializable in the connection, "
                "which makes writers wait for reads",
            )

    @property
    def alive(self) -> bool:
        """Whether the server still answers: a connection that was kept may be gone, and is then let go of."""
        import pytds

        try:
            with self.raw.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchall()
        except (pytds.Error, OSError):
            self.close()
            return False
        return True

    def close(self) -> None:
        """End the session; the server rolls back what was not committed. May be called twice."""
        if self._open:
            self._open = False
            with explained(self.operation, self._place):
                self.raw.close()

    def load(self, stage: tuple[str, str], batch: pa.RecordBatch) -> None:
        """Rows by bulk load, in a transaction of their own."""
        bulk.check(batch)
        self.begin()
        try:
            taken = self._bulk(stage, batch)
        except BaseException:
            self.close()  # it may have stopped amid a message, and the server waits for the rest of it
            raise
        if taken != batch.num_rows:
            self.rollback()
            raise FatalError(
                Code.LOAD_EXECUTION_FAILED,
                f"the server took {taken} of {batch.num_rows} rows of a bulk load",
                operation="stage",
                object=stage[1],
            )
        self.commit()

    def _bulk(self, stage: tuple[str, str], batch: pa.RecordBatch) -> int:
        with self._explained(), self.raw.cursor() as cursor:
            cursor.copy_to(
                table_or_view=stage[1],
                schema=stage[0],
                columns=bulk.columns(batch.schema),
                data=bulk.rows(batch),
                keep_nulls=True,
                tablock=True,
            )
            return int(cursor.rowcount)

    def _explained(self) -> Any:
        writes = self.operation in ("stage", "publish", "ledger", "claim")
        return explained(self.operation, self._place, Code.LOAD_EXECUTION_FAILED if writes else Code.EXTRACTION_FAILED)

    # ----------------------------------------------------------------------------------------- catalogue

    def tables(self) -> list[str]:
        """Tables and views of the user's schema, those of other schemas with it; headgate's own are left out."""
        rows = self.query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, SCHEMA_NAME() FROM INFORMATION_SCHEMA.TABLES"
            " ORDER BY TABLE_SCHEMA, TABLE_NAME"
        )
        return sorted(
            name if schema == own else f"{schema}.{name}"
            for schema, name, own in rows
            if not name.startswith(ledger.PREFIX)
        )

    def find(self, table: str) -> tuple[str, str] | None:
        """(schema, table) of a name, which may be ``schema.table``, as the catalogue spells them."""
        schema, _, name = table.partition(".")
        rows = self.query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, CASE WHEN TABLE_SCHEMA = SCHEMA_NAME() THEN 0 ELSE 1 END AS other"
            " FROM INFORMATION_SCHEMA.TABLES WHERE (TABLE_NAME = ? AND TABLE_SCHEMA IN (SCHEMA_NAME(), 'dbo'))"
            " OR (TABLE_NAME = ? AND TABLE_SCHEMA = ?)",
            (table, name, schema),
        )
        # a whole name before a name with its schema, and the user's own schema before the common one
        found = sorted((called != table, other, place_, called) for place_, called, other in rows)
        return found[0][2:] if found else None

    def columns(self, place_: tuple[str, str]) -> list[Described]:
        rows = self.query(
            "SELECT COLUMN_NAME, DATA_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION,"
            " CHARACTER_MAXIMUM_LENGTH, COLLATION_NAME FROM INFORMATION_SCHEMA.COLUMNS"
            " WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            place_,
        )
        return [
            Described(
                name, type_.lower(), int(digits or 0), int(parts or places or 0), int(length or 0), collation or ""
            )
            for name, type_, digits, places, parts, length, collation in rows
        ]

    def result_columns(self, statement: str) -> list[Described]:
        """The columns that a SELECT would give, without running it."""
        rows = self.query(
            "SELECT name, system_type_name, precision, scale, max_length, error_number, error_message"
            " FROM sys.dm_exec_describe_first_result_set(?, NULL, 0) ORDER BY column_ordinal",
            (statement,),
        )
        for _, _, _, _, _, number, message in rows:
            if number:
                raise self._undescribed(int(number), str(message))
        if any(not row[0] for row in rows):
            raise self._undescribed(8155, "a column of the query has no name")
        return [
            Described(name, type_.partition("(")[0].lower(), int(digits or 0), int(places or 0), int(length or 0))
            for name, type_, digits, places, length, _, _ in rows
        ]

    def _undescribed(self, number: int, message: str) -> Exception:
        import pytds

        from headgate.io.sqlserver.errors import explain

        error = pytds.DatabaseError(message)
        error.msg_no = number
        return explain(error, self.operation, "query", Code.EXTRACTION_FAILED)

    def table_columns(self, place_: tuple[str, str]) -> list[TableColumn]:
        return [table_column(column) for column in self.columns(place_)]

    def keys(self, place_: tuple[str, str]) -> tuple[str, ...]:
        """Columns of the primary key in its order."""
        rows = self.query(
            "SELECT k.COLUMN_NAME FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS AS c"
            " JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE AS k ON k.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA"
            " AND k.CONSTRAINT_NAME = c.CONSTRAINT_NAME"
            " WHERE c.CONSTRAINT_TYPE = 'PRIMARY KEY' AND c.TABLE_SCHEMA = ? AND c.TABLE_NAME = ?"
            " ORDER BY k.ORDINAL_POSITION",
            place_,
        )
        return tuple(name for (name,) in rows)

    def cascades(self, place_: tuple[str, str]) -> list[tuple[str, str]]:
        """Tables whose foreign keys delete or change their rows when rows of this one are deleted."""
        rows = self.query(
            "SELECT f.TABLE_SCHEMA, f.TABLE_NAME FROM INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS AS r"
            " JOIN INFORMATION_SCHEMA.TABLE_CONSTRAINTS AS u ON u.CONSTRAINT_SCHEMA = r.UNIQUE_CONSTRAINT_SCHEMA"
            " AND u.CONSTRAINT_NAME = r.UNIQUE_CONSTRAINT_NAME"
            " JOIN INFORMATION_SCHEMA.TABLE_CONSTRAINTS AS f ON f.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA"
            " AND f.CONSTRAINT_NAME = r.CONSTRAINT_NAME"
            " WHERE r.DELETE_RULE <> 'NO ACTION' AND u.TABLE_SCHEMA = ? AND u.TABLE_NAME = ?",
            place_,
        )
        return [(str(schema), str(name)) for schema, name in rows]


def quoted(place_: tuple[str, str]) -> str:
    return f"{quote_name(place_[0])}.{quote_name(place_[1])}"


def _run(cursor: Any, statement: str, parameters: Sequence[Any]) -> None:
    if parameters:
        cursor.execute(percent_marks(statement), tuple(_bound(value) for value in parameters))
    else:
        cursor.execute(statement)  # without parameters nothing in it is special


def _bound(value: Any) -> Any:
    import pytds
    from pytds.tds_base import Param

    if isinstance(value, bytes):
        return pytds.Binary(value)  # else the driver would take them for text
    if isinstance(value, str) and len(value.encode("utf-16-le")) // 2 <= MOST_CHARACTERS:
        return Param(type=pytds.tds_types.NVarCharType(size=MOST_CHARACTERS), value=value)
    return value


def spelled(statement: str) -> str:
    """The ledger's statements as SQL Server spells them."""
    if statement == ledger.INSERT_PIPELINE:
        return (
            "INSERT INTO headgate_pipelines (project, pipeline, epoch, run_id, execution_id, version)"
            " SELECT n.project, n.pipeline, 0, '', '', 1 FROM (SELECT ? AS project, ? AS pipeline) AS n"
            " WHERE NOT EXISTS (SELECT 1 FROM headgate_pipelines AS p WITH (UPDLOCK, HOLDLOCK)"
            " WHERE p.project = n.project AND p.pipeline = n.pipeline)"
        )
    head = "CREATE TABLE IF NOT EXISTS "
    if not statement.startswith(head + ledger.PREFIX):
        return statement
    name = statement.removeprefix(head).partition(" ")[0]
    exact = f"COLLATE {BINARY_COLLATION}"
    text = (
        statement.removeprefix("CREATE TABLE IF NOT EXISTS ")
        .replace(" name TEXT", f" name NVARCHAR(255) {exact}")
        .replace(" TEXT", f" NVARCHAR(MAX) {exact}")
        .replace("PRIMARY KEY (", "PRIMARY KEY NONCLUSTERED (")  # which takes more bytes
    )
    for size in (8, 16, 64, 255):
        text = text.replace(f" VARCHAR({size})", f" NVARCHAR({size}) {exact}")
    there = f"SELECT 1 FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = SCHEMA_NAME() AND TABLE_NAME = '{name}'"
    return f"IF NOT EXISTS ({there}) CREATE TABLE {text}"
