"""SQL Server as a source, against a double of its protocol: not tested against the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.sqlserver.double import Database, Double, sqlserver, sqlserver_double

from headgate.core.contracts import ReadContext, Source
from headgate.sources import sqlserver as connector
from headgate.sources.sqlserver import Read
from headgate.sql.literals import quote_name, quote_text
from headgate.testing.sources import SourceContract, SourcePlace

__all__ = ["sqlserver", "sqlserver_double"]

ROOT = Path()


class Origin:
    """A database that a source reads, and that others write to meanwhile."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def open(self) -> Source:
        return connector.open_source(self.database.connection, ROOT)

    def create(self, table: str, schema: pa.Schema) -> None:
        columns = ", ".join(
            f"{quote_name(field.name)} {'BIGINT' if field.type == pa.int64() else 'NVARCHAR(MAX)'}" for field in schema
        )
        self.database.execute(f"CREATE TABLE {quote_name(table)} ({columns})")

    def insert(self, table: str, rows: pa.Table) -> None:
        names = ", ".join(map(quote_name, rows.column_names))

        def told(value: Any) -> str:
            return "NULL" if value is None else f"N{quote_text(value)}" if isinstance(value, str) else str(value)

        values = ", ".join(f"({', '.join(map(told, row.values()))})" for row in rows.to_pylist())
        self.database.execute(f"INSERT INTO {quote_name(table)} ({names}) VALUES {values}")

    def read(self, table: str, **options: Any) -> Read:
        return Read(table=table, **options)

    def context(self, **options: Any) -> ReadContext:
        return ReadContext(ROOT, **options)


@pytest.fixture
def origin(sqlserver: Database) -> Origin:
    return Origin(sqlserver)


class TestContract(SourceContract):
    @pytest.fixture
    def place(self, origin: Origin) -> SourcePlace:
        return origin
