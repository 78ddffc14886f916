"""A MariaDB database that a source reads, and that others write to meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.mariadb import MariaServer
from tests.tls import FAR

from headgate.core.contracts import ReadContext, Source
from headgate.core.secrets import Secret
from headgate.sources import mysql
from headgate.sources.mysql import Connection, Read
from headgate.sql.literals import quote_name

ROOT = Path()


class Database:
    """A database that a source reads, and that others write to meanwhile."""

    def __init__(self, server: MariaServer, name: str) -> None:
        self.server, self.name = server, name

    @property
    def connection(self) -> Connection:
        return Connection(url=Secret(self.server.url(self.name)))

    def open(self) -> Source:
        return mysql.open_source(self.connection, ROOT)

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.execute(self.name, *statements)

    def create(self, table: str, schema: pa.Schema) -> None:
        columns = ", ".join(
            f"{quote_name(field.name)} {'BIGINT' if field.type == pa.int64() else 'LONGTEXT'}" for field in schema
        )
        self.execute(f"CREATE TABLE {quote_name(table)} ({columns})")

    def insert(self, table: str, rows: pa.Table) -> None:
        names = ", ".join(f"`{name}`".replace("%", "%%") for name in rows.column_names)
        marks = ", ".join("%s" for _ in rows.column_names)
        with self.server.connect(self.name, autocommit=False) as session, session.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO `{table}` ({names}) VALUES ({marks})".replace(
                    f"`{table}`", f"`{table}`".replace("%", "%%")
                ),
                [tuple(row) for row in zip(*(column.to_pylist() for column in rows.columns), strict=True)],
            )
            session.commit()

    def read(self, table: str, **options: Any) -> Read:
        return Read(table=table, **options)

    def context(self, **options: Any) -> ReadContext:
        return ReadContext(ROOT, **options)


class FarDatabase(Database):
    """The same from another machine, as its name says: with TLS, which connectorx has not, so that the driver reads."""

    def __init__(self, server: MariaServer, name: str) -> None:
        super().__init__(server, name)
        password = f"IDENTIFIED BY '{server.password}'"
        self.execute(f"CREATE USER IF NOT EXISTS far {password}", "GRANT ALL ON *.* TO far")

    @property
    def connection(self) -> Connection:
        return Connection(
            host=FAR,
            port=self.server.port,
            database=self.name,
            username="far",
            password=Secret(self.server.password),
            tls_ca=str(self.server.certificates.authority),
        )
