from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headgate.core.contracts import ReadContext, Source
from headgate.io.sqlite import Connection
from headgate.sources.sqlite import Read, open_source
from headgate.sql.literals import quote_name
from headgate.testing.sources import SourceContract, SourcePlace


class Database:
    """A SQLite file that others write to."""

    def __init__(self, root: Path, journal: str = "delete") -> None:
        self.root = root
        self.execute(f"PRAGMA journal_mode = {journal}")

    def execute(self, statement: str, rows: Any = None) -> None:
        connection = sqlite3.connect(self.root / "shop.db")
        with connection:
            if rows is None:
                connection.execute(statement)
            else:
                connection.executemany(statement, rows)
        connection.close()

    def open(self) -> Source:
        return open_source(Connection(type="sqlite", path="shop.db"), self.root)

    def create(self, table: str, schema: pa.Schema) -> None:
        columns = ", ".join(
            f"{quote_name(field.name)} {'INTEGER' if pa.types.is_integer(field.type) else 'TEXT'}" for field in schema
        )
        self.execute(f"CREATE TABLE {quote_name(table)} ({columns})")

    def insert(self, table: str, rows: pa.Table) -> None:
        columns: list[Any] = [column.to_pylist() for column in rows.columns]
        marks = ", ".join("?" * rows.num_columns)
        self.execute(f"INSERT INTO {quote_name(table)} VALUES ({marks})", list(zip(*columns, strict=True)))

    def read(self, table: str, **options: Any) -> Read:
        return Read(table=table, **options)

    def context(self, **options: Any) -> ReadContext:
        return ReadContext(self.root, **options)


class TestSqliteSource(SourceContract):
    @pytest.fixture(params=["delete", "wal"])
    def place(self, tmp_path: Path, request: pytest.FixtureRequest) -> SourcePlace:
        return Database(tmp_path, request.param)
