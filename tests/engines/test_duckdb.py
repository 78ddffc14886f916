"""The embedded engine: the shared contract, and what only files of text have."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.contracts import Scan, SourceSchema
from headgate.core.engines import Engine, EngineSession, Rejected
from headgate.core.errors import Code, FatalError, RetriableError
from headgate.engines.duckdb import DuckdbEngine
from headgate.io.embedded import KEPT_FOOTERS
from headgate.testing.engines import EngineContract, batches, files
from headgate.testing.rows import arrow_schema

SCHEMA = arrow_schema([("id", pa.int64()), ("name", pa.string()), ("amount", pa.decimal128(10, 2))])
DIRTY = b"id,name,amount\n1,a,1.50\n2,b,xx\n3,c\n4,d,4.0,9\nz,q,yy\n6,\xff\xfe,1.0\n7,g,7\n"


def _written(path: Path, ids: list[int], hours: int) -> None:
    """A file that was written some hours ago."""
    pq.write_table(pa.table({"id": pa.array(ids, pa.int64())}), path)
    then = time.time() - 3600 * hours
    os.utime(path, (then, then))


def _slowly(batches: pa.RecordBatchReader, asked: threading.Event) -> Iterator[pa.RecordBatch]:
    asked.set()
    time.sleep(0.02)
    yield from batches


class TestDuckdbEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return DuckdbEngine()

    @pytest.mark.parametrize("how", ["register", "materialise"])
    def test_a_source_that_breaks_off_is_told_in_its_own_words(self, session: EngineSession, how: str) -> None:
        def breaking() -> Iterator[pa.RecordBatch]:
            yield pa.record_batch({"id": [1]})
            raise RetriableError(Code.CONNECTION_FAILED, "the server went away", operation="scan", hint="start it")

        reader = pa.RecordBatchReader.from_batches(arrow_schema([("id", pa.int64())]), breaking())
        scan = Scan(SourceSchema(reader.schema), batches=reader)

        def read() -> None:
            getattr(session, how)("t", scan)
            session.stream("SELECT * FROM t", 100).read_all()

        with pytest.raises(RetriableError) as told:
            read()
        assert (told.value.code, told.value.message, told.value.hint) == (
            Code.CONNECTION_FAILED, "the server went away", "start it",
        )  # fmt: skip

    def test_it_closes_while_a_stream_reads_another_of_its_streams(self, engine: Engine, tmp_path: Path) -> None:
        for _ in range(10):  # whoever comes first
            session = engine.session(tmp_path, memory=None, threads=None, paths=())
            inner, asked = session.stream("SELECT 1 AS id", 10), threading.Event()
            rows = pa.RecordBatchReader.from_batches(inner.schema, _slowly(inner, asked))
            session.register("mended", Scan(SourceSchema(rows.schema), batches=rows))
            session.stream("SELECT id + 1 FROM mended", 10)
            assert asked.wait(10)
            closing = threading.Thread(target=session.close, daemon=True)
            closing.start()
            closing.join(10)
            assert not closing.is_alive()

    @pytest.mark.parametrize("others", [0, KEPT_FOOTERS])
    def test_a_file_that_changed_between_two_statements_is_read_anew(self, tmp_path: Path, others: int) -> None:
        """What the engine keeps of a footer holds for the file as it was: old enough for it to be kept at all."""
        paths = [tmp_path / f"{place}.parquet" for place in range(1 + others)]
        for path in paths:
            _written(path, [1, 2], hours=2)
        engine = DuckdbEngine().session(tmp_path / "work", paths=[str(path) for path in paths])
        try:
            engine.register("t", files("parquet", arrow_schema([("id", pa.int64())]), paths[:1]))
            statement = "SELECT sum(id)::BIGINT, min(id), max(id) FROM t"
            assert engine.rows(statement) == engine.rows(statement) == [(3, 1, 2)]
            _written(paths[0], [5, 6, 7], hours=1)
            assert engine.rows(statement) == [(18, 5, 7)]
        finally:
            engine.close()

    @pytest.mark.parametrize("select", ["SELECT * FROM t", "SELECT id FROM t", "SELECT count(*) AS n FROM t"])
    def test_bad_lines_are_the_same_whatever_columns_are_used(
        self, session: EngineSession, tmp_path: Path, select: str
    ) -> None:
        path = tmp_path / "in" / "a.csv"
        path.write_bytes(DIRTY)
        session.register("t", files("csv", SCHEMA, [path]))
        session.stream(select, 100).read_all()
        found = list(session.rejected())
        assert [(line.path, line.line) for line in found] == [(str(path), n) for n in (3, 4, 5, 6, 7)]
        assert [line.text for line in found][:4] == ["2,b,xx", "3,c", "4,d,4.0,9", "z,q,yy"]
        assert '"id"' in found[3].reason
        assert '"amount"' in found[3].reason
        assert "utf-8" in found[4].reason

    def test_each_bad_line_comes_once_however_often_the_file_is_read(
        self, session: EngineSession, tmp_path: Path
    ) -> None:
        path = tmp_path / "in" / "a.csv"
        path.write_bytes(DIRTY)
        session.register("t", files("csv", SCHEMA, [path]))
        session.materialise("m", files("csv", SCHEMA, [path]))
        for _ in range(2):
            assert session.rows("SELECT count(*) FROM t") == [(2,)]
        assert session.rows("SELECT count(*) FROM m") == [(2,)]
        assert len(list(session.rejected())) == 5
        assert len(list(session.rejected())) == 5

    def test_more_bad_lines_than_any_default_limit_are_all_kept(self, session: EngineSession, tmp_path: Path) -> None:
        path = tmp_path / "in" / "a.csv"
        path.write_text("id,name,amount\n" + "x,y,1\n" * 20_000)
        session.register("t", files("csv", SCHEMA, [path]))
        assert session.rows("SELECT count(*) FROM t") == [(0,)]
        assert sum(1 for _ in session.rejected()) == 20_000

    def test_a_file_with_other_columns_is_refused_by_name(self, session: EngineSession, tmp_path: Path) -> None:
        path = tmp_path / "in" / "a.csv"
        path.write_text("id,amount,name\n1,2,x\n")
        with pytest.raises(FatalError) as caught:
            session.register("t", files("csv", SCHEMA, [path]))
        assert caught.value.code is Code.SCHEMA_MISMATCH
        assert caught.value.object == str(path)
        assert "id, amount, name" in caught.value.message

    def test_empty_files_have_no_rows(self, session: EngineSession, tmp_path: Path) -> None:
        (tmp_path / "in" / "a.csv").write_text("")
        (tmp_path / "in" / "b.csv").write_text("id,name,amount\n")
        session.register("t", files("csv", SCHEMA, sorted((tmp_path / "in").iterdir())))
        session.register("u", files("csv", SCHEMA, [tmp_path / "in" / "a.csv"]))
        assert session.rows("SELECT count(*) FROM t") == [(0,)]
        assert session.stream("SELECT * FROM u", 10).schema == SCHEMA

    def test_json_lines_keep_their_text_and_bad_lines_their_numbers(
        self, session: EngineSession, tmp_path: Path
    ) -> None:
        path = tmp_path / "in" / "a.jsonl"
        path.write_text(
            '{"id": 1, "a/b~c": 0.1, "n": {"x": [1]}}\n\n{bad\n{"id": null}\n[1]\n{"id": "7"}\n', newline=""
        )
        with path.open("ab") as file:
            file.write(b'{"id": "\xff"}\r\n\x02\n{"a\x01": 1}\n')
        schema = arrow_schema([("id", pa.string()), ("a/b~c", pa.string()), ("n", pa.string())])
        session.register("t", files("json", schema, [path]))
        found = session.stream("SELECT * FROM t", 100).read_all().to_pylist()
        assert sorted(found, key=str) == sorted(
            [
                {"id": "1", "a/b~c": "0.1", "n": '{"x":[1]}'},
                {"id": None, "a/b~c": None, "n": None},
                {"id": "7", "a/b~c": None, "n": None},
            ],
            key=str,
        )
        assert list(session.rejected()) == [
            Rejected(str(path), 3, "{bad", "not a JSON object"),
            Rejected(str(path), 5, "[1]", "not a JSON object"),
            Rejected(str(path), 7, '{"id": "\ufffd"}', "not valid UTF-8"),
            Rejected(str(path), 8, "\x02", "not a JSON object"),
            Rejected(str(path), 9, '{"a\x01": 1}', "not a JSON object"),
        ]

    def test_nanoseconds_leave_only_where_nothing_is_lost(self, session: EngineSession) -> None:
        whole = "SELECT CAST('2024-01-01 00:00:00.123456' AS TIMESTAMP_NS) AS t"
        assert session.stream(whole, 1).read_all()["t"].type == pa.timestamp("us")
        with pytest.raises(FatalError, match="nanoseconds"):
            session.stream("SELECT CAST('2024-01-01 00:00:00.123456789' AS TIMESTAMP_NS) AS t", 1).read_all()

    def test_types_without_an_exact_form_are_refused_by_column(self, session: EngineSession) -> None:
        with pytest.raises(FatalError) as caught:
            session.stream("SELECT CAST('12:00:00+01' AS TIMETZ) AS x", 1)
        assert caught.value.code is Code.UNSUPPORTED
        assert "CAST(x AS VARCHAR)" in caught.value.hint

    def test_python_variables_are_not_relations(self, session: EngineSession) -> None:
        secret = pa.table({"a": [1]})
        assert secret.num_rows == 1
        with pytest.raises(FatalError, match="does not exist"):
            session.rows("SELECT * FROM secret")

    def test_memory_stays_bounded_by_spilling(self, engine: Engine, tmp_path: Path) -> None:
        session = engine.session(tmp_path / "work", memory=100 << 20, threads=2, paths=[])
        found = session.rows(
            "SELECT count(*) FROM"
            " (SELECT range % 3000000 AS k, count(*) FROM range(4000000) GROUP BY k ORDER BY k DESC)"
        )
        assert found == [(3_000_000,)]
        session.close()

    def test_too_little_memory_says_what_to_do(self, engine: Engine, tmp_path: Path) -> None:
        session = engine.session(tmp_path / "work", memory=8 << 20, threads=1, paths=[])
        with pytest.raises(FatalError) as caught:
            session.rows("SELECT length(string_agg(repeat('x', 1000), '')) FROM range(1000000)")
        assert caught.value.code is Code.TRANSFORMATION_FAILED
        assert "memory" in caught.value.hint
        session.close()

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        rows=st.lists(
            st.tuples(
                st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_characters="\x00\r", codec="utf-8"))
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_any_text_survives_json_lines(self, tmp_path: Path, rows: list[tuple[int, str]]) -> None:
        path = tmp_path / "any.jsonl"
        path.write_text("".join(json.dumps({"n": n, "s": s}, ensure_ascii=False) + "\n" for n, s in rows))
        session = DuckdbEngine().session(tmp_path / "work", memory=None, threads=1, paths=[str(path)])
        session.register("t", files("json", pa.schema([("n", pa.string()), ("s", pa.string())]), [path]))
        found = sorted(session.rows("SELECT n, s FROM t"))
        session.close()
        assert found == sorted((str(n), s) for n, s in rows)

    def test_a_registered_name_may_be_given_again(self, session: EngineSession) -> None:
        session.materialise("t", batches(pa.table({"n": [1]})))
        session.materialise("t", batches(pa.table({"n": [2]})))
        assert session.rows("SELECT n FROM t") == [(2,)]
