"""MySQL as a store: staging by LOAD DATA, DDL before the transaction (it commits by itself), named locks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load, Scan
from headgate.core.errors import Code, FatalError
from headgate.core.ledger import Claim
from headgate.core.runs import PipelineKey
from headgate.io.mysql.connection import Connection
from headgate.io.mysql.encoding import packets
from headgate.io.mysql.reading import MysqlReader, literal
from headgate.io.mysql.sessions import Session, quoted
from headgate.io.mysql.types import declare, read_column
from headgate.io.relational.columns import ReadColumn, arrow_schema, source_schema
from headgate.io.relational.reader import select_list
from headgate.sql.dialects import MYSQL, Standard
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_NAME = 64
GRACE = 1.0
"""Seconds that a lock is asked for again: a server needs a moment to see that a killed client is gone."""


class MysqlBackend:
    """One database of a server."""

    product = "MySQL"
    transactional_ddl = False
    blob = "LONGBLOB"
    dialect: Standard = MYSQL

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
        database = session.value("SELECT DATABASE()")
        schema, dot, name = table.partition(".")
        known = "SELECT count(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?"
        if dot and name and session.value(known, (schema,)):
            return schema, name
        return str(database), table

    def declare(self, session: Session, field: pa.Field[Any], key_bytes: int) -> str:
        _check_name(field.name)
        return declare(field, session.collation(), key_bytes)

    def declare_staged(self, session: Session, load: Load) -> list[str]:
        """Texts that are compared with a table's are collated as these are."""
        place = session.find(load.table)
        there = session.binary_collations(place) if place else {}
        return [declare(field, there.get(field.name, session.collation())) for field in load.schema]

    def insert(self, session: Session, stage: tuple[str, str], batch: pa.RecordBatch) -> None:
        session.load(stage[1], batch.schema.names, packets(batch), batch.num_rows)

    literal = staticmethod(literal)

    # ------------------------------------------------------------------------------------------------ locks

    @contextmanager
    def lock(self, key: PipelineKey) -> Iterator[None]:
        session = Session(self._connection, "lock")
        try:
            name, until = self._lock_name(session, key), time.monotonic() + GRACE
            while session.value("SELECT GET_LOCK(?, 0)", (name,)) != 1:
                if time.monotonic() > until:
                    holder = session.value("SELECT IS_USED_LOCK(?)", (name,))
                    raise FatalError(
                        Code.LOCKED,
                        f"another run holds the pipeline (server session {holder or 'unknown'})",
                        operation="lock",
                        object=str(key),
                        hint="wait for it to end; a dead run lets go by itself",
                    )
                time.sleep(0.02)
            # the server must not close the session because nothing happens in it
            session.execute("SET SESSION wait_timeout = 2147483")
            yield
        finally:
            session.close()

    def guard(self, session: Session, claim: Claim) -> None:
        name = self._lock_name(session, claim.key, claim.run_id)
        if session.value("SELECT GET_LOCK(?, 10)", (name,)) != 1:
            raise FatalError(
                Code.LOCKED, "the run's own lock is taken", operation="begin", object=str(claim.key), hint="run again"
            )

    def end(self, session: Session, key: PipelineKey, run_id: str, patience: float) -> bool:
        name, until = self._lock_name(session, key, run_id), time.monotonic() + patience
        while (holder := session.value("SELECT IS_USED_LOCK(?)", (name,))) is not None:
            if holder == session.id:
                return True
            self._kill(session, int(holder))
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def _kill(self, session: Session, holder: int) -> None:
        from headgate.core.errors import HeadgateError

        try:
            session.execute(f"KILL {holder}")
        except HeadgateError as error:
            if "Unknown thread" not in error.message:  # gone by itself meanwhile
                raise

    def _lock_name(self, session: Session, key: PipelineKey, run_id: str = "") -> str:
        """At most 64 characters, of this database alone: such locks belong to the whole server."""
        parts = (str(session.value("SELECT DATABASE()")), key.project, key.pipeline, run_id)
        return "headgate:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]

    # ---------------------------------------------------------------------------------------------- reading

    def read_columns(self, session: Session, place: tuple[str, str]) -> list[ReadColumn]:
        return [read_column(column) for column, _ in session.columns(place)]

    def rows(
        self, session: Session, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> Generator[pa.RecordBatch, None, None]:
        return session.stream(select, arrow_schema(columns), batch_rows, name)

    def reader(self, table: str) -> Scan:
        reader = MysqlReader(self._connection)
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


def _check_name(name: str) -> None:
    """Refuse names that the server would cut, change or not keep."""
    if len(name) > LONGEST_NAME or name != name.rstrip() or any(ord(letter) > 0xFFFF for letter in name):
        raise FatalError(
            Code.UNSUPPORTED,
            f'MySQL cannot keep the name "{name}": at most {LONGEST_NAME} characters, none at the end that is blank,'
            " none beyond the basic plane",
            operation="stage",
            object=name,
            hint="rename it",
        )
