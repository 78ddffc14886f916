"""The catalogue: cheap to ask, clear when it is broken, held by nobody longer than needed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.runs import PipelineKey
from headgate.lake._iceberg import catalog, names
from headgate.testing.place import KEY, Place, execution, load, rows

QUESTIONS = """
import json, sys
from pathlib import Path
from headgate.core.runs import PipelineKey
from headgate.core.contracts import ReadContext
from headgate.lake import iceberg

root, key = Path(sys.argv[1]), PipelineKey("shop", "orders")
store = iceberg.open_store("lake", iceberg.Connection(type="iceberg", path="lake"), root)
with store.lock(key):
    state = store.state(key)
    published = store.published(key, sys.argv[2])
    store.quarantine("shop")
    source = iceberg.open_source(iceberg.Connection(type="iceberg", path="lake"), root)
    read = iceberg.Read(table="t", mode="incremental")
    window = source.probe(read, ReadContext(root), None)
    assert source.probe(read, ReadContext(root), window.high) is None
    claim = store.claim(key, "run-9", "e" * 32)
    store.sweep(claim)
heavy = {"pyarrow", "duckdb", "pyiceberg", "sqlglot", "numpy"} & set(sys.modules)
print(json.dumps([state.epoch, published is not None, sorted(heavy)]))
"""


def test_questions_need_nothing_but_the_standard_library(place: Place, tmp_path: Path) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    answer = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", QUESTIONS, str(tmp_path), execution(1)], capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == [1, True, []]


EMPTY_RUN = """
import sys
from pathlib import Path
from headgate.core.events import Emitter
from headgate.core.ledger import LedgerRecord
from headgate.core.runs import PipelineKey
from headgate.lake import iceberg
from headgate.testing.place import load, rows

root = Path(sys.argv[1])
store = iceberg.open_store("lake", iceberg.Connection(type="iceberg", path="lake"), root)
claim = store.claim(PipelineKey("shop", "orders"), "run-2", sys.argv[2])
transaction = store.begin(claim, Emitter(), root / "work")
writer = transaction.stage(load("t"))
for batch in rows(*[(2, "b")] * int(sys.argv[3])).to_batches():
    writer.write(batch)
writer.close()
transaction.publish(LedgerRecord(claim, "p", {}))
print("pyiceberg" in sys.modules)
"""


@pytest.mark.parametrize("count", [0, 1])
def test_pyiceberg_is_imported_only_when_there_are_rows(place: Place, tmp_path: Path, count: int) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    answer = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", EMPTY_RUN, str(tmp_path), execution(2), str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == str(count > 0)
    assert place.published(2)


def test_reading_leaves_no_trace(place: Place, root: Path) -> None:
    store = place.store()
    store.state(KEY)
    store.tables()
    store.describe("t")
    assert "nothing published" in store.test()
    assert not root.exists()


def test_a_commit_leaves_one_catalogue_file(place: Place, root: Path) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    assert [path.name for path in root.glob("catalog*")] == ["catalog.db"]


def test_a_broken_catalogue_is_told_with_what_to_do(place: Place, root: Path) -> None:
    root.mkdir()
    (root / "catalog.db").write_bytes(b"this is not a database" * 300)
    with pytest.raises(HeadgateError) as refusal:
        place.store().state(KEY)
    assert refusal.value.code is Code.STATE_INVALID
    assert "backup" in refusal.value.hint


def test_a_catalogue_that_somebody_else_writes_is_worth_a_retry(
    place: Place, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    monkeypatch.setattr(catalog, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(root / "catalog.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert place.store().state(KEY).epoch == 1, "reading goes on"
    with pytest.raises(RetriableError) as refusal:
        place.store().claim(KEY, "run-2", execution(2))
    other.close()
    assert refusal.value.code is Code.CONFLICT
    assert place.store().claim(KEY, "run-2", execution(2)).epoch == 2


def test_a_file_in_the_way_of_the_lake_is_told(place: Place, root: Path) -> None:
    root.write_text("not a folder")
    with pytest.raises(FatalError) as refusal:
        place.store().test()
    assert refusal.value.code is Code.STORAGE_FAILED
    with pytest.raises(HeadgateError):
        place.store().claim(KEY, "run-1", execution(1))


@pytest.mark.parametrize(
    ("table", "folder"),
    [("orders", "default/orders"), ("raw.orders", "raw/orders"), ("Orders_2024-01", "default/Orders_2024-01")],
)
def test_plain_names_are_folders(table: str, folder: str) -> None:
    assert names.folder(Path("lake"), table) == Path("lake") / folder


@pytest.mark.parametrize("table", ["../x", "a/b", "naïve", "_quarantine.x", "x" * 200, "a:b", "~", "con?*"])
def test_any_other_name_gives_a_portable_folder_inside_the_lake(table: str) -> None:
    try:
        folder = names.folder(Path("lake"), table)
    except FatalError as refusal:
        assert refusal.code is Code.UNSUPPORTED  # noqa: PT017 - either way is right
        return
    assert folder.parts[0] == "lake"
    assert len(folder.parts) == 3
    assert all(part.replace("_", "").replace("-", "").isalnum() and len(part) < 110 for part in folder.parts)
    assert folder.parts[1] != names.QUARANTINE


@pytest.mark.parametrize("table", ["a.b.c", ".a", "a.", " a", "headgate_x", "HEADGATE_runs", "", "x\ny", "x" * 256])
def test_names_that_cannot_be_are_refused(table: str) -> None:
    with pytest.raises(FatalError) as refusal:
        names.identifier(table)
    assert refusal.value.code is Code.UNSUPPORTED


def test_files_carry_whose_they_are() -> None:
    from headgate.core.ledger import Claim

    mine = names.tag(Claim(PipelineKey("a", "b/c"), "run-1", "e", 7))
    other = names.tag(Claim(PipelineKey("a/b", "c"), "run-1", "e", 7))
    assert mine != other
    pipeline = mine[:12]
    assert names.tag_of(f"{mine}-00012.parquet", pipeline) == mine
    assert names.tag_of(mine, pipeline) == mine
    assert names.tag_of(f"{other}-00012.parquet", pipeline) is None
    commit = names.commit_uuid(mine)
    assert commit != names.commit_uuid(mine)
    assert names.commit_of(f"snap-1-0-{commit}.avro", pipeline) == names.tag_digest(mine)
    assert names.commit_of(f"00001-{commit}.metadata.json", other[:12]) is None
    odd = names.tag(Claim(PipelineKey("a", "b"), "run id/with ☃", "e", 1))
    assert odd.isascii()
    assert "/" not in odd


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    """The error is SQLite's own, of a database that may not grow."""
    with closing(sqlite3.connect(tmp_path / "small.db")) as small:
        small.execute("PRAGMA max_page_count = 2")
        small.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError) as full:
            small.execute("INSERT INTO t VALUES (randomblob(100000))")
    told = catalog.explain(full.value, "publish", tmp_path / "small.db")
    assert (told.code, told.hint) == (
        Code.DISK_FULL,
        "free space; nothing was published, and the next run starts afresh",
    )
