"""The lake as a source: one version of a table, narrowed where asked, or what was appended since."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headgate.core.contracts import ReadContext, Scan, Source, Window
from headgate.core.errors import Code, FatalError
from headgate.lake import iceberg
from headgate.testing.place import IDS, Place, load, rows
from headgate.testing.rows import multiset, read_all, values
from headgate.testing.store_loads import HOSTILE


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return iceberg.open_source(iceberg.Connection(type="iceberg", path="lake"), tmp_path)


@pytest.fixture
def context(tmp_path: Path) -> ReadContext:
    return ReadContext(tmp_path, {"least": 2}, batch_size=100)


def window_of(
    source: Source, read: iceberg.Read, context: ReadContext, since: Mapping[str, Any] | None = None
) -> Window:
    window = source.probe(read, context, since)
    assert window is not None
    return window


def scan_of(source: Source, read: iceberg.Read, context: ReadContext, since: Mapping[str, Any] | None = None) -> Scan:
    return source.scan(read, context, window_of(source, read, context, since))


def test_a_table_beside_the_main_source_is_read_as_it_is_or_as_it_was(
    place: Place, source: Source, context: ReadContext
) -> None:
    """Joins, rules and further sources are read without a window of their own."""
    place.run(1, [(load("t"), rows((1, "a")))])
    before = window_of(source, iceberg.Read(table="t"), context).high["snapshot"]
    place.run(2, [(load("t"), rows((2, "b")))])
    assert read_all(source.scan(iceberg.Read(table="t"), context, Window(None))).num_rows == 2
    assert read_all(source.scan(iceberg.Read(table="t", at=str(before)), context, Window(None))).num_rows == 1


def test_a_whole_table_is_files_that_the_engine_reads_itself(
    place: Place, source: Source, context: ReadContext
) -> None:
    place.run(1, [(load("t", "upsert", keys=("id",)), rows((1, "a"), (2, "b")))])
    read = iceberg.Read(table="t")
    schema = source.schema(read, context, None)
    assert (schema.raw, schema.keys) == (IDS, ("id",))
    scan = scan_of(source, read, context)
    assert scan.files is not None
    assert all(Path(path).is_file() for path in scan.files.paths)
    assert scan.estimated_rows == 2
    assert scan.schema.raw == schema.raw
    assert multiset(read_all(scan)) == multiset(rows((1, "a"), (2, "b")))
    assert source.tables() == ["t"]
    assert "1 table" in source.test()
    source.close()
    source.close()


def test_a_full_read_is_of_the_version_that_was_probed(place: Place, source: Source, context: ReadContext) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    read = iceberg.Read(table="t")
    window = window_of(source, read, context)
    assert window.identity is None
    place.run(2, [(load("t"), rows((2, "late")))])
    assert values(read_all(source.scan(read, context, window)), "id") == [1]
    assert values(read_all(scan_of(source, read, context)), "id") == [1, 2]


def test_files_of_different_shape_come_as_batches_with_all_columns(
    place: Place, source: Source, context: ReadContext
) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    wide = pa.table({"id": [2], "name": ["b"], "price": [0.5]})
    place.run(2, [(load("t", schema=wide.schema), wide)])
    scan = scan_of(source, iceberg.Read(table="t"), context)
    assert scan.batches is not None
    assert scan.batches.schema.equals(scan.schema.raw)
    assert read_all(scan)["price"].to_pylist() in ([None, 0.5], [0.5, None])


def test_columns_and_where_choose_rows_in_bounded_batches(place: Place, source: Source, context: ReadContext) -> None:
    place.run(1, [(load("t"), rows(*((number, "it's") for number in range(1000))))])
    read = iceberg.Read(table="t", columns=("NAME", "id"), where="id >= {{ var.least }} AND name = 'it''s'")
    named = ReadContext(context.root, {"var.least": 2, "var": {"least": 2}}, batch_size=100)
    scan = scan_of(source, read, named)
    assert scan.batches is not None
    found = list(scan.batches)
    scan.close()
    assert max(batch.num_rows for batch in found) <= 100
    assert sum(batch.num_rows for batch in found) == 998
    assert source.schema(read, context, None).raw.names == ["name", "id"] == found[0].schema.names


def test_where_is_checked_and_unknown_columns_are_named(place: Place, source: Source, context: ReadContext) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    for read in (
        iceberg.Read(table="t", where="idd = 1"),
        iceberg.Read(table="t", columns=("nam",)),
        iceberg.Read(table="t", where="read_text('/etc/passwd') IS NOT NULL"),
    ):
        with pytest.raises(FatalError) as refusal:
            scan_of(source, read, context)
        assert refusal.value.code is Code.PLAN_INVALID


def test_an_older_version_is_read_with_the_columns_it_had(place: Place, source: Source, context: ReadContext) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    wide = pa.table({"id": [2], "name": ["b"], "price": [0.5]})
    place.run(2, [(load("t", schema=wide.schema), wide)])
    read = iceberg.Read(table="t", at="run-1")
    assert source.schema(read, context, None).raw == IDS
    assert multiset(read_all(scan_of(source, read, context))) == multiset(rows((1, "a")))


def test_incremental_reads_what_was_appended_since(place: Place, source: Source, context: ReadContext) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    read = iceberg.Read(table="t", mode="incremental")
    first = window_of(source, read, context)
    assert values(read_all(source.scan(read, context, first)), "id") == [1]
    assert source.probe(read, context, first.high) is None
    place.run(2, [(load("t"), rows((2, "b")))])
    place.run(3, [(load("t"), rows((3, "c")))])
    second = window_of(source, read, context, first.high)
    place.run(4, [(load("t"), rows((4, "late")))])
    assert values(read_all(source.scan(read, context, second)), "id") == [2, 3]
    third = window_of(source, read, context, second.high)
    assert values(read_all(source.scan(read, context, third)), "id") == [4]
    assert first.identity != second.identity != third.identity
    assert source.probe(read, context, third.high) is None


def test_incremental_refuses_what_it_cannot_tell(place: Place, source: Source, context: ReadContext) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    read = iceberg.Read(table="t", mode="incremental")
    since = window_of(source, read, context).high
    place.run(2, [(load("t", "upsert", keys=("id",)), rows((1, "changed")))])
    with pytest.raises(FatalError) as refusal:
        scan_of(source, read, context, since)
    assert refusal.value.code is Code.UNSUPPORTED
    with pytest.raises(FatalError) as refusal:
        scan_of(source, read, context, {"snapshot": "12345"})
    assert refusal.value.code is Code.STATE_INVALID


@pytest.mark.parametrize(
    "options",
    [
        {"query": "SELECT 1"},
        {},
        {"table": "t", "mode": "cdc"},
        {"table": "t", "mode": "incremental", "incremental": {"column": "id"}},
        {"table": "t", "mode": "incremental", "max_records": 5},
    ],
    ids=["query", "nothing", "cdc", "cursor", "cap"],
)
def test_what_the_lake_cannot_read_is_refused(
    place: Place, source: Source, context: ReadContext, options: dict[str, Any]
) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    with pytest.raises(FatalError) as refusal:
        source.probe(iceberg.Read(**options), context, None)
    assert refusal.value.code is Code.UNSUPPORTED
    assert refusal.value.hint


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names(place: Place, source: Source, context: ReadContext, name: str) -> None:
    table = pa.table({"id": [1], name: ["x"]})
    place.run(1, [(load(name, schema=table.schema), table)])
    read = iceberg.Read(table=name, columns=(name,))
    assert read_all(scan_of(source, read, context))[name].to_pylist() == ["x"]


def test_the_watermark_belongs_to_table_and_filter(source: Source) -> None:
    plain = source.identity(iceberg.Read(table="t"))
    filtered = source.identity(iceberg.Read(table="t", where="id > 1"))
    assert plain[0] == filtered[0]
    assert plain[1] != filtered[1]


def test_an_unknown_table_is_named_with_the_nearest_known(place: Place, source: Source, context: ReadContext) -> None:
    place.run(1, [(load("orders"), rows((1, "a")))])
    with pytest.raises(FatalError) as refusal:
        source.probe(iceberg.Read(table="ordres"), context, None)
    assert refusal.value.code is Code.TABLE_NOT_FOUND
    assert "orders" in refusal.value.hint
