"""Files of a folder in other formats, numbered, and in parts: the same promises, and what other readers see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from headgate.core.contracts import Load, Partitioning, Store
from headgate.core.errors import FatalError
from headgate.targets import local
from headgate.targets._local import parts, staging, writing
from headgate.targets._local import transaction as transaction_module
from headgate.targets._local.chain import Chain
from headgate.testing.place import Place, load, rows
from headgate.testing.rows import arrow_schema
from headgate.testing.store_crashes import CrashContract
from headgate.testing.store_loads import LoadContract
from headgate.testing.stores import StoreContract


def opened(tmp_path: Path) -> local.FolderStore:
    return local.open_store("out", local.Connection(path="out"), tmp_path)


SHAPES: dict[str, dict[str, Any]] = {
    "csv": {"format": "csv", "compression": "gzip"},
    "json": {"format": "json", "file_rows": 2, "partitioning": "name"},
    "avro": {"format": "avro"},
}


class OtherFiles:
    """The contract's loads say nothing about files: all of them are of another shape here."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(tmp_path)

    @pytest.fixture
    def place(self, open_store: Callable[[], Store], tmp_path: Path) -> Place:
        return Place(open_store, tmp_path / "_runs")


class TestLoadsOfOtherFiles(OtherFiles, LoadContract):
    modes = StoreContract.modes

    @pytest.fixture(params=SHAPES, autouse=True)
    def shape(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        written_as(monkeypatch, **SHAPES[request.param])


class TestKillsOfNumberedFilesInParts(OtherFiles, CrashContract):
    modes = StoreContract.modes

    @pytest.fixture(autouse=True)
    def shape(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written_as(monkeypatch, format="csv", file_rows=2, partitioning="name")


@pytest.mark.long
class TestEverythingOfOtherFiles(OtherFiles, StoreContract):
    capabilities = local.MODES

    @pytest.fixture(params=SHAPES, autouse=True)
    def shape(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        written_as(monkeypatch, **SHAPES[request.param])


def written_as(monkeypatch: pytest.MonkeyPatch, partitioning: str = "", **options: Any) -> None:
    def shape(given: Load) -> writing.Shape:
        known = partitioning in given.columns.names
        return writing.Shape(**options, partitioning=Partitioning(partitioning) if known else None)

    for module in (staging, transaction_module):
        monkeypatch.setattr(module, "shape_of", shape)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(lambda: opened(tmp_path), tmp_path / "_runs")


def named_files(tmp_path: Path) -> set[str]:
    return set(Chain(tmp_path / "out").head().files())


def ids(table: pa.Table) -> list[Any]:
    found: list[Any] = table.sort_by("id")["id"].to_pylist()
    return found


def days(*rows_: tuple[int, str | None]) -> pa.Table:
    schema = arrow_schema([("id", pa.int64()), ("day", pa.date32())])
    return pa.table(
        {"id": [id_ for id_, _ in rows_], "day": [date.fromisoformat(day) if day else None for _, day in rows_]}, schema
    )


@pytest.mark.parametrize(
    ("by", "folders"),
    [
        ("value", {"day=2024-01-05": [1, 3], "day=2024-02-01": [2], "day=__HIVE_DEFAULT_PARTITION__": [4]}),
        ("month", {"day_month=2024-01": [1, 3], "day_month=2024-02": [2], "day_month=__HIVE_DEFAULT_PARTITION__": [4]}),
        ("year", {"day_year=2024": [1, 2, 3], "day_year=__HIVE_DEFAULT_PARTITION__": [4]}),
    ],
)
def test_parts_are_folders_as_hive_names_them_and_one_part_is_one_folder(
    place: Place, tmp_path: Path, by: Any, folders: dict[str, list[int]]
) -> None:
    table = days((1, "2024-01-05"), (2, "2024-02-01"), (3, "2024-01-05"), (4, None))
    place.run(1, [(load("t", schema=table.schema, partitioning=Partitioning("day", by)), table)])
    found = {path.name: ids(pq.read_table(path, partitioning=None)) for path in (tmp_path / "out" / "t").iterdir()}
    assert found == folders
    assert place.rows("t").sort_by("id") == table
    hive = duckdb.execute(
        f"SELECT id FROM read_parquet('{tmp_path}/out/t/*/*.parquet', hive_partitioning=true) ORDER BY 1"
    )
    assert hive.fetchall() == [(1,), (2,), (3,), (4,)]


def test_values_make_no_paths_and_are_told_apart(place: Place, tmp_path: Path) -> None:
    names = [
        "../up",
        "a/b",
        "",
        ".",
        "x" * 500,
        "x" * 501,
        "é" * 300,
        "é" * 299,
        parts.NULL,
        "a=b",
        "A",
        "a",
        None,
        "%41",
    ]
    schema = arrow_schema([("id", pa.int64()), ("na/me", pa.string())])
    table = pa.table({"id": list(range(len(names))), "na/me": names}, schema)
    place.run(1, [(load("t", schema=schema, partitioning=Partitioning("na/me")), table)])
    made = list((tmp_path / "out" / "t").iterdir())
    assert len(made) == len(names)
    assert all(path.name.startswith("na%2Fme=") for path in made)
    assert place.rows("t").sort_by("id") == table


def test_overwriting_a_part_leaves_the_files_of_the_others_alone(place: Place, tmp_path: Path) -> None:
    by = Partitioning("day", "month")
    table = days((1, "2024-01-05"), (2, "2024-02-01"))
    place.run(1, [(load("t", schema=table.schema, partitioning=by), table)])
    untouched = {path for path in named_files(tmp_path) if "2024-01" in path}
    replaced = load("t", "overwrite", table.schema, partition=("day",), partitioning=by)
    place.run(2, [(replaced, days((3, "2024-02-01")))])
    assert place.rows("t").sort_by("id") == days((1, "2024-01-05"), (3, "2024-02-01"))
    assert untouched < named_files(tmp_path)
    assert all(path.startswith("t/day_month=2024-0") for path in named_files(tmp_path))


def test_parts_that_cannot_be_meant_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FatalError, match="by month"):
        place.run(1, [(load("t", partitioning=Partitioning("name", "month")), rows((1, "a")))])
    monkeypatch.setattr(parts, "LIMIT", 3)
    with pytest.raises(FatalError, match="more than 3 folders"):
        place.run(2, [(load("t", partitioning=Partitioning("id")), rows(*((n, "a") for n in range(9))))])
    assert place.pairs("t") == []


def test_many_parts_hold_few_files_and_few_rows_open(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "OPEN_FILES", 3)
    monkeypatch.setattr(writing, "OPEN_ROWS", 50)
    some = rows(*((n, f"name {n % 10}") for n in range(400)))
    place.run(1, [(load("t", partitioning=Partitioning("name")), some)])
    assert ids(place.rows("t")) == list(range(400))
    assert len(list((tmp_path / "out" / "t").iterdir())) == 10


def test_numbered_files_hold_so_many_rows_each_in_a_folder_of_their_run(place: Place, tmp_path: Path) -> None:
    write = local.Write(table="t", format="csv", compression="zstd", file_rows=10)
    place.run(1, [(load("t", write=write), rows(*((n, "a") for n in range(25))))])
    place.run(2, [(load("t", write=write), rows((99, "b")))], run_id="run-2")
    head = Chain(tmp_path / "out").head().tables["t"].files
    assert [(file.path.rsplit("/", 1)[1], file.rows) for file in head] == [
        ("batch_00001.csv.zst", 10),
        ("batch_00002.csv.zst", 10),
        ("batch_00003.csv.zst", 5),
        ("batch_00001.csv.zst", 1),
    ]
    assert len({file.path.rsplit("/", 1)[0] for file in head}) == 2
    assert len(place.pairs("t")) == 26


def test_a_table_may_have_files_of_every_format(place: Place) -> None:
    for number, format_ in enumerate(("parquet", "csv", "json", "avro")):
        write = local.Write.model_validate({"table": "t", "format": format_})
        place.run(number, [(load("t", write=write), rows((number, format_)))])
    place.run(9, [(load("t", "upsert", keys=("id",)), rows((1, "changed"), (9, "new")))])
    assert place.pairs("t") == [(0, "parquet"), (1, "changed"), (2, "json"), (3, "avro"), (9, "new")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "xml"}, "'parquet', 'csv', 'json' or 'avro'"),
        ({"format": "csv", "compression": "snappy"}, "csv files have no compression snappy; one of: none, gzip, zstd"),
        ({"compression": "deflate"}, "parquet files have no compression deflate"),
        ({"file_rows": 0}, "greater than or equal to 1"),
        ({"file_size": -1}, "greater than 0"),
    ],
)
def test_files_that_cannot_be_are_refused_with_what_can_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        local.Write.model_validate({"table": "t", **options})


def test_a_column_that_the_format_cannot_keep_is_refused_by_the_plan_too() -> None:
    schema = pa.schema([pa.field("tags", pa.list_(pa.int64()))])
    local.check_write(schema, local.Write(table="t"))
    with pytest.raises(FatalError, match='CSV cannot keep column "tags"'):
        local.check_write(schema, local.Write(table="t", format="csv"))
