"""A folder of Parquet files as a store: the shared contract, and what only the folder has."""

from __future__ import annotations

import errno
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.core.contracts import Store
from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.ledger import QuarantineEntry
from headgate.core.runs import PipelineKey
from headgate.io import files
from headgate.targets import local
from headgate.targets._local import chain as chains
from headgate.targets._local.chain import Chain
from headgate.testing.place import KEY, OTHER, Place, entry, execution, fork, load, record, rows, stage, watermark
from headgate.testing.rows import arrow_schema, read_all
from headgate.testing.store_quarantine import held_file
from headgate.testing.stores import StoreContract

KEPT = ("_headgate/manifests/0", "_headgate/locks", "_headgate/runs", "_headgate/floor")


def opened(tmp_path: Path) -> local.FolderStore:
    return local.open_store("out", local.Connection(path="out"), tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(lambda: opened(tmp_path), tmp_path / "_runs")


def data_files(tmp_path: Path) -> set[str]:
    """Everything in the folder but manifests, locks and records of older runs."""
    out = tmp_path / "out"
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    return {path for path in found if not path.startswith(KEPT)}


def named(tmp_path: Path) -> set[str]:
    return set(Chain(tmp_path / "out").head().files())


class TestFolder(StoreContract):
    capabilities = local.MODES

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(tmp_path)


# ------------------------------------------------------------------------------------------------ the chain


def test_a_paused_run_that_wakes_before_its_link_is_fenced(place: Place, tmp_path: Path) -> None:
    claim, transaction = place.begin(place.store())
    stage(transaction, [(load("t"), rows((1, "zombie")))])
    taken: list[int] = []

    def take_over(operation: str, _: Path) -> None:
        if operation == "link" and not taken:
            taken.append(1)
            opened(tmp_path).claim(KEY, "run-2", execution(1))

    with files.observing(take_over), pytest.raises(FatalError) as refusal:
        transaction.publish(record(claim))
    assert refusal.value.code is Code.FENCED
    assert place.pairs("t") == []


@pytest.mark.parametrize("key", [KEY, OTHER], ids=["taken over", "beside"])
def test_a_run_that_slept_while_its_number_was_pruned_does_not_take_it(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: PipelineKey
) -> None:
    monkeypatch.setattr(chains, "KEEP", 3)
    monkeypatch.setattr(chains, "SLACK", 0)
    claim, transaction = place.begin(place.store())
    stage(transaction, [(load("t"), rows((1, "sleeper")))])
    slept: list[int] = []

    def others(operation: str, _: Path) -> None:
        if operation == "link" and not slept:
            slept.append(1)
            for number in range(10):
                taken = opened(tmp_path).claim(key, f"run-{number}", execution(number))
            opened(tmp_path).sweep(taken)

    with files.observing(others):
        if key == OTHER:
            transaction.publish(record(claim))
        else:
            with pytest.raises(FatalError) as refusal:
                transaction.publish(record(claim))
            assert refusal.value.code is Code.FENCED
    assert place.pairs("t") == ([(1, "sleeper")] if key == OTHER else [])
    assert (place.published(1) is not None) is (key == OTHER)
    assert opened(tmp_path).state(OTHER if key == OTHER else KEY).epoch >= 10


def test_a_rival_that_is_faster_costs_a_second_try_and_no_row(place: Place) -> None:
    claim, transaction = place.begin(place.store())
    stage(transaction, [(load("t"), rows((1, "a")))])
    rivals = itertools.count()

    def rival(operation: str, _: Path) -> None:
        if operation == "link" and next(rivals) == 0:
            place.run(7, [(load("t"), rows((7, "rival")))], key=OTHER)

    with files.observing(rival):
        transaction.publish(record(claim))
    assert place.pairs("t") == [(1, "a"), (7, "rival")]


@pytest.mark.parametrize("mode", ["overwrite", "upsert"])
def test_a_rival_on_the_same_table_is_a_conflict_for_what_rewrites_it(place: Place, mode: str) -> None:
    keys = ("id",)
    place.run(1, [(load("t", "upsert", keys=keys), rows((1, "a")))])
    claim, transaction = place.begin(place.store(), "run-2", 2)
    stage(transaction, [(load("t", mode, keys=keys), rows((1, "b")))])
    assert transaction.counts()[0].table == "t"
    place.run(3, [(load("t"), rows((3, "rival")))], key=OTHER)
    with pytest.raises(RetriableError) as conflict:
        transaction.publish(record(claim))
    assert conflict.value.code is Code.CONFLICT
    transaction.rollback()
    assert place.pairs("t") == [(1, "a"), (3, "rival")]


def test_many_processes_on_one_table_lose_and_double_nothing(place: Place) -> None:
    def runs(worker: int) -> None:
        for number in range(8):
            key = PipelineKey("shop", f"p{worker}")
            place.run(f"{worker}{number}", [(load("t"), rows((worker * 100 + number, "x")))], key=key)

    import os

    children = [fork(lambda worker=worker: runs(worker)) for worker in range(4)]  # type: ignore[misc]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    wanted = sorted((worker * 100 + number, "x") for worker in range(4) for number in range(8))
    assert sorted(place.pairs("t")) == wanted


# ------------------------------------------------------------------------------------------------ time


def test_older_versions_are_read_by_number_and_pruned_ones_are_refused(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [place.run(n, [(load("t", "overwrite"), rows((n, "x")))])[0].commit for n in range(1, 4)]
    store = opened(tmp_path)
    assert [read_all(store.reader("t", at=v))["id"].to_pylist() for v in versions] == [[1], [2], [3]]
    assert local.read_manifest(tmp_path / "out", int(versions[0]))["t"].rows == 1
    monkeypatch.setattr(chains, "KEEP", 2)
    monkeypatch.setattr(chains, "SLACK", 0)
    claim = store.claim(KEY, "run-4", execution(4))
    assert store.sweep(claim) > 0
    assert store.sweep(claim) == 0
    with pytest.raises(FatalError) as refusal:
        store.reader("t", at=versions[0])
    assert refusal.value.code is Code.NOT_FOUND
    assert "are kept" in refusal.value.hint
    assert place.pairs("t") == [(3, "x")]
    assert place.published(1) is not None
    assert data_files(tmp_path) == named(tmp_path)
    with pytest.raises(FatalError, match="not a version"):
        store.reader("t", at="yesterday")


def test_runs_are_found_however_many_came_after(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "RECENT", 4)
    for number in range(12):
        place.run(number, [], receipt={"n": number})
    head = Chain(tmp_path / "out").head()
    assert len(head.runs) <= 6
    assert len(head.segments) >= 2
    for number in range(12):
        published = place.published(number)
        assert published is not None
        assert published.receipt == {"n": number}
    assert place.published(12) is None
    place.run(0, [], run_id="again", replaces="run-0", receipt={"n": "again"})
    published = place.published(0)
    assert published is not None
    assert (published.run_id, published.receipt) == ("again", {"n": "again"})
    for segment in (tmp_path / "out" / "_headgate" / "runs").iterdir():
        segment.write_text("")
    with pytest.raises(FatalError) as refusal:
        place.published(1)
    assert refusal.value.code is Code.OUTCOME_UNKNOWN


def test_readers_see_the_published_files_alone(place: Place, tmp_path: Path) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    _, transaction = place.begin(place.store(), "run-2", 2)
    stage(transaction, [(load("t"), rows((2, "b")))])
    table = local.read_manifest(tmp_path / "out")["t"]
    assert len(list((tmp_path / "out" / "t").iterdir())) == 2
    assert [pq.read_table(path).num_rows for path in table.files] == [1]
    assert (table.columns, table.rows) == (("id", "name"), 1)
    assert local.read_manifest(tmp_path / "nothing") == {}


# ------------------------------------------------------------------------------------------------ rows


def test_an_upsert_rewrites_only_the_files_it_touches(place: Place, tmp_path: Path) -> None:
    upsert = load("t", "upsert", keys=("id",))
    place.run(1, [(upsert, rows((1, "a"), (2, "b")))])
    place.run(2, [(upsert, rows((3, "c"), (4, "d")))])
    before = {file.path for file in Chain(tmp_path / "out").head().tables["t"].files}
    place.run(3, [(upsert, rows((3, "C"), (5, "e")))])
    after = {file.path for file in Chain(tmp_path / "out").head().tables["t"].files}
    assert len(before & after) == 1
    assert place.pairs("t") == [(1, "a"), (2, "b"), (3, "C"), (4, "d"), (5, "e")]


def test_upserts_keep_zones_and_types_of_rewritten_rows(place: Place) -> None:
    schema = arrow_schema([("id", pa.int64()), ("at", pa.timestamp("us", "Europe/Berlin")), ("n", pa.uint64())])
    upsert = load("t", "upsert", schema, keys=("id",))
    table = pa.table({"id": [1, 2], "at": [0, -1], "n": [2**64 - 1, 0]}, schema)
    place.run(1, [(upsert, table)])
    place.run(2, [(upsert, table.slice(0, 1))])
    assert place.rows("t").sort_by("id") == table
    place.run(3, [(load("t", "upsert", schema.append(pa.field("new", pa.bool_())), keys=("id",)), widened(table))])
    place.run(4, [(upsert, table.slice(1, 1))])
    assert place.rows("t").sort_by("id")["new"].to_pylist() == [True, None]


def widened(table: pa.Table) -> pa.Table:
    return table.slice(0, 1).append_column("new", pa.array([True]))


def test_a_table_called_by_the_names_used_inside_is_merged_all_the_same(place: Place) -> None:
    schema = arrow_schema([("filename", pa.string()), ("t", pa.int64()), ("s", pa.int64())])
    upsert = load("s", "upsert", schema, keys=("filename", "t"))
    for value in (1, 2):
        place.run(value, [(upsert, pa.table({"filename": ["a", "b"], "t": [1, 1], "s": [value, value]}, schema))])
    assert place.rows("s")["s"].to_pylist() == [2, 2]


def test_large_loads_become_several_files(place: Place, tmp_path: Path) -> None:
    write = local.Write(table="t", compression="none", file_size="1MB")
    table = pa.table({"id": list(range(400_000)), "name": ["x" * 10] * 400_000}, rows().schema)
    place.run(1, [(load("t", write=write), table)])
    assert len(local.read_manifest(tmp_path / "out")["t"].files) > 1
    assert place.rows("t").num_rows == 400_000


def test_rows_of_a_run_cannot_be_replaced_once_they_are_mixed(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a"), (2, "b")))])
    place.run(2, [(load("t", "upsert", keys=("id",)), rows((1, "A")))])
    with pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t", replaces="run-1"), rows((9, "z")))], run_id="run-3", replaces="run-1")
    assert refusal.value.code is Code.UNSUPPORTED
    assert place.pairs("t") == [(1, "A"), (2, "b")]


def test_columns_that_differ_in_case_alone_are_refused(place: Place) -> None:
    both = arrow_schema([("id", pa.int64()), ("ID", pa.int64())])
    with pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t", schema=both), pa.Table.from_arrays([pa.array([1]), pa.array([2])], schema=both))])
    assert refusal.value.code is Code.UNSUPPORTED
    place.run(2, [(load("t"), rows((1, "a")))])
    other = arrow_schema([("ID", pa.int64()), ("name", pa.string())])
    with pytest.raises(FatalError) as refusal:
        place.run(3, [(load("t", schema=other), pa.table({"ID": [1], "name": ["a"]}, other))])
    assert refusal.value.code is Code.SCHEMA_MISMATCH


def test_a_table_name_that_no_folder_can_have_is_refused(place: Place) -> None:
    for name in ("x" * 300, ""):
        with pytest.raises(FatalError) as refusal:
            place.run(1, [(load(name), rows((1, "a")))])
        assert refusal.value.code is Code.UNSUPPORTED
    for name in ("../up", "_under", ".dot", "a/b", "con*?"):
        place.run(name, [(load(name), rows((1, "a")))])
        assert place.pairs(name) == [(1, "a")]


# ------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert"])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_whichever_file_operation_fails_a_run_is_whole_or_absent(
    place: Place, tmp_path: Path, mode: str, fault: int
) -> None:
    keys = ("id",) if mode == "upsert" else ()
    place.run(0, [(load("t", mode, keys=keys), rows((0, "start")))])
    held = tmp_path / "held.parquet"
    pq.write_table(pa.table({"id": [1], "_reasons": [["x"]]}), held)
    for number in itertools.count(1):
        before = place.pairs("t")
        seen: list[str] = []

        def fail(operation: str, _: Path, number: int = number, seen: list[str] = seen) -> None:
            seen.append(operation)
            if len(seen) == number:
                raise OSError(fault, "planted")

        store = opened(tmp_path)
        failed: HeadgateError | None = None
        with files.observing(fail):
            try:
                claim, transaction = place.begin(store, f"run-{number}", number)
                try:
                    stage(transaction, [(load("t", mode, keys=keys), rows((0, f"{number}")))])
                    entry = QuarantineEntry(f"q{number}", f"run-{number}", "orders", "rule", 1)
                    transaction.hold(entry, held)
                    marks = (watermark(number),)
                    transaction.publish(record(claim, watermarks=marks, quarantine=(entry,)))
                except BaseException:
                    transaction.rollback()
                    raise
            except HeadgateError as error:
                failed = error
        if failed is not None:
            assert failed.code in {Code.DISK_FULL, Code.STORAGE_FAILED, Code.OUTCOME_UNKNOWN}
        published = place.published(number)
        if failed is not None and failed.code is not Code.OUTCOME_UNKNOWN:
            assert published is None
        if published is None:
            assert place.pairs("t") == before
        else:
            assert (0, f"{number}") in place.pairs("t")
        store.sweep(store.claim(KEY, f"after-{number}", execution("after")))
        assert data_files(tmp_path) <= Chain(tmp_path / "out").named_since()
        if len(seen) < number:
            assert failed is None
            assert number > 15, "too few file operations were seen"
            return


def test_an_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file stands where the folder should be")
    with pytest.raises(FatalError, match="not a folder") as refusal:
        opened(tmp_path).test()
    assert refusal.value.code is Code.STORAGE_FAILED
    with pytest.raises(FatalError) as refusal:
        opened(tmp_path).claim(KEY, "run-1", execution(1))
    assert refusal.value.code is Code.STORAGE_FAILED


def test_what_a_dead_run_was_writing_is_swept_and_nothing_else(place: Place, tmp_path: Path) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    place.run(2, [(load("t", "overwrite"), rows((2, "b")))])
    _, dead = place.begin(place.store(), "run-3", 3)
    stage(dead, [(load("t"), rows((3, "c"))), (load("only/here"), rows((3, "c")))])
    _, living = place.begin(place.store(), "run-4", 4, key=OTHER)
    stage(living, [(load("t"), rows((4, "d")))])
    store = place.store()
    store.sweep(store.claim(KEY, "run-5", execution(5)))
    assert not (tmp_path / "out" / "only%2Fhere").exists()
    assert read_all(store.reader("t", at="2"))["id"].to_pylist() == [1]
    assert len(data_files(tmp_path) - Chain(tmp_path / "out").named_since()) == 1


def test_a_parked_run_that_was_published_and_then_died_is_swept(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, transaction = place.begin(place.store(), durable=True)
    stage(transaction, [(load("t"), rows((1, "a")))])
    transaction.park(record(claim))
    store = opened(tmp_path)
    claim = store.claim(KEY, "run-2", execution(1))
    from headgate.core.events import Emitter

    found = store.resume(claim, "run-1", Emitter(), place.folder())
    assert found is not None
    monkeypatch.setattr(files, "remove_tree", lambda _: None)
    found[0].publish(record(claim))
    monkeypatch.undo()
    assert store.sweep(store.claim(KEY, "run-3", execution(3))) == 1
    assert store.resume(claim, "run-1", Emitter(), place.folder()) is None
    assert place.pairs("t") == [(1, "a")]


def test_reading_state_imports_nothing_heavy(place: Place, tmp_path: Path) -> None:
    place.run(1, [(load("t"), rows((1, "a")))], watermarks=(watermark(1),))
    code = (
        "import sys, pathlib; from headgate.targets import local; from headgate.core.runs import PipelineKey;"
        f"store = local.open_store('out', local.Connection(path='out'), pathlib.Path({str(tmp_path)!r}));"
        "assert store.state(PipelineKey('shop', 'orders')).watermarks;"
        f"assert store.published(PipelineKey('shop', 'orders'), {execution(1)!r});"
        "print([name for name in ('duckdb', 'pyarrow', 'sqlglot', 'pyiceberg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


def test_rows_that_were_held_for_nothing_leave_with_the_commit(place: Place, tmp_path: Path) -> None:
    claim, transaction = place.begin(place.store(), "run-1", 1)
    stage(transaction, [(load("t"), rows((1, "a")))])
    transaction.hold(entry(), held_file(place))
    transaction.publish(record(claim))
    assert data_files(tmp_path) == named(tmp_path)
    assert place.store().quarantine(KEY.project) == []
