"""Files as a source: found, typed once, read once, and every fault told in one clear message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from tests.sources.local_files import FLIGHTS, INCREMENTAL, context, native, opened, put, refused, run

from headgate.core.errors import Code, FatalError
from headgate.engines.duckdb import DuckdbEngine
from headgate.sources import local


def test_csv_types_keep_the_meaning_of_every_value(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", FLIGHTS)
    schema = opened(tmp_path).schema(native(path="a.csv"), context(tmp_path), None)
    assert [str(field.type) for field in schema.raw] == ["int64", "string", "double", "date32[day]", "timestamp[us]"]
    assert not schema.casts


@pytest.mark.parametrize(
    ("cells", "type_"),
    [
        (["1", "-7"], "int64"),
        (["007", "1"], "string"),
        (["12345678901234567890", "1"], "decimal128(38, 0)"),
        (["1", "2.5"], "double"),
        (["true", "FALSE"], "bool"),
        (["1", "true"], "string"),
        (["2024-01-01", "2024-01-01 10:00:00"], "timestamp[us]"),
        (["2024-01-01T10:00:00Z"], "timestamp[us, tz=UTC]"),
        (["2024-01-01 10:00:00.123456789"], "string"),
        (["2024-13-01"], "string"),
        (["10:00:00"], "time64[us]"),
        (["", ""], "string"),
        (["NaN", "1.5"], "string"),
    ],
)
def test_each_kind_of_cell_has_its_type(tmp_path: Path, cells: list[str], type_: str) -> None:
    put(tmp_path, "a.csv", "x,y\n" + "".join(f"{cell},.\n" for cell in cells))
    schema = opened(tmp_path).schema(native(path="a.csv"), context(tmp_path), None)
    assert str(schema.raw.field("x").type) == type_


def test_types_by_hand_win_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "price,n\n1.50,1\n")
    rows, position = run(tmp_path, native(path="a.csv", types={"PRICE": "DECIMAL(12,2)"}))
    assert str(rows[0][0]) == "1.50"
    assert position["schema"] == [["price", "DECIMAL(12,2)"], ["n", "BIGINT"]]
    assert refused(tmp_path, native(path="a.csv", types={"prise": "DATE"})).code is Code.CONFIG_INVALID
    assert refused(tmp_path, native(path="a.csv", types={"price": "MONEY"})).code is Code.CONFIG_INVALID


def test_later_runs_use_the_pinned_types(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "n,s\n1,a\n")
    _, position = run(tmp_path, INCREMENTAL)
    put(tmp_path, "2.csv", "n,s\n2,5\n")
    rows, _ = run(tmp_path, INCREMENTAL, position)
    assert rows == [(2, "5")]


def test_exact_reading_leaves_the_casts_to_the_plan(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "n,s\n1,a\n")
    read = native(path="*.csv", mode="incremental", exact=True)
    schema = opened(tmp_path).schema(read, context(tmp_path), None)
    assert (set(map(str, schema.raw.types)), schema.casts) == ({"string"}, {"n": "BIGINT"})
    _, position = run(tmp_path, read)
    put(tmp_path, "2.csv", "n,s\n1.5,b\n")
    assert run(tmp_path, read, position)[0] == [("1.5", "b")]


def test_json_lines_are_text_with_casts(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"n": 1, "s": "7", "d": "2024-01-01", "o": {"x": 1}}\n{"n": 2.5, "late": true}\n')
    schema = opened(tmp_path).schema(native(path="a.jsonl"), context(tmp_path), None)
    assert set(map(str, schema.raw.types)) == {"string"}
    assert schema.casts == {"n": "DOUBLE", "d": "DATE", "late": "BOOLEAN"}
    rows, _ = run(tmp_path, native(path="a.jsonl"))
    assert rows[0] == ("1", "7", "2024-01-01", '{"x":1}', None)


def test_a_json_key_that_is_no_column_is_an_error_of_its_row(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"n": 1}\n')
    read = native(path="*.jsonl", mode="incremental")
    _, position = run(tmp_path, read)
    put(tmp_path, "b.jsonl", '{"n": 2}\n{"n": 3, "new": 1}\n')
    source = opened(tmp_path)
    window = source.probe(read, context(tmp_path), position)
    assert window is not None
    scan = source.scan(read, context(tmp_path), window)
    assert scan.files is not None
    session = DuckdbEngine().session(tmp_path / "work", memory=None, threads=1, paths=scan.files.paths)
    session.register("t", scan)
    assert session.rows("SELECT * FROM t") == [("2",)]
    assert [(line.line, line.reason) for line in session.rejected()] == [(2, "keys that are not columns: new")]
    session.close()


def test_a_json_number_that_the_engine_would_round_is_an_error_of_its_row(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"d": "1.5", "f": 0.12345678901234567}\n{"d": 12345678.120000000000000001, "f": 1}\n')
    source, read = opened(tmp_path), native(path="a.jsonl", types={"d": "DECIMAL(28,18)", "f": "DOUBLE"})
    window = source.probe(read, context(tmp_path), None)
    assert window is not None
    scan = source.scan(read, context(tmp_path), window)
    assert scan.files is not None
    session = DuckdbEngine().session(tmp_path / "work", memory=None, threads=1, paths=scan.files.paths)
    session.register("t", scan)
    assert session.rows("SELECT * FROM t") == [("1.5", "0.12345678901234566")]
    (line,) = session.rejected()
    assert (line.line, line.reason) == (2, "a number of more than 15 digits would be rounded: write it as text")
    session.close()


def test_parquet_keeps_its_types_and_refuses_other_columns(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}), tmp_path / "in" / "1.parquet")
    read = native(path="*.parquet", mode="incremental")
    rows, position = run(tmp_path, read)
    assert rows == [(1, "x")]
    assert position["schema"] == [["a", "INTEGER"], ["b", "VARCHAR"]]
    pq.write_table(pa.table({"b": ["y"]}), tmp_path / "in" / "2.parquet")
    rows, position = run(tmp_path, read, position)
    assert rows == [(None, "y")]
    pq.write_table(pa.table({"a": pa.array([1], pa.int64())}), tmp_path / "in" / "3.parquet")
    assert "column a is BIGINT, expected is INTEGER" in refused(tmp_path, read, position).message
    pq.write_table(pa.table({"c": [1]}), tmp_path / "in" / "3.parquet")
    assert "column c is new" in refused(tmp_path, read, position).message


def test_chosen_columns_come_in_the_chosen_order(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", FLIGHTS)
    assert run(tmp_path, native(path="a.csv", columns=("day", "ID")))[0][0][1] == 1
    assert "carrier" in refused(tmp_path, native(path="a.csv", columns=("nope",))).hint


def test_dialect_options_are_honoured(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "k;d;t\n'a;\\'b';31.12.2024;NA\n".encode("latin-1"))
    read = native(
        path="a.csv",
        delimiter=";",
        quote="'",
        escape="\\",
        null_values=("NA",),
        date_format="%d.%m.%Y",
        encoding="latin-1",
    )
    rows, _ = run(tmp_path, read)
    assert [str(value) for value in rows[0]] == ["a;'b", "2024-12-31", "None"]
    put(tmp_path, "b.csv", "1,x\n2,y\n")
    assert run(tmp_path, native(path="b.csv", header=False))[0] == [(1, "x"), (2, "y")]
    put(tmp_path, "c.tsv", "a\tb\n1\t2\n")
    assert run(tmp_path, native(path="c.tsv"))[0] == [(1, 2)]


def test_globs_folders_and_variables_find_files_in_order(tmp_path: Path) -> None:
    for name in ("b/2.csv", "a/1.csv", "a/2024-01-15.csv", ".hidden/3.csv"):
        put(tmp_path, name, "n\n1\n")
    source = opened(tmp_path)
    window = source.probe(local.Read(path="**/*.csv"), context(tmp_path), None)
    assert window is not None
    scan = source.scan(native(path="**/*.csv"), context(tmp_path), window)
    assert scan.files is not None
    names = [Path(path).relative_to(tmp_path / "in").as_posix() for path in scan.files.paths]
    assert names == ["a/1.csv", "a/2024-01-15.csv", "b/2.csv"]
    assert run(tmp_path, native(path="a"))[0] == [(1,), (1,)]
    assert run(tmp_path, native(path="a/{{ ds }}.csv"), ds="2024-01-15")[0] == [(1,)]


@pytest.mark.parametrize("path", ["../secret.csv", "a/../../secret.csv", "link.csv", "linked/secret.csv", "link*.csv"])
def test_paths_stay_below_the_connection(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    put(tmp_path, "a/1.csv", "a\n1\n")
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "in" / "linked").symlink_to(tmp_path)
    error = refused(tmp_path, native(path=path))
    assert error.code is Code.CONFIG_INVALID
    assert "outside" in error.message


def test_absolute_paths_below_the_connection_are_fine(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "n\n1\n")
    assert run(tmp_path, native(path=str(path)))[0] == [(1,)]


def test_missing_files_are_named_with_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path, "orders.csv", "a\n1\n")
    error = refused(tmp_path, native(path="ordres.csv"))
    assert error.code is Code.SOURCE_NOT_FOUND
    assert str(tmp_path / "in" / "ordres.csv") in error.message
    assert "orders.csv" in error.hint
    assert refused(tmp_path, native(path="*.parquet")).code is Code.SOURCE_NOT_FOUND
    with pytest.raises(FatalError, match="does not exist"):
        local.open_source(local.Connection(path="nowhere"), tmp_path).probe(INCREMENTAL, context(tmp_path), None)


def test_an_empty_file_alone_is_told_and_a_header_alone_is_text(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "")
    assert refused(tmp_path, native(path="a.csv")).message == "the file is empty"
    assert refused(tmp_path, INCREMENTAL).message == "the file is empty"
    put(tmp_path, "a.csv", "id,name\n")
    rows, position = run(tmp_path, native(path="a.csv"))
    assert rows == []
    assert position["schema"] == [["id", "VARCHAR"], ["name", "VARCHAR"]]


def test_another_delimiter_is_suggested(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "id;name\n1;x\n")
    error = refused(tmp_path, native(path="a.csv"))
    assert 'delimiter: ";"' in error.hint


@pytest.mark.parametrize(
    "content", [bytes(range(256)) * 40, b"\x00\x01\x02", b"\xff\xfe\xfd,a\n1,2\n", b"PAR1nonsense"]
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_binary_garbage_is_one_clear_error(tmp_path: Path, content: bytes, name: str) -> None:
    path = put(tmp_path, name, content)
    if (name, content) == ("a.csv", b"PAR1nonsense"):
        return  # that is a header of one column
    error = refused(tmp_path, native(path=name))
    assert error.code is Code.EXTRACTION_FAILED
    assert error.object == str(path)
    assert error.hint


@pytest.mark.parametrize(("header", "what"), [("a,A", "twice"), ("a,,b", "no name")])
def test_headers_need_names_of_their_own(tmp_path: Path, header: str, what: str) -> None:
    put(tmp_path, "a.csv", f"{header}\n1,2\n")
    assert what in refused(tmp_path, native(path="a.csv")).message


def test_a_later_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "n,s\n1,a\n")
    _, position = run(tmp_path, INCREMENTAL)
    path = put(tmp_path, "2.csv", "n,s,more\n2,b,c\n")
    error = refused(tmp_path, INCREMENTAL, position)
    assert (error.code, error.object) == (Code.SCHEMA_MISMATCH, str(path))


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "cdc"},
        {"table": "t"},
        {"where": "a > 1"},
        {"max_records": 5},
        {"mode": "incremental", "incremental": {"column": "n"}},
    ],
)
def test_what_files_cannot_do_is_refused_in_the_configuration(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="not for"):
        native(path="*.csv", **options)


def test_mixed_endings_need_a_format(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "n\n1\n")
    put(tmp_path, "b.jsonl", '{"n": 1}\n')
    assert refused(tmp_path, native(path="*")).code is Code.CONFIG_INVALID
    put(tmp_path, "c.dat", "n\n1\n")
    assert refused(tmp_path, native(path="c.dat")).hint == "say format: csv, json or parquet"
    assert run(tmp_path, native(path="c.dat", format="csv"))[0] == [(1,)]


def test_the_connection_tells_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="no such folder"):
        opened(tmp_path).test()
    put(tmp_path, "a.csv", "n\n1\n")
    assert "1 entry" in opened(tmp_path).test()
    assert opened(tmp_path).tables() == ["a.csv"]


def test_probing_imports_nothing_heavy(tmp_path: Path) -> None:
    import subprocess
    import sys

    put(tmp_path, "a.csv", "n\n1\n")
    code = (
        "import sys, pathlib; from headgate.sources import local; from headgate.core.contracts import ReadContext;"
        f"root = pathlib.Path({str(tmp_path)!r});"
        "window = local.open_source(local.Connection(path='in'), root).probe("
        "local.Read(path='*.csv', mode='incremental'), ReadContext(root), None);"
        "assert window is not None;"
        "print([name for name in ('duckdb', 'pyarrow', 'sqlglot', 'pyiceberg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "[]"
