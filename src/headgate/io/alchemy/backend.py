"""Any SQLAlchemy database as a store: portable statements, staging by INSERT, a lease as lock."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Load, Scan
from headgate.core.ledger import Claim
from headgate.core.models import WriteOptions
from headgate.core.runs import PipelineKey
from headgate.io.alchemy.leases import lease
from headgate.io.alchemy.reading import literal_of, scan_table
from headgate.io.alchemy.sessions import Session, quoted
from headgate.io.alchemy.types import MYSQL, bound, declare, read_column
from headgate.io.relational.columns import ReadColumn, arrow_schema
from headgate.sql import dialects
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy

INSERT_ROWS = 1000
DIALECTS: dict[str, dialects.Standard] = {
    "postgresql": dialects.STANDARD,
    "sqlite": dialects.STANDARD,
    "mysql": dialects.MYSQL,
    "mariadb": dialects.MYSQL,
}
TRANSACTIONAL_DDL = ("postgresql", "sqlite", "mssql")


def check_load(options: WriteOptions, dialect: str) -> None:
    """Refuse modes that are not known to work in a dialect. Raises FatalError UNSUPPORTED."""
    simple = options.mode in ("append", "upsert") or (options.mode == "overwrite" and options.scope == "table")
    if simple or DIALECTS.get(dialect, dialects.PORTABLE).merges:
        return
    from headgate.core.errors import Code, FatalError

    what = options.mode if options.mode != "overwrite" else f"overwrite {options.scope}"
    raise FatalError(
        Code.UNSUPPORTED,
        f"it is not known how {dialect} says what {what} needs",
        operation="plan",
        object=options.table,
        hint="use mode: append, overwrite (of the whole table) or upsert",
    )


class AlchemyBackend:
    """One database."""

    blob = "BLOB"

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._dialect = engine.dialect.name
        self.dialect: dialects.Standard = DIALECTS.get(self._dialect, dialects.PORTABLE)
        self.product = f"SQLAlchemy ({self._dialect})"
        self.transactional_ddl = self._dialect in TRANSACTIONAL_DDL

    def session(self, operation: str) -> Session:
        return Session(self._engine, operation)

    def quote(self, name: str) -> str:
        longest = self._engine.dialect.max_identifier_length
        if len(name.encode()) > longest or (self._dialect in MYSQL and name != name.rstrip()):
            from headgate.core.errors import Code, FatalError

            raise FatalError(
                Code.UNSUPPORTED,
                f'{self._dialect} cannot keep the name "{name}": {longest} bytes at most, and no blank at the end',
                operation="stage",
                object=name,
                hint="rename it",
            )
        return quote_name(name)

    def quoted(self, place: tuple[str, str]) -> str:
        return quoted(place)

    def new_place(self, session: Session, table: str) -> tuple[str, str]:
        import sqlalchemy

        schema, dot, name = table.partition(".")
        if dot and name and schema in sqlalchemy.inspect(session.connection).get_schema_names():
            return schema, name
        return "", table

    def declare(self, session: Session, field: pa.Field[Any], key_bytes: int) -> str:  # noqa: ARG002
        return declare(field, self._engine.dialect, key_bytes)

    def declare_staged(self, session: Session, load: Load) -> list[str]:
        """In MySQL texts that are compared with a table's are collated as these are."""
        declared = [self.declare(session, field, 0) for field in load.schema]
        place = session.find(load.table) if self._dialect in MYSQL else None
        if place is None:
            return declared
        there = {name: str(getattr(type_, "collation", "")) for name, type_ in session.types(place)}
        own = {name: collation for name, collation in there.items() if re.fullmatch(r"utf8mb4_\w*bin", collation)}
        return [
            text.replace("utf8mb4_bin", own.get(name, "utf8mb4_bin"))
            for name, text in zip(load.schema.names, declared, strict=True)
        ]

    def insert(self, session: Session, stage: tuple[str, str], batch: pa.RecordBatch) -> None:
        names = ", ".join(quote_name(name) for name in batch.schema.names)
        statement = f"INSERT INTO {quoted(stage)} ({names}) VALUES ({', '.join('?' * batch.num_columns)})"
        columns = [bound(batch.column(place), name, self._dialect) for place, name in enumerate(batch.schema.names)]
        rows = list(zip(*columns, strict=True))
        session.begin()
        try:
            for start in range(0, len(rows), INSERT_ROWS):
                session.many(statement, rows[start : start + INSERT_ROWS])
            session.commit()
        except BaseException:
            session.rollback()
            raise

    def literal(self, value: Any) -> str:
        return literal_of(value, self._dialect)

    def lock(self, key: PipelineKey) -> AbstractContextManager[None]:
        return lease(lambda: self.session("lock"), key)

    def guard(self, session: Session, claim: Claim) -> None:
        """Nothing: whoever asks what became of this session waits for the ledger's row instead."""

    def end(self, session: Session, key: PipelineKey, run_id: str, patience: float) -> bool:  # noqa: ARG002
        """Wait until no other session holds the pipeline's row: then what it did is committed, or will never be."""
        session.begin()
        try:
            session.execute(
                "UPDATE headgate_pipelines SET run_id = run_id WHERE project = ? AND pipeline = ?",
                (key.project, key.pipeline),
            )
        finally:
            session.rollback()
        return True

    def read_columns(self, session: Session, place: tuple[str, str]) -> list[ReadColumn]:
        return [read_column(name, type_, self._dialect) for name, type_ in session.types(place)]

    def rows(
        self,
        session: Session,
        select: str,
        columns: Sequence[ReadColumn],
        batch_rows: int,
        name: str,  # noqa: ARG002
    ) -> Generator[pa.RecordBatch, None, None]:
        return session.stream(select, arrow_schema(columns), batch_rows)

    def reader(self, table: str) -> Scan:
        return scan_table(self._engine, table)
