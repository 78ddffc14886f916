"""A DuckDB file as a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from headgate.core.contracts import ReadContext, Source
from headgate.core.errors import FatalError
from headgate.sources import duckdb as source
from headgate.sources.duckdb import Connection, Read
from headgate.sql.literals import quote_name
from headgate.testing.rows import values
from headgate.testing.sources import SourceContract, SourcePlace, new_rows


class Database:
    """A file that a source reads, and that others write to meanwhile."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.execute()

    def open(self) -> Source:
        return source.open_source(Connection(path="shop.duckdb"), self.root)

    def execute(self, *statements: str) -> None:
        with duckdb.connect(str(self.root / "shop.duckdb"), config={"enable_external_access": "false"}) as connection:
            for statement in statements:
                connection.execute(statement)

    def create(self, table: str, schema: pa.Schema) -> None:
        columns = ", ".join(
            f"{quote_name(field.name)} {'BIGINT' if field.type == pa.int64() else 'VARCHAR'}" for field in schema
        )
        self.execute(f"CREATE TABLE {quote_name(table)} ({columns})")

    def insert(self, table: str, rows: pa.Table) -> None:
        with duckdb.connect(str(self.root / "shop.duckdb"), config={"enable_external_access": "false"}) as connection:
            connection.register("new_rows", rows)
            names = ", ".join(map(quote_name, rows.column_names))
            connection.execute(f"INSERT INTO {quote_name(table)} ({names}) SELECT * FROM new_rows")

    def read(self, table: str, **options: Any) -> Read:
        return Read(table=table, **options)

    def context(self, **options: Any) -> ReadContext:
        return ReadContext(self.root, **options)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


class TestContract(SourceContract):
    @pytest.fixture
    def place(self, database: Database) -> SourcePlace:
        return database


EVERY_TYPE = {
    "flag": ("BOOLEAN", "true", True),
    "u64": ("UBIGINT", "18446744073709551615", 2**64 - 1),
    "huge": ("HUGEINT", str(10**38 - 1), str(10**38 - 1)),
    "exact": ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
    "real": ("DOUBLE", "5e-324", 5e-324),
    "bytes": ("BLOB", "'\\x00\\xFF'::BLOB", b"\x00\xff"),
    "bits": ("BIT", "'0101'", "0101"),
    "id": ("UUID", "'123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
    "document": ("JSON", "'{\"a\": 1}'", '{"a": 1}'),
    "choice": ("ENUM('x', 'y')", "'y'", "y"),
    "clock": ("TIME", "'23:59:59.999999'", "23:59:59.999999"),
    "zoned": ("TIMETZ", "'23:59:59+01'", "23:59:59+01"),
    "naive": ("TIMESTAMP", "'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999"),
    "seconds": ("TIMESTAMP_S", "'2024-02-29 12:00:00'", "2024-02-29 12:00:00"),
    "fine": ("TIMESTAMP_NS", "'2024-02-29 12:00:00.000001'", "2024-02-29 12:00:00.000001"),
    "moment": ("TIMESTAMPTZ", "'2024-02-29 12:00:00+00'", "2024-02-29 12:00:00+00:00"),
    "fixed": ("INTEGER[2]", "[1, 2]", [1, 2]),
    "nested": ("STRUCT(a UUID, b ENUM('x')[])", "{'a': uuid(), 'b': ['x']}", None),
}


def test_every_type_is_read_exactly(database: Database) -> None:
    columns = ", ".join(f"{name} {sql}" for name, (sql, _, _) in EVERY_TYPE.items())
    database.execute(
        f"CREATE TABLE t ({columns})",
        f"INSERT INTO t VALUES ({', '.join(value for _, value, _ in EVERY_TYPE.values())})",
    )
    found, _ = new_rows(database, Read(table="t"), None)
    assert found is not None
    (row,) = found.to_pylist()
    assert row.pop("nested")["b"] == ["x"]
    plain = {
        name: value if isinstance(value, int | float | str | bytes | list) else str(value)
        for name, value in row.items()
    }
    assert plain == {name: value for name, (_, _, value) in EVERY_TYPE.items() if value is not None}


@pytest.mark.parametrize("sql", ["DATE 'infinity'", "TIMESTAMP '-infinity'", "TIMESTAMPTZ 'infinity'"])
def test_an_infinite_moment_is_refused_and_no_finite_one_made_of_it(database: Database, sql: str) -> None:
    database.execute(f"CREATE TABLE t AS SELECT 1 AS id, {sql} AS moment UNION ALL SELECT 2, NULL")
    with pytest.raises(FatalError, match="holds infinity") as refused:
        new_rows(database, Read(table="t"), None)
    assert "isfinite" in refused.value.hint
    found, _ = new_rows(database, Read(table="t", where="moment IS NULL OR isfinite(moment)"), None)
    assert found is not None
    assert found.to_pydict() == {"id": [2], "moment": [None]}


def test_nanoseconds_are_a_row_error_and_never_cut(database: Database) -> None:
    database.execute("CREATE TABLE t (fine TIMESTAMP_NS)", "INSERT INTO t VALUES ('2024-02-29 12:00:00.000000001')")
    opened = database.open()
    window = opened.probe(Read(table="t"), database.context(), None)
    assert window is not None
    scan = opened.scan(Read(table="t"), database.context(), window)
    assert scan.batches is not None
    assert dict(scan.schema.casts) == {"fine": "TIMESTAMP"}
    assert "has nanoseconds" in scan.batches.read_all()["fine"][0].as_py()
    opened.close()


def test_a_moment_with_a_zone_is_a_cursor(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id BIGINT, moment TIMESTAMPTZ)", "INSERT INTO t VALUES (1, '2024-01-01 00:00:00+00')"
    )
    read = Read(table="t", mode="incremental", incremental={"column": "moment", "key": "id"})
    first, since = new_rows(database, read, None)
    database.execute("INSERT INTO t VALUES (2, '2024-01-01 00:00:00+00'), (3, '2024-01-01 02:00:00+01')")
    second, since = new_rows(database, read, since)
    assert first is not None
    assert second is not None
    assert (values(first, "id"), values(second, "id")) == ([1], [2, 3])
    assert new_rows(database, read, since)[0] is None


def test_a_view_cannot_reach_other_files(database: Database, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(f"CREATE VIEW v AS SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')")
    with pytest.raises(FatalError, match=r"(?i)disabled|cannot access|permission"):
        new_rows(database, Read(table="v"), None)
