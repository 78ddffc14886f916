"""Formats of files: every value of every type comes back, or its type is not kept; whatever the compression."""

from __future__ import annotations

import errno
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.errors import Code, FatalError
from headgate.io import files, formats
from headgate.testing.rows import arrow_schema, multiset
from headgate.testing.store_types import TYPES, type_table

EVERY = [(name, codec) for name in formats.names() for codec in formats.named(name).CODECS]


def written(folder: Path, name: str, table: pa.Table, codec: str | None = None, rows: int = 1000) -> Path:
    ending, chosen = formats.ending(name, codec)
    path = folder / f"rows{ending}"
    path.unlink(missing_ok=True)
    file = formats.named(name).create(path, table.schema, chosen)
    try:
        for batch in table.to_batches(max_chunksize=rows):
            file.write(batch)
        file.close()
    except BaseException:
        file.abort()
        assert not path.exists()
        raise
    assert file.rows == table.num_rows
    return path


def back(path: Path, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(list(formats.read(path, schema, len(schema))), schema)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", formats.names())
def test_values_of_a_type_come_back_as_they_were_or_the_type_is_not_kept(tmp_path: Path, name: str, kind: str) -> None:
    table = type_table(kind)
    if formats.named(name).keeps(table.schema.field("value").type):
        assert multiset(back(written(tmp_path, name, table), table.schema)) == multiset(table)
        only = table.select(["value"])
        assert multiset(back(written(tmp_path, name, only), only.schema)) == multiset(only)
    else:
        assert kind in ("interval", "list", "struct", "map", "binary", "uint64")


@pytest.mark.parametrize(("name", "codec"), EVERY)
def test_every_compression_of_a_format_is_what_its_name_says(tmp_path: Path, name: str, codec: str) -> None:
    table = pa.table({"id": list(range(5000)), "name": ["the same, again"] * 5000})
    path = written(tmp_path, name, table, codec, rows=1700)
    assert back(path, table.schema) == table
    assert formats.of_path(path.name) is formats.named(name)
    size = path.stat().st_size
    plain = written(tmp_path, name, table, "none")
    assert (size < plain.stat().st_size) is (codec != "none")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
headers = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)
records = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | texts,
        st.none() | st.floats(),
        st.none() | st.binary(max_size=6),
        st.none() | st.datetimes(),
    ),
    max_size=12,
)


@pytest.mark.parametrize("name", formats.names())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=records, header=st.lists(headers, min_size=5, max_size=5, unique_by=str.lower))
def test_any_values_under_any_names_come_back(
    tmp_path: Path, name: str, rows: list[tuple[Any, ...]], header: list[str]
) -> None:
    types: list[pa.DataType] = [pa.int64(), pa.string(), pa.float64(), pa.binary(), pa.timestamp("us")]
    schema = arrow_schema(list(zip(header, types, strict=True)))
    columns = [pa.array([row[at] for row in rows], type_) for at, type_ in enumerate(types)]
    table = pa.Table.from_arrays(columns, schema=schema)
    assert multiset(back(written(tmp_path, name, table, rows=5), schema)) == multiset(table)


@pytest.mark.parametrize("name", formats.names())
def test_columns_that_a_file_does_not_have_are_left_out(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, pa.table({"id": [1], "name": ["a"]}))
    wider = arrow_schema([("id", pa.int64()), ("new", pa.string()), ("name", pa.string())])
    (batch,) = formats.read(path, wider, 2)
    assert batch.to_pydict() == {"id": [1], "name": ["a"]}


def test_json_is_one_object_a_line_that_any_reader_takes(tmp_path: Path) -> None:
    table = pa.table({"n": [1, None], "x": [0.1, float("inf")], "s": ['say "hi"\n', "ü"], "b": [True, None]})
    with gzip.open(written(tmp_path, "json", table, "gzip"), "rt", encoding="utf-8") as file:
        lines = [json.loads(line, parse_constant=pytest.fail) for line in file]
    assert lines == [
        {"n": 1, "x": 0.1, "s": 'say "hi"\n', "b": True},
        {"n": None, "x": "inf", "s": "ü", "b": None},
    ]


def test_csv_tells_an_empty_text_from_none(tmp_path: Path) -> None:
    path = written(tmp_path, "csv", pa.table({"s": ["", None, "a,b"]}))
    assert path.read_text() == '"s"\n""\n\n"a,b"\n'


def test_a_compression_that_the_format_does_not_have_is_refused_with_the_list() -> None:
    with pytest.raises(FatalError) as refusal:
        formats.ending("csv", "snappy")
    assert "none, gzip, zstd" in refusal.value.hint


@pytest.mark.parametrize("name", formats.names())
def test_a_file_that_was_damaged_is_named_and_no_rows_are_made_up(tmp_path: Path, name: str) -> None:
    table = pa.table({"id": [1, 2], "amount": [1.5, 2.5]})
    path = written(tmp_path, name, table)
    path.write_bytes(path.read_bytes().replace(b"amount", b"AMOUNT").replace(b"1.5", b"x.y")[:-3] + b"!")
    with pytest.raises(FatalError) as refusal:
        back(path, table.schema)
    assert refusal.value.code is Code.STORAGE_FAILED
    assert str(path) in str(refusal.value)
    path.unlink()
    with pytest.raises(FatalError) as refusal:
        back(path, table.schema)
    assert refusal.value.code is Code.STORAGE_FAILED
    with pytest.raises(FatalError, match="ending"):
        formats.of_path("rows.xml")


@pytest.mark.parametrize(("name", "codec"), EVERY)
def test_a_full_disk_is_told_at_whichever_write_it_is_met(tmp_path: Path, name: str, codec: str) -> None:
    table = pa.table({"id": list(range(3000))})

    def full(operation: str, _: Path) -> None:
        if operation in failing:
            raise OSError(errno.ENOSPC, "planted")

    for operation in ("create", "write", "fsync"):
        failing = {operation}
        with files.observing(full), pytest.raises(FatalError) as refusal:
            written(tmp_path, name, table, codec)
        assert refusal.value.code is Code.DISK_FULL
        for path in tmp_path.iterdir():
            path.unlink()
