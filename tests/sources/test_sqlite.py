from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.contracts import Interval, ReadContext, Source
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.io.sqlite import Connection
from headgate.sources.sqlite import Read, open_source
from headgate.sql.literals import quote_name
from headgate.testing.rows import read_all
from headgate.testing.sources import SourceContract, SourcePlace, new_rows


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


@pytest.fixture
def shop(tmp_path: Path) -> Database:
    return Database(tmp_path)


class TestSqliteSource(SourceContract):
    @pytest.fixture(params=["delete", "wal"])
    def place(self, tmp_path: Path, request: pytest.FixtureRequest) -> SourcePlace:
        return Database(tmp_path, request.param)


def whole(shop: Database, **options: Any) -> pa.Table:
    found, _ = new_rows(shop, shop.read(options.pop("table", None), **options), None)
    assert found is not None
    return found


def test_declared_types_come_back_as_they_are(shop: Database) -> None:
    shop.execute(
        "CREATE TABLE t (i BIGINT, r DOUBLE PRECISION, b BOOLEAN, s VARCHAR(10), x BLOB, d DATE, ts DATETIME,"
        " tz TIMESTAMP WITH TIME ZONE, ti TIME, m DECIMAL(10, 2), u)"
    )
    row = (
        2**62,
        0.1,
        1,
        "001",
        b"\x00",
        "2024-02-29",
        "2024-01-01 10:00:00.5",
        "2024-01-01T10:00:00Z",
        "10:00:01",
        12.3,
        7,
    )
    shop.insert("t", pa.table([[value, None] for value in row], names=[str(place) for place in range(len(row))]))
    assert whole(shop, table="t").to_pylist() == [
        {
            "i": 2**62,
            "r": 0.1,
            "b": True,
            "s": "001",
            "x": b"\x00",
            "d": date(2024, 2, 29),
            "ts": datetime(2024, 1, 1, 10, 0, 0, 500000),  # noqa: DTZ001
            "tz": datetime(2024, 1, 1, 10, tzinfo=UTC),
            "ti": time(10, 0, 1),
            "m": Decimal("12.30"),
            "u": 7,
        },
        dict.fromkeys(["i", "r", "b", "s", "x", "d", "ts", "tz", "ti", "m", "u"]),
    ]


@pytest.mark.parametrize(
    ("declared", "cells", "raw", "cast"),
    [
        ("INTEGER", [1, "n/a", 2.5], ["1", "n/a", "2.5"], "BIGINT"),
        ("REAL", [0.1, "n/a", None], ["0.1", "n/a", None], "DOUBLE"),
        ("BOOLEAN", [1, 0, 2], ["1", "0", "2"], "BOOLEAN"),
        ("DATE", ["2024-01-01", 19000, None], ["2024-01-01", "19000", None], "DATE"),
        ("DECIMAL(5,2)", [1.5, "x", 2], ["1.5", "x", "2"], "DECIMAL(5,2)"),
    ],
)
def test_a_cell_that_does_not_fit_keeps_its_text_for_the_row_error(
    shop: Database, declared: str, cells: list[Any], raw: list[Any], cast: str
) -> None:
    shop.execute(f"CREATE TABLE t (c {declared})")
    shop.execute("INSERT INTO t VALUES (?)", [(cell,) for cell in cells])
    source, read = shop.open(), shop.read("t")
    window = source.probe(read, shop.context(), None)
    assert window is not None
    scan = source.scan(read, shop.context(), window)
    assert scan.batches is not None
    assert scan.batches.read_all()["c"].to_pylist() == raw
    assert dict(scan.schema.casts) == {"c": cast}
    source.close()


def test_columns_without_a_type_are_what_their_cells_are(shop: Database) -> None:
    shop.execute("CREATE TABLE t (i, r, mixed, s, x, empty)")
    shop.execute(
        "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", [(1, 0.5, 1, "a", b"b", None), (2, 1.0, "2", "b", b"", None)]
    )
    found = whole(shop, table="t")
    assert [str(type_) for type_ in found.schema.types] == ["int64", "double", "string", "string", "binary", "string"]
    assert found["mixed"].to_pylist() == ["1", "2"]
    totals = whole(
        shop,
        query="SELECT sum(i) AS total, avg(r) AS mean, count(*) AS n FROM t WHERE i >= :low",
        parameters={"low": 1},
    )
    assert totals.to_pylist() == [{"total": 3, "mean": 0.75, "n": 2}]


def test_bytes_among_text_are_refused(shop: Database) -> None:
    shop.execute("CREATE TABLE t (c TEXT)")
    shop.execute("INSERT INTO t VALUES (?)", [("a",), (b"b",)])
    with pytest.raises(FatalError) as refusal:
        whole(shop, table="t")
    assert refusal.value.code is Code.EXTRACTION_FAILED
    assert '"c" holds bytes and text at once: 1 cell of blob' in str(refusal.value)


def test_text_that_is_not_utf8_is_named(shop: Database) -> None:
    shop.execute("CREATE TABLE t (c TEXT)")
    shop.execute("INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))")
    with pytest.raises(FatalError) as refusal:
        whole(shop, table="t")
    assert refusal.value.code is Code.EXTRACTION_FAILED
    assert "UTF-8" in str(refusal.value)


def test_a_query_may_name_dates_of_the_run(shop: Database) -> None:
    shop.execute("CREATE TABLE t (day DATE, n INTEGER)")
    shop.execute("INSERT INTO t VALUES (?, ?)", [("2024-01-01", 1), ("2024-01-02", 2)])
    read = shop.read("t", where="day = {{ ds }}")
    context = shop.context(variables={"ds": date(2024, 1, 2)}, interval=Interval("2024-01-02", "2024-01-03"))
    source = shop.open()
    window = source.probe(read, context, None)
    assert window is not None
    assert window.identity == {"interval": ["2024-01-02", "2024-01-03"]}
    assert read_all(source.scan(read, context, window)).to_pylist() == [{"day": date(2024, 1, 2), "n": 2}]
    source.close()


CREATED = {
    "DATE": ["2024-01-01", "2024-01-02", "2024-01-03"],
    "TIMESTAMP": ["2024-01-01 23:59:59.9", "2024-01-02 00:00:00", "2024-01-02 23:59:59.999999", "2024-01-03 00:00:00"],
    "TIMESTAMP WITH TIME ZONE": ["2024-01-01T23:59:59Z", "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"],
}


@pytest.mark.parametrize("declared", CREATED)
@pytest.mark.parametrize("since", [None, {"value": "2024-01-02", "from": "2024-01-02"}])
def test_an_interval_reads_its_own_rows_and_leaves_the_position(shop: Database, declared: str, since: Any) -> None:
    shop.execute(f"CREATE TABLE t (n INTEGER, at {declared})")
    shop.execute("INSERT INTO t VALUES (?, ?)", [*enumerate(CREATED[declared]), (9, None)])
    read = shop.read("t", mode="incremental", incremental={"column": "at"})
    context = shop.context(interval=Interval("2024-01-02", "2024-01-03"))
    source = shop.open()
    window = source.probe(read, context, since)
    assert window is not None
    scan = source.scan(read, context, window)
    inside = [n for n, at in enumerate(CREATED[declared]) if at[:10] == "2024-01-02"]
    assert read_all(scan)["n"].to_pylist() == inside
    assert scan.position is None
    assert (window.identity, window.high) == ({"interval": ["2024-01-02", "2024-01-03"]}, since or {})
    source.close()


def test_an_interval_is_refused_where_the_cursor_is_no_time_or_its_cells_do_not_compare(shop: Database) -> None:
    shop.execute("CREATE TABLE t (n INTEGER, at TIMESTAMP)")
    shop.execute("INSERT INTO t VALUES (?, ?)", [(1, "2024-01-02 10:00:00"), (2, "2024-01-02T10:00:00")])
    context = shop.context(interval=Interval("2024-01-02", "2024-01-03"))
    source = shop.open()
    with pytest.raises(FatalError, match="1 value of at cannot be compared"):
        source.probe(shop.read("t", mode="incremental", incremental={"column": "at"}), context, None)
    read = shop.read("t", mode="incremental", incremental={"column": "n"})
    window = source.probe(read, context, None)
    assert window is not None
    with pytest.raises(FatalError, match="'2024-01-02' cannot be a position in n"):
        source.scan(read, context, window)
    source.close()


def test_rows_are_read_in_one_snapshot(tmp_path: Path) -> None:
    shop = Database(tmp_path, "wal")
    shop.execute("CREATE TABLE t (n INTEGER)")
    shop.execute("INSERT INTO t VALUES (?)", [(number,) for number in range(500)])
    source, read, context = shop.open(), shop.read("t"), shop.context(batch_size=100)
    window = source.probe(read, context, None)
    assert window is not None
    scan = source.scan(read, context, window)
    assert scan.batches is not None
    seen = scan.batches.read_next_batch().num_rows
    shop.execute("DELETE FROM t")
    seen += sum(batch.num_rows for batch in scan.batches)
    scan.close()
    source.close()
    assert seen == 500


# ----------------------------------------------------------------------------------------------------- cursors

FORMATS = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f+00:00", "iso"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12),
    st.sampled_from([0, 2]),
    st.booleans(),
)
def test_changes_are_read_once_however_moments_are_written(
    tmp_path_factory: pytest.TempPathFactory, style: str, steps: list[tuple[int, int]], lag: int, keyed: bool
) -> None:
    shop = Database(tmp_path_factory.mktemp("shop"))
    shop.execute("PRAGMA synchronous = OFF")
    shop.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP)")
    options: dict[str, Any] = {"column": "at", "lag": f"{lag}s"} | ({"key": "id"} if keyed else {})
    read = shop.read("t", mode="incremental", incremental=options)
    now = datetime(2024, 1, 1, tzinfo=UTC)
    since: Any = None
    delivered: list[Any] = []
    for number, (tick, late) in enumerate(steps):
        now += timedelta(seconds=tick / 2 if "f" in style or style == "iso" else tick)
        at = now - timedelta(seconds=min(late, lag))
        text = at.replace(tzinfo=None).isoformat(sep=" ") if style == "iso" else at.strftime(style)
        shop.execute("INSERT INTO t VALUES (?, ?)", [(number, text)])
        if late:
            found, since = new_rows(shop, read, since)
            delivered += found["id"].to_pylist() if found is not None else []
    found, since = new_rows(shop, read, since)
    delivered += found["id"].to_pylist() if found is not None else []
    assert sorted(delivered) == list(range(len(steps)))
    assert new_rows(shop, read, since)[0] is None


@pytest.mark.parametrize("incremental", [{"column": "at"}, {"column": "at", "key": "id"}], ids=["no key", "key"])
def test_a_column_that_comes_makes_no_row_new(shop: Database, incremental: dict[str, Any]) -> None:
    shop.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER)")
    shop.execute("INSERT INTO t VALUES (?, ?)", [(1, 1), (2, 2)])
    read = shop.read("t", mode="incremental", incremental=incremental)
    found, since = new_rows(shop, read, None)
    assert found is not None
    shop.execute("ALTER TABLE t ADD COLUMN extra TEXT DEFAULT 'x'")
    assert new_rows(shop, read, since)[0] is None, "nothing is new: the run is skipped"
    shop.execute("INSERT INTO t VALUES (?, ?, ?)", [(3, 2, "y")])
    found, since = new_rows(shop, read, since)
    assert found is not None
    assert found.to_pylist() == [{"id": 3, "at": 2, "extra": "y"}], "also not with those at the edge"


def test_a_column_that_told_rows_apart_and_went_is_refused_with_the_way_on(shop: Database) -> None:
    shop.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER, name TEXT)")
    shop.execute("INSERT INTO t VALUES (1, 1, 'a')")
    read = shop.read("t", mode="incremental", incremental={"column": "at"})
    _, since = new_rows(shop, read, None)
    shop.execute("ALTER TABLE t DROP COLUMN name")
    with pytest.raises(FatalError, match=r'(?s)"name" is needed to tell rows apart.*state reset') as refusal:
        new_rows(shop, read, since)
    assert refusal.value.code is Code.PLAN_INVALID


@pytest.mark.parametrize(
    ("declared", "cells"),
    [
        ("TIMESTAMP", ["2024-01-01 10:00:00", "2024-01-01T09:00:00"]),
        ("TIMESTAMP", ["2024-01-01 10:00:00", 1704067200]),
        ("TIMESTAMP", ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00.5Z"]),
        ("TIMESTAMP", ["2024-01-01T10:00:00+02:00", "2024-01-01T10:00:00+02:00"]),
        ("DATE", ["2024-01-01", "2024-01-02 00:00:00"]),
        ("INTEGER", [1, "soon"]),
        ("TEXT", ["a", b"b"]),
    ],
)
def test_a_cursor_whose_cells_do_not_compare_is_refused(shop: Database, declared: str, cells: list[Any]) -> None:
    shop.execute(f"CREATE TABLE t (id INTEGER, c {declared})")
    shop.execute("INSERT INTO t VALUES (?, ?)", list(enumerate(cells)))
    with pytest.raises(FatalError) as refusal:
        whole(shop, table="t", mode="incremental", incremental={"column": "c", "key": "id"})
    assert refusal.value.code is Code.EXTRACTION_FAILED
    assert "c cannot be compared with" in str(refusal.value)


def test_a_cursor_of_decimals_or_reals_finds_ties(shop: Database) -> None:
    for declared in ("DECIMAL(10,2)", "REAL", ""):
        shop.execute(f"CREATE TABLE t (id INTEGER, c {declared})")
        shop.execute("INSERT INTO t VALUES (?, ?)", [(1, 0.1), (2, 0.3)])
        read = shop.read("t", mode="incremental", incremental={"column": "c", "key": "id"})
        _, since = new_rows(shop, read, None)
        shop.execute("INSERT INTO t VALUES (?, ?)", [(3, 0.3), (4, 0.2)])
        found, since = new_rows(shop, read, since)
        assert found is not None
        assert found["id"].to_pylist() == [3]
        shop.execute("DROP TABLE t")


def test_looking_for_something_new_imports_nothing_heavy(shop: Database) -> None:
    shop.execute("CREATE TABLE t (id INTEGER, at TIMESTAMP)")
    shop.execute("INSERT INTO t VALUES (1, '2024-01-01')")
    program = f"""
import sys, pathlib
from headgate.sources.sqlite import Connection, Read, open_source
from headgate.targets.sqlite import open_store
from headgate.core.contracts import ReadContext
from headgate.core.runs import PipelineKey
root = pathlib.Path({str(shop.root)!r})
connection = Connection(type="sqlite", path="shop.db")
assert open_store("s", connection, root).state(PipelineKey("a", "b")).epoch == 0
read = Read(table="t", mode="incremental", incremental={{"column": "at", "key": "id"}})
assert open_source(connection, root).probe(read, ReadContext(root), None)
heavy = {{"pyarrow", "duckdb", "sqlglot", "pyiceberg", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own program


# ------------------------------------------------------------------------------------------------------ faults


def test_a_missing_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "shop.sqlite").touch()
    with pytest.raises(FatalError) as refusal:
        open_source(Connection(type="sqlite", path="shop.db"), tmp_path).test()
    assert refusal.value.code is Code.SOURCE_NOT_FOUND
    assert "shop.sqlite" in refusal.value.hint
    assert not (tmp_path / "shop.db").exists()


def test_a_file_that_is_no_database_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(FatalError) as refusal:
        open_source(Connection(type="sqlite", path="shop.db"), tmp_path).test()
    assert refusal.value.code is Code.STORAGE_FAILED
    assert "not a sound SQLite database" in str(refusal.value)


def test_a_locked_database_is_worth_another_try(shop: Database) -> None:
    shop.execute("CREATE TABLE t (id INTEGER)")
    writer = sqlite3.connect(shop.root / "shop.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    source = open_source(Connection(type="sqlite", path="shop.db", timeout=timedelta(0)), shop.root)
    with pytest.raises(RetriableError) as refusal:
        source.tables()
    assert refusal.value.code is Code.CONFLICT
    writer.close()


def test_a_source_never_writes(shop: Database) -> None:
    shop.execute("CREATE TABLE t (id INTEGER)")
    before = (shop.root / "shop.db").read_bytes()
    whole(shop, query="SELECT * FROM t")
    with pytest.raises(FatalError):
        whole(shop, query="DELETE FROM t RETURNING id")
    assert (shop.root / "shop.db").read_bytes() == before
    assert [path.name for path in shop.root.iterdir()] == ["shop.db"]


def test_queries_and_conditions_may_end_with_a_comment(shop: Database) -> None:
    shop.execute("CREATE TABLE t (n INTEGER)")
    shop.execute("INSERT INTO t VALUES (?)", [(1,), (2,)])
    assert whole(shop, query="SELECT * FROM t -- all", where="n > 1 -- but one").to_pylist() == [{"n": 2}]
