"""A PostgreSQL database as the tests of sources use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from headgate.core.contracts import ReadContext, Source
from headgate.core.secrets import Secret
from headgate.sources import postgres
from headgate.sources.postgres import Connection, Read
from headgate.sql.literals import quote_name

ROOT = Path()


class Database:
    """A database that a source reads, and that others write to meanwhile."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def connection(self) -> Connection:
        return Connection(url=Secret(self.url))

    def open(self) -> Source:
        return postgres.open_source(self.connection, ROOT)

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as session:
            for statement in statements:
                session.execute(statement)

    def create(self, table: str, schema: pa.Schema) -> None:
        columns = ", ".join(
            f"{quote_name(field.name)} {'bigint' if field.type == pa.int64() else 'text'}" for field in schema
        )
        self.execute(f"CREATE TABLE {quote_name(table)} ({columns})")

    def insert(self, table: str, rows: pa.Table) -> None:
        names = ", ".join(quote_name(name).replace("%", "%%") for name in rows.column_names)
        marks = ", ".join("%s" for _ in rows.column_names)
        with psycopg.connect(self.url) as session, session.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {quote_name(table).replace('%', '%%')} ({names}) VALUES ({marks})",
                [tuple(row) for row in zip(*(column.to_pylist() for column in rows.columns), strict=True)],
            )

    def read(self, table: str, **options: Any) -> Read:
        return Read(table=table, **options)

    def context(self, **options: Any) -> ReadContext:
        return ReadContext(ROOT, **options)


@pytest.fixture
def database(postgres_url: str) -> Database:
    return Database(postgres_url)
