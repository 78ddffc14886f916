"""SQL Server as a store: staging by bulk load, DDL in the transaction, application locks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load, Scan
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.ledger import Claim
from headgate.core.runs import PipelineKey
from headgate.io.relational.columns import ReadColumn, arrow_schema, source_schema
from headgate.io.relational.reader import select_list
from headgate.io.sqlserver.connection import Connection
from headgate.io.sqlserver.reading import SqlServerReader, literal
from headgate.io.sqlserver.sessions import Session, quoted
from headgate.io.sqlserver.types import declare, read_column
from headgate.sql.dialects import BINARY_COLLATION, TRANSACT_SQL, Standard
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_NAME = 110
"""128 is what the server keeps; names of temporary tables are shorter."""
GRACE = 1.0
"""Seconds that a lock is asked for again: a server needs a moment to see that a killed client is gone."""


class SqlServerBackend:
    """One database of a server."""

    product = "SQL Server"
    transactional_ddl = True
    blob = "VARBINARY(MAX)"
    dialect: Standard = TRANSACT_SQL

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def session(self, operation: str) -> Session:
        return Session(self._connection, operation)

    def quote(self, name: str) -> str:
        _check_name(name)
        return quote_name(name)

    def quoted(self, place: tuple[str, str]) -> str:
        return quoted(place)

    def new_place(self, session: Session, table: str) -> tuple[str, str]:
        _check_name(table)
        schema, dot, name = table.partition(".")
        known = "SELECT count(*) FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = ?"
        if dot and name and session.value(known, (schema,)):
            return schema, name
        return str(session.value("SELECT SCHEMA_NAME()")), table

    def declare(self, session: Session, field: pa.Field[Any], key_bytes: int) -> str:  # noqa: ARG002
        _check_name(field.name)
        return declare(field, key_bytes)

    def declare_staged(self, session: Session, load: Load) -> list[str]:
        """Texts are staged in the collation of their column: keys of two collations cannot be compared."""
        there = session.find(load.table)
        kept = {column.name: column.collation for column in session.columns(there)} if there else {}
        return [declare(field, 0, kept.get(field.name) or BINARY_COLLATION) for field in load.schema]

    def insert(self, session: Session, stage: tuple[str, str], batch: pa.RecordBatch) -> None:
        session.load(stage, batch)

    literal = staticmethod(literal)

    # ------------------------------------------------------------------------------------------------ locks

    @contextmanager
    def lock(self, key: PipelineKey) -> Iterator[None]:
        session = Session(self._connection, "lock")
        try:
            name, until = _lock_name(key), time.monotonic() + GRACE
            while not _taken(session, name, 0):
                if time.monotonic() > until:
                    holder = _holder(session, name)
                    raise FatalError(
                        Code.LOCKED,
                        f"another run holds the pipeline (server session {holder or 'unknown'})",
                        operation="lock",
                        object=str(key),
                        hint="wait for it to end; a dead run lets go by itself",
                    )
                time.sleep(0.02)
            yield
        finally:
            session.close()

    def guard(self, session: Session, claim: Claim) -> None:
        if not _taken(session, _lock_name(claim.key, claim.run_id), 10):
            raise FatalError(
                Code.LOCKED, "the run's own lock is taken", operation="begin", object=str(claim.key), hint="run again"
            )

    def end(self, session: Session, key: PipelineKey, run_id: str, patience: float) -> bool:
        """End the session if the user may; without that right, wait for its end. Whoever gets its lock knows."""
        name, until = _lock_name(key, run_id), time.monotonic() + patience
        while not _taken(session, name, 0):
            holder = _holder(session, name)
            if holder is not None and holder == session.value("SELECT @@SPID"):
                return True
            _kill(session, holder)
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        session.execute(f"EXEC sp_releaseapplock @Resource = N'{name}', @LockOwner = 'Session'")
        return True

    # ---------------------------------------------------------------------------------------------- reading

    def read_columns(self, session: Session, place: tuple[str, str]) -> list[ReadColumn]:
        return [read_column(column) for column in session.columns(place)]

    def rows(
        self, session: Session, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> Generator[pa.RecordBatch, None, None]:
        return session.stream(select, arrow_schema(columns), batch_rows, name)

    def reader(self, table: str) -> Scan:
        reader = SqlServerReader(self._connection)
        try:
            source = reader.relation(table, "read")
            columns = reader.columns(source, table)
            schema = source_schema(columns, reader.keys(table))
            batches, close = reader.stream(f"SELECT {select_list(columns)} FROM {source}", columns, 100_000, table)
        except BaseException:
            reader.close()
            raise

        def end() -> None:
            close()
            reader.close()

        return Scan(schema, batches, close=end)


def _lock_name(key: PipelineKey, run_id: str = "") -> str:
    """At most 32 characters, of which the server shows all; such locks belong to a database."""
    return "headgate:" + hashlib.sha256("\0".join((key.project, key.pipeline, run_id)).encode()).hexdigest()[:23]


def _taken(session: Session, name: str, seconds: int) -> bool:
    """Ask for a lock of the session; a negative answer means that another has it."""
    return (
        int(
            session.value(
                f"DECLARE @taken INT; EXEC @taken = sp_getapplock @Resource = N'{name}', @LockMode = 'Exclusive',"
                f" @LockOwner = 'Session', @LockTimeout = {seconds * 1000}, @DbPrincipal = 'public'; SELECT @taken"
            )
        )
        >= 0
    )


def _holder(session: Session, name: str) -> int | None:
    """The session that has a lock; None if it is gone, or the user may not see it."""
    try:
        found = session.value(
            "SELECT TOP (1) request_session_id FROM sys.dm_tran_locks WHERE resource_type = 'APPLICATION'"
            f" AND resource_database_id = DB_ID() AND request_status = 'GRANT' AND resource_description LIKE '%{name}%'"
        )
    except HeadgateError:  # VIEW SERVER STATE is not granted: then its end is waited for
        return None
    return None if found is None else int(found)


def _kill(session: Session, holder: int | None) -> None:
    if holder is None:
        return
    try:
        session.execute(f"KILL {holder}")
    except HeadgateError:  # it is gone by itself, or the user may not: then its end is waited for
        return


def _check_name(name: str) -> None:
    """Refuse names that the server would cut, or not keep."""
    if len(name.encode("utf-16-le")) // 2 > LONGEST_NAME or name != name.rstrip():
        raise FatalError(
            Code.UNSUPPORTED,
            f'SQL Server cannot keep the name "{name}": at most {LONGEST_NAME} characters, no blank at the end',
            operation="stage",
            object=name,
            hint="rename it",
        )
