"""What every engine must do, as tests: subclass :class:`EngineContract` and give it an engine."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.core.contracts import FileScan, Scan, SourceSchema
from headgate.core.engines import BindingError, Column, Engine, EngineSession
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.testing.rows import arrow_schema, values

WIRE = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(38,5)",
    "VARCHAR",
    "BLOB",
    "BIT",
    "UUID",
    "JSON",
    "DATE",
    "TIME",
    "INTERVAL",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMPTZ",
    "INTEGER[]",
    "STRUCT(a INTEGER, b VARCHAR[])",
    "MAP(VARCHAR, DOUBLE)",
    "ENUM('x', 'y')",
    "STRUCT(u UUID)[]",
]


def batches(data: pa.Table, size: int = 1000) -> Scan:
    """A scan over a table's batches."""
    reader = pa.RecordBatchReader.from_batches(data.schema, iter(data.to_batches(max_chunksize=size)))
    return Scan(SourceSchema(data.schema), batches=reader)


def files(format_: Any, schema: pa.Schema, paths: Sequence[Path], **options: Any) -> Scan:
    """A scan over files."""
    return Scan(SourceSchema(schema), files=FileScan(format_, tuple(map(str, paths)), options))


class EngineContract:
    """Bounded, restricted, exact: what runs and plans rely on."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError("give an engine")

    @pytest.fixture
    def session(self, engine: Engine, tmp_path: Path) -> Iterator[EngineSession]:
        (tmp_path / "in").mkdir()
        opened = engine.session(tmp_path / "work", memory=None, threads=None, paths=[str(tmp_path / "in")])
        yield opened
        opened.close()

    def test_batches_stream_through_one_select(self, session: EngineSession) -> None:
        session.register("numbers", batches(pa.table({"n": list(range(5000))})))
        found = session.stream("SELECT n * 2 AS twice FROM numbers WHERE n % 2 = 0", 100).read_all()
        assert values(found, "twice") == [n * 2 for n in range(0, 5000, 2)]

    def test_batches_of_a_reader_are_refused_a_second_time(self, session: EngineSession) -> None:
        session.register("numbers", batches(pa.table({"n": [1, 2]})))
        assert session.rows("SELECT sum(n) FROM numbers") == [(3,)]
        with pytest.raises(FatalError, match=r"only once|already been consumed"):
            session.rows("SELECT sum(n) FROM numbers")

    def test_materialised_relations_are_read_any_number_of_times(self, session: EngineSession) -> None:
        session.materialise("numbers", batches(pa.table({"n": [1, 2]})))
        assert session.rows("SELECT a.n, b.n FROM numbers a JOIN numbers b USING (n) ORDER BY 1") == [(1, 1), (2, 2)]
        assert session.rows("SELECT count(*) FROM numbers") == [(2,)]

    def test_two_streams_are_open_at_once(self, session: EngineSession) -> None:
        session.materialise("numbers", batches(pa.table({"n": list(range(10_000))})))
        first, second = session.stream("FROM numbers", 100), session.stream("SELECT n + 1 AS m FROM numbers", 100)
        assert first.read_next_batch().num_rows + second.read_next_batch().num_rows > 0
        assert first.read_all().num_rows + second.read_all().num_rows > 15_000

    def test_a_failing_value_in_mid_stream_is_one_clear_error(self, session: EngineSession) -> None:
        session.materialise("numbers", batches(pa.table({"n": list(range(50_000))})))
        stream = session.stream("SELECT CASE WHEN n = 49999 THEN error('value 49999') ELSE n END AS n FROM numbers", 50)
        with pytest.raises(FatalError) as caught:
            stream.read_all()
        assert caught.value.code is Code.TRANSFORMATION_FAILED
        assert caught.value.message == "value 49999"

    def test_files_outside_the_given_paths_cannot_be_read(self, session: EngineSession, tmp_path: Path) -> None:
        outside = tmp_path / "outside.csv"
        outside.write_text("a\n1\n")
        with pytest.raises(FatalError, match=r"(?i)cannot access|not allowed|disabled"):
            session.rows(f"SELECT * FROM read_csv('{outside}')")

    def test_settings_cannot_be_changed(self, session: EngineSession) -> None:
        with pytest.raises((FatalError, BindingError)):
            session.rows("SET enable_external_access = true")

    def test_a_closed_session_refuses_and_closes_twice(self, session: EngineSession) -> None:
        stream = session.stream("SELECT range AS n FROM range(10000000)", 1000)
        stream.read_next_batch()
        session.close()
        session.close()
        with pytest.raises(FatalError):
            session.stream("SELECT 1 AS n", 10)

    def test_an_interrupt_from_another_thread_ends_a_stream(self, session: EngineSession) -> None:
        timer = threading.Timer(0.3, session.interrupt)
        timer.start()
        try:
            with pytest.raises(FatalError) as caught:
                session.rows("SELECT sum(a.range * b.range % 7) FROM range(1000000) a, range(1000000) b")
            assert caught.value.code is Code.INTERRUPTED
        finally:
            timer.cancel()

    def test_binding_names_the_missing_column_and_candidates(self, engine: Engine) -> None:
        binder = engine.binder()
        with pytest.raises(BindingError) as caught:
            binder.bind("SELECT amout FROM input", {"input": [Column("amount", "DOUBLE"), Column("day", "DATE")]})
        assert caught.value.missing == "amout"
        assert "amount" in caught.value.candidates
        assert "LINE" not in caught.value.message
        binder.close()

    def test_binding_leaves_nothing_behind(self, engine: Engine) -> None:
        one, other = engine.binder(), engine.binder()
        for statement in ("CREATE TABLE kept AS SELECT 1 AS a", "CREATE MACRO twice(x) AS x"):
            with contextlib.suppress(BindingError):
                one.bind(statement, {"t": [Column("a", "INTEGER")]})
        for query in ("SELECT * FROM kept", "SELECT twice(1)", "SELECT * FROM t"):
            with pytest.raises(BindingError):
                other.bind(query, {})
        one.close()
        assert other.bind("SELECT a FROM t", {"t": [Column("a", "DATE")]}) == (Column("a", "DATE"),)

    def test_binding_finds_types_without_rows(self, engine: Engine) -> None:
        binder = engine.binder()
        found = binder.bind(
            'SELECT a + 1 AS b, d, NULL AS n FROM "in put"', {"in put": [Column("a", "INTEGER"), Column("d", "DATE")]}
        )
        assert [(column.name, column.type) for column in found] == [("b", "INTEGER"), ("d", "DATE"), ("n", "INTEGER")]
        assert binder.bind("SELECT * FROM input", {"input": [Column("x", "VARCHAR")]}) == (Column("x", "VARCHAR"),)
        binder.close()

    @pytest.mark.parametrize("type_", WIRE)
    def test_the_binder_knows_the_schema_that_streams_have(
        self, engine: Engine, session: EngineSession, type_: str
    ) -> None:
        binder = engine.binder()
        stream = session.stream(f"SELECT CAST(NULL AS {type_}) AS x, 1 AS y", 10)
        assert binder.arrow([Column("x", type_), Column("y", "INTEGER")]) == stream.schema
        assert stream.read_all().num_rows == 1
        assert binder.columns(stream.schema)[0].name == "x"
        assert binder.arrow(binder.columns(stream.schema)) == stream.schema
        binder.close()

    @pytest.mark.parametrize("kept", [False, True], ids=["streamed", "kept"])
    def test_an_error_of_a_source_stays_what_it_was(self, session: EngineSession, *, kept: bool) -> None:
        """An engine may see its text only; whether trying again helps must not get lost."""
        schema = arrow_schema([("n", pa.int64())])

        def broken() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pydict({"n": [1]}, schema)
            raise RetriableError(Code.CONNECTION_FAILED, "the network broke", operation="scan", object="t")

        scan = Scan(SourceSchema(schema), batches=pa.RecordBatchReader.from_batches(schema, broken()))

        def read() -> None:
            (session.materialise if kept else session.register)("t", scan)
            session.rows("SELECT sum(n) FROM t")

        with pytest.raises(RetriableError, match="the network broke"):
            read()

    def test_parquet_files_are_read_with_their_columns_by_name(self, session: EngineSession, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "in" / "one.parquet")
        pq.write_table(pa.table({"b": ["y"], "a": [2]}), tmp_path / "in" / "two [2].parquet")
        schema = arrow_schema([("a", pa.int64()), ("b", pa.string())])
        session.register("t", files("parquet", schema, sorted((tmp_path / "in").iterdir())))
        assert session.rows("SELECT * FROM t ORDER BY a") == [(1, "x"), (2, "y")]

    @pytest.mark.parametrize("condition", ["> 5", "<> 0", "<= 0", "< 5", "= 'nan'", "IN ('nan', 3)", "NOT IN (0, 3)"])
    def test_conditions_find_nan_in_parquet_files_as_in_batches(
        self, session: EngineSession, tmp_path: Path, condition: str
    ) -> None:
        """The statistics of a file are those of its other values."""
        data = pa.table({"n": [0, 1, 2], "x": [None, 0.0, math.nan], "y": pa.array([None, None, 0], pa.int64())})
        pq.write_table(data, tmp_path / "in" / "t.parquet")
        session.register("t", files("parquet", data.schema, [tmp_path / "in" / "t.parquet"]))
        session.materialise("same", batches(data))
        found, wanted = (f"SELECT n FROM {name} WHERE x {condition}" for name in ("t", "same"))
        assert session.rows(found) == session.rows(wanted)
        assert session.rows("SELECT n FROM t JOIN same USING (n, x, y)") == [(2,)]
        assert session.rows("SELECT same.n FROM t JOIN same USING (x) WHERE same.n > 1") == [(2,)]
