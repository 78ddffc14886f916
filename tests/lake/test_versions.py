"""Versions: others read what headgate wrote, old ones stay readable, and many commits leave few files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headgate.core.errors import Code, FatalError
from headgate.lake._iceberg import metadata, snapshots
from headgate.testing.place import IDS, KEY, Place, execution, load, rows
from headgate.testing.rows import arrow_schema, multiset, read_all, values

WIDE = pa.table({"id": [3], "name": ["c"], "price": [0.5]})


def pointer(root: Path, table: str) -> str:
    connection = sqlite3.connect(root / "catalog.db")
    try:
        ((found,),) = connection.execute(
            "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?", (table,)
        ).fetchall()
        return str(found)
    finally:
        connection.close()


def by_pyiceberg(root: Path, table: str) -> Any:
    """The table as plain pyiceberg opens it, with its own reader of files."""
    from pyiceberg.table import StaticTable

    return StaticTable.from_metadata(pointer(root, table))


def history(place: Place) -> None:
    """Appends, an upsert, a new column, an overwrite and more."""
    place.run(1, [(load("t"), rows((1, "a"), (2, None)))])
    place.run(2, [(load("t", "upsert", keys=("id",)), rows((2, "b"), (4, "d")))])
    place.run(3, [(load("t", schema=WIDE.schema), WIDE)])


def test_plain_pyiceberg_reads_the_same_rows(place: Place, root: Path) -> None:
    history(place)
    table = by_pyiceberg(root, "t")
    assert multiset(table.scan().to_arrow()) == multiset(place.rows("t"))
    assert table.scan().count() == 4
    assert table.current_snapshot().summary["headgate.run-id"] == "run-3"
    assert table.current_snapshot().summary["headgate.pipeline"] == "shop/orders"
    assert table.current_snapshot().summary["headgate.epoch"] == "3"
    assert table.current_snapshot().summary["total-records"] == "4"
    assert table.scan(row_filter="id = 4").to_arrow()["name"].to_pylist() == ["d"]


def test_sql_catalog_opens_the_same_file_and_appends_to_it(place: Place, root: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="pyiceberg's own SqlCatalog needs SQLAlchemy")
    from pyiceberg.catalog.sql import SqlCatalog

    history(place)
    catalog = SqlCatalog("headgate", uri=f"sqlite:///{root / 'catalog.db'}", warehouse=str(root))
    assert catalog.list_tables("default") == [("default", "t")]
    table = catalog.load_table("default.t")
    assert table.scan().count() == 4
    table.append(pa.table({"id": [5], "name": ["theirs"], "price": [1.0]}))
    catalog.close()
    place.run(4, [(load("t", "upsert", keys=("id",)), rows((5, "ours"), (6, "f")))])
    assert (5, "ours") in place.pairs("t")
    assert len(place.pairs("t")) == 6


def test_older_versions_are_read_by_snapshot_run_and_time(place: Place) -> None:
    (first,) = place.run(1, [(load("t"), rows((1, "a")))])
    (second,) = place.run(2, [(load("t", "overwrite", WIDE.schema), WIDE)])
    store = place.store()
    for at in (first.commit, "run-1"):
        assert multiset(read_all(store.reader("t", at))) == multiset(rows((1, "a")))
    assert read_all(store.reader("t", second.commit)).to_pylist() == WIDE.select(["id", "name", "price"]).to_pylist()
    assert read_all(store.reader("t", "9999-01-01")).num_rows == 1
    for at, code in (("1999-12-31T00:00:00", Code.NOT_FOUND), ("no such run", Code.NOT_FOUND), ("12", Code.NOT_FOUND)):
        with pytest.raises(FatalError) as refusal:
            store.reader("t", at)
        assert refusal.value.code is code
        assert second.commit in refusal.value.hint


def test_forty_commits_leave_few_manifests_and_metadata_files(place: Place, root: Path) -> None:
    for number in range(40):
        place.run(
            number,
            [
                (load("appended"), rows((number, "x"))),
                (load("merged", "upsert", keys=("id",)), rows((0, f"{number}"), (number, "y"))[: 2 if number else 1]),
                (load("replaced", "overwrite"), rows((number, "z"))),
            ],
        )
    assert len(place.pairs("appended")) == len(place.pairs("merged")) == 40
    assert place.pairs("replaced") == [(39, "z")]
    for table in ("appended", "merged", "replaced"):
        folder = Path(pointer(root, table)).parent
        assert len(list(folder.glob("*.metadata.json"))) <= snapshots.PREVIOUS_VERSIONS + 1
        found = by_pyiceberg(root, table)
        assert len(found.current_snapshot().manifests(found.io)) <= snapshots.MANIFESTS_TO_MERGE + 1
        assert len(found.snapshots()) == 40
    merged = metadata.load("merged", pointer(root, "merged"))
    assert len(snapshots.live_files(merged)) <= 10, "merging keeps small files few"


def test_a_table_that_is_only_created_has_no_version_and_no_rows(place: Place, root: Path) -> None:
    (commit,) = place.run(1, [(load("t"), rows())])
    assert commit.commit == ""
    info = place.store().describe("t")
    assert info is not None
    assert (info.rows, info.version, info.schema.names) == (0, "", ["id", "name"])
    assert by_pyiceberg(root, "t").scan().to_arrow().num_rows == 0
    place.run(2, [(load("t"), rows((1, "a")))])
    assert place.pairs("t") == [(1, "a")]


def test_a_table_is_described_with_its_keys_rows_and_version(place: Place) -> None:
    (commit,) = place.run(1, [(load("t", "upsert", keys=("id",)), rows((1, "a"), (2, "b")))])
    info = place.store().describe("t")
    assert info is not None
    assert (info.keys, info.rows, info.version) == (("id",), 2, commit.commit)
    assert info.schema == IDS


def test_namespaces_keep_tables_apart(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a"))), (load("raw.t"), rows((2, "b")))])
    assert place.store().tables() == ["raw.t", "t"]
    assert place.pairs("raw.t") == [(2, "b")]
    assert place.pairs("default.t") == [(1, "a")]


def test_metadata_that_a_crash_left_is_swept_once_the_table_has_forgotten_it(place: Place, root: Path) -> None:
    for number in range(3):
        place.run(number, [(load("t"), rows((number, "x")))])
    folder = Path(pointer(root, "t")).parent
    kept = sorted(folder.glob("*.metadata.json"))
    stray = folder / kept[0].name.replace("00000-", "00001-").replace("metadata.json", "metadata.json")
    if not stray.exists():
        stray.write_text("{}")
    claim = place.store().claim(KEY, "sweeper", execution(9))
    assert place.store().sweep(claim) == 1
    assert sorted(folder.glob("*.metadata.json")) == kept


def test_a_lake_that_was_moved_says_so(place: Place, root: Path) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    (root / "default").rename(root / "elsewhere")
    with pytest.raises(FatalError) as refusal:
        place.rows("t")
    assert refusal.value.code is Code.STATE_INVALID
    assert "moved" in refusal.value.hint


def test_what_another_tool_renamed_and_deleted_is_read_by_field_id(place: Place, root: Path) -> None:
    """The metadata that such a tool would write, made with pyiceberg's own classes."""
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadataUtil
    from pyiceberg.table.update import AddSchemaUpdate, SetCurrentSchemaUpdate, update_table_metadata

    place.run(1, [(load("t"), rows((1, "a"), (2, "b")))])
    base = TableMetadataUtil.parse_raw(Path(pointer(root, "t")).read_text())
    renamed = [
        field.model_copy(update={"name": "title"}) if field.name == "name" else field for field in base.schema().fields
    ]
    after = update_table_metadata(
        base, (AddSchemaUpdate(schema_=Schema(*renamed, schema_id=1)), SetCurrentSchemaUpdate(schema_id=-1))
    )
    other = root / "default" / "t" / "metadata" / "00002-other.metadata.json"
    other.write_text(after.model_dump_json(exclude_none=True))
    connection = sqlite3.connect(root / "catalog.db")
    connection.execute("UPDATE iceberg_tables SET metadata_location = ?", (str(other),))
    connection.commit()
    connection.close()
    found = place.rows("t")
    assert found.column_names == ["id", "title"]
    assert values(found, "title") == ["a", "b"]
    schema = arrow_schema([("id", pa.int64()), ("title", pa.string())])
    with pytest.raises(FatalError) as refusal:
        place.run(2, [(load("t", "upsert", schema, keys=("id",)), pa.table([[1], ["x"]], schema=schema))])
    assert refusal.value.code is Code.UNSUPPORTED
