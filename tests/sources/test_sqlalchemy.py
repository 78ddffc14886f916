"""Databases through SQLAlchemy as sources: SQLite, MariaDB, PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from sqlalchemy.dialects import registry

from headgate.core.contracts import ReadContext, Source
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.secrets import Secret
from headgate.io.alchemy.engines import engine
from headgate.io.alchemy.reading import AlchemyReader
from headgate.io.alchemy.sessions import Session
from headgate.sources import sqlalchemy
from headgate.sources.sqlalchemy import Connection, Read
from headgate.sql.literals import quote_name
from headgate.testing.sources import SourceContract, SourcePlace, new_rows


class Database:
    """A database that a source reads, and that others write to meanwhile."""

    def __init__(self, url: str, root: Path) -> None:
        self.root = root
        self.connection = Connection(url=Secret(url))
        self.engine = engine(self.connection, root)

    def open(self) -> Source:
        return sqlalchemy.open_source(self.connection, self.root)

    def execute(self, *statements: str) -> None:
        session = Session(self.engine, "test")
        for statement in statements:
            session.execute(statement)
        session.close()

    def create(self, table: str, schema: pa.Schema) -> None:
        columns = ", ".join(
            f"{quote_name(field.name)} {'BIGINT' if field.type == pa.int64() else 'TEXT'}" for field in schema
        )
        self.execute(f"CREATE TABLE {quote_name(table)} ({columns})")

    def insert(self, table: str, rows: pa.Table) -> None:
        names = ", ".join(map(quote_name, rows.column_names))
        session = Session(self.engine, "test")
        session.begin()
        marks = ", ".join("?" for _ in rows.column_names)
        cells = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        session.many(f"INSERT INTO {quote_name(table)} ({names}) VALUES ({marks})", cells)
        session.commit()
        session.close()

    def read(self, table: str, **options: Any) -> Read:
        return Read(table=table, **options)

    def context(self, **options: Any) -> ReadContext:
        return ReadContext(self.root, **options)


class Through(SourceContract):
    __test__ = False

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError("each database has its own")

    @pytest.fixture
    def place(self, url: str, tmp_path: Path) -> Iterator[SourcePlace]:
        database = Database(url, tmp_path)
        yield database
        database.engine.dispose()

    def test_sessions_cannot_write(self, place: Database) -> None:
        place.execute("CREATE TABLE t (id INTEGER)")
        made = engine(place.connection, place.root, read_only=True)
        session = Session(made, "test")
        with pytest.raises(HeadgateError, match=r"(?i)read.?only"):
            session.execute("INSERT INTO t VALUES (1)")
        session.close()
        made.dispose()

    def test_types_of_tables_and_queries_are_read_exactly(self, place: Database) -> None:
        place.execute(
            "CREATE TABLE t (id INTEGER, amount NUMERIC(12,2), day DATE, at TIMESTAMP, word VARCHAR(20))",
            "INSERT INTO t VALUES (1, 0.10, '2024-02-29', '2024-02-29 12:00:00', 'a')",
            "INSERT INTO t VALUES (2, NULL, NULL, '2024-02-29 12:00:01', NULL)",
        )
        found, _ = new_rows(place, Read(table="t"), None)
        assert found is not None
        row = next(row for row in found.to_pylist() if row["id"] == 1)
        assert [str(row[name]) for name in ("amount", "day", "word")] == ["0.10", "2024-02-29", "a"]
        assert str(row["at"]).startswith("2024-02-29 12:00:00")
        query = Read(query="SELECT id + :more AS more, word FROM t WHERE id = 1", parameters={"more": 41})
        found, _ = new_rows(place, query, None)
        assert found is not None
        assert found.to_pylist() == [{"more": 42, "word": "a"}]


class TestSqlite(Through):
    __test__ = True

    @pytest.fixture
    def url(self) -> str:
        return "sqlite:///shop.db"


class TestMariadb(Through):
    __test__ = True

    @pytest.fixture
    def url(self, mariadb_url: str) -> str:
        return mariadb_url.replace("mysql://", "mysql+pymysql://") + "&charset=utf8mb4"


class TestPostgres(Through):
    __test__ = True

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url.replace("postgresql://", "postgresql+psycopg://")

    @pytest.mark.parametrize("value", ["{{1,2},{3,4}}", "[2:3]={5,6}"])
    def test_arrays_of_arrays_are_refused_rather_than_flattened(self, place: Any, value: str) -> None:
        place.execute("CREATE TABLE lists (id int, a int[])", f"INSERT INTO lists VALUES (1, '{value}')")
        with pytest.raises(HeadgateError, match="array of arrays"):
            new_rows(place, Read(table="lists"), None)


def test_the_pool_is_as_documented_and_closed_with_the_source(tmp_path: Path) -> None:
    made = engine(Connection(url=Secret("sqlite:///shop.db")), tmp_path)
    pool: Any = made.pool
    assert (pool.size(), pool._max_overflow, pool._recycle, pool._pre_ping) == (10, 20, 3600, True)
    made.dispose()
    assert pool.checkedin() == 0


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("nonsense", Code.CONFIG_INVALID),
        ("postgresql+psycopg+psycopg2://u:canary@h/d", Code.CONFIG_INVALID),
        ("marsdb://u:canary@h/d", Code.DRIVER_MISSING),
        ("postgresql+nothere://u:canary@h/d", Code.DRIVER_MISSING),
    ],
)
def test_urls_that_lead_nowhere_are_told_without_their_secrets(url: str, code: Code, tmp_path: Path) -> None:
    with pytest.raises(FatalError) as refusal:
        sqlalchemy.open_source(Connection(url=Secret(url)), tmp_path)
    assert refusal.value.code is code
    assert "canary" not in str(refusal.value)


def test_a_database_that_is_not_there_is_told_as_such(postgres_url: str, mariadb_url: str, tmp_path: Path) -> None:
    for driver, url in (("postgresql+psycopg", postgres_url), ("mysql+pymysql", mariadb_url)):
        place, _, options = url.partition("://")[2].partition("?")
        absent = f"{driver}://{place.rpartition('/')[0]}/absent?{options}"
        with pytest.raises(FatalError) as refusal:
            sqlalchemy.open_source(Connection(url=Secret(absent)), tmp_path).tables()
        assert (refusal.value.code, refusal.value.hint) == (
            Code.CONNECTION_FAILED,
            "create the database, or mend its name",
        )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mssql", "SELECT TOP 2 a, 'x:y%' FROM t WHERE b = 1 ORDER BY a"),
        ("oracle", "SELECT a, 'x:y%' FROM t WHERE b = 1 ORDER BY a FETCH FIRST 2 ROWS ONLY"),
        ("postgresql", "SELECT a, 'x:y%' FROM t WHERE b = 1 ORDER BY a LIMIT 2"),
    ],
)
def test_a_cap_is_said_in_the_words_of_the_dialect(name: str, said: str) -> None:
    """Without a server: what the dialect makes of it."""
    engine = SimpleNamespace(dialect=registry.load(name)())
    reader = AlchemyReader(cast("Any", engine))
    assert reader.limited("a, 'x:y%'", "FROM t WHERE b = 1", ["a"], 2) == said
