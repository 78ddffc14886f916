"""Several tables, the quarantine and the ledger are one commit, whatever fails and whoever else commits."""

from __future__ import annotations

import errno
import itertools
import signal
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.lake.runs import failing, held_file, staged

from headgate.core.contracts import Load
from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Event, Listener, Step
from headgate.io import files
from headgate.lake._iceberg.catalog import Session
from headgate.testing.place import (
    KEY,
    OTHER,
    Place,
    entry,
    execution,
    in_child,
    killer,
    load,
    record,
    rows,
    stage,
    watermark,
)
from headgate.testing.rows import multiset

Pairs = list[tuple[Any, ...]]


def three_tables(number: int) -> list[tuple[Load, pa.Table]]:
    """An append, an upsert that changes a row and adds one, and an overwrite."""
    return [
        (load("facts"), rows((number, f"fact {number}"))),
        (load("latest", "upsert", keys=("id",)), rows((0, f"changed by {number}"), (number, "new"))),
        (load("totals", "overwrite"), rows((number, "total"))),
    ]


def expected(runs: int) -> dict[str, Pairs]:
    """The tables after so many runs of :func:`three_tables`, counted from 1, sorted as :meth:`Place.pairs` does."""
    latest: Pairs = [(0, f"changed by {runs}"), *((number, "new") for number in range(1, runs + 1))]
    return {
        "facts": sorted(((number, f"fact {number}") for number in range(1, runs + 1)), key=repr),
        "latest": sorted(latest, key=repr) if runs else [],
        "totals": [(runs, "total")] if runs else [],
    }


def tables(place: Place) -> dict[str, Pairs]:
    return {name: place.pairs(name) for name in ("facts", "latest", "totals")}


def run_three(place: Place, number: int, run_id: str, listeners: Sequence[Listener] = ()) -> None:
    """One whole run with three tables and held rows, made as the interpreter makes it."""
    store = place.open()
    with store.lock(KEY):
        claim, transaction = place.begin(store, run_id, number, listeners=listeners)
        store.sweep(claim)
        try:
            stage(transaction, three_tables(number))
            transaction.hold(entry(f"q-{number}", run_id, 1), held_file(place))
            transaction.publish(
                record(claim, watermarks=(watermark(number),), quarantine=(entry(f"q-{number}", run_id, 1),))
            )
        except BaseException:
            transaction.rollback()
            raise
        store.sweep(claim)


def data_files(root: Path) -> set[Path]:
    return set(root.rglob("*.parquet")) | set(root.rglob("*.avro"))


def test_killed_at_any_event_three_tables_and_held_rows_arrive_together_or_not_at_all(place: Place) -> None:
    steps: list[str] = []
    for number in itertools.count(1):
        ended = in_child(lambda number=number: run_three(place, number, f"run-{number}", [killer(number - 1)]))  # type: ignore[misc]
        assert ended in (0, -signal.SIGKILL)
        done = number if place.published(number) else number - 1
        assert tables(place) == expected(done)
        assert len(place.store().quarantine(KEY.project)) == done
        marks = place.store().state(KEY).watermarks
        assert (marks["shop_db.orders"].value if marks else 0) == done
        if ended == 0:
            break
        if done < number:
            run_three(place, number, f"run-{number}-again", [lambda event: steps.append(event.name)])
        assert tables(place) == expected(number)
    assert {"sync.before", "merge.before", "manifest.before", "ledger.before", "commit.before"} <= set(steps)
    assert number > 14, "two steps a table and three more, each told before and after"


def test_after_kills_and_a_sweep_only_what_is_pointed_at_is_left(place: Place, root: Path) -> None:
    def run(number: int, run_id: str, listeners: Sequence[Listener] = ()) -> None:
        store = place.open()
        claim, transaction = place.begin(store, run_id, number, listeners=listeners)
        store.sweep(claim)
        stage(transaction, three_tables(number))
        transaction.publish(record(claim))

    run(1, "run-1")
    clean = len(data_files(root))
    for event in range(16):
        in_child(lambda event=event: run(2, f"dead-{event}", [killer(event)]))  # type: ignore[misc]
        if place.published(2):
            break
    claim = place.store().claim(KEY, "sweeper", execution(99))
    place.store().sweep(claim)
    assert place.store().sweep(claim) == 0
    assert len(data_files(root)) > clean
    referenced = set()
    for name in ("facts", "latest", "totals"):
        referenced |= referenced_files(root, name)
    assert data_files(root) == referenced


def referenced_files(root: Path, table: str) -> set[Path]:
    """Every data, manifest and manifest list file that any snapshot of a table points at, as pyiceberg sees it."""
    from pyiceberg.table import StaticTable

    with sqlite3.connect(root / "catalog.db") as connection:
        ((pointer,),) = connection.execute(
            "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?", (table,)
        ).fetchall()
    connection.close()
    found = StaticTable.from_metadata(pointer)
    paths: set[str] = set()
    for snapshot in found.snapshots():
        paths.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(found.io):
            paths.add(manifest.manifest_path)
            paths |= {item.data_file.file_path for item in manifest.fetch_manifest_entry(found.io)}
    return {Path(path) for path in paths}


@pytest.mark.parametrize(("fault", "step"), [(errno.ENOSPC, 3), (errno.EIO, 7)], ids=["disk-full", "io-error"])
def test_whichever_file_operation_fails_the_run_is_whole_or_absent(place: Place, fault: int, step: int) -> None:
    run_three(place, 1, "run-1")
    number, failed, codes = 2, 0, set()
    for nth in itertools.count(1, step):
        left = [nth]

        def fail(operation: str, path: Path, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(fault, f"injected into {operation}", str(path))

        with files.observing(fail):
            try:
                run_three(place, number, f"run-{number}-{nth}")
            except HeadgateError as error:
                failed += 1
                codes.add(error.code)
        done = number if place.published(number) else number - 1
        assert tables(place) == expected(done)
        if left[0] > 0:
            break
        if done == number:
            number += 1
    assert codes == {Code.DISK_FULL if fault == errno.ENOSPC else Code.STORAGE_FAILED}
    assert failed > 30 / step, "the run makes many file operations"
    assert place.published(number)


def test_a_full_disk_is_told_with_what_to_do(place: Place) -> None:
    def full(operation: str, path: Path) -> None:
        if operation == "write" and path.suffix == ".parquet":
            raise OSError(errno.ENOSPC, "no space")

    with files.observing(full), pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t"), rows((1, "a")))])
    assert refusal.value.code is Code.DISK_FULL
    assert "free space" in refusal.value.hint


@pytest.mark.parametrize("first", [[], [(0, "first")]], ids=["new-table", "old-table"])
def test_an_append_is_put_on_top_of_what_others_published_meanwhile(place: Place, first: Pairs) -> None:
    if first:
        place.run(0, [(load("t"), rows(*first))])
    claim, slow = staged(place, "run-1", 1, load("t"), rows((1, "slow")))
    during: list[str] = []

    def interfere(event: Event) -> None:
        if event.step is Step.MANIFEST and event.phase == "after" and len(during) < 3:
            during.append("x")
            place.run(f"o{len(during)}", [(load("t"), rows((10 + len(during), "quick")))], key=OTHER)

    slow._emitter.listeners = (interfere,)
    slow.publish(record(claim))
    assert place.pairs("t") == sorted([*first, (1, "slow"), (11, "quick"), (12, "quick"), (13, "quick")])


def test_an_append_gives_up_when_others_never_stop(place: Place) -> None:
    claim, slow = staged(place, "run-1", 1, load("t"), rows((1, "slow")))
    numbers = itertools.count()

    def interfere(event: Event) -> None:
        if event.step is Step.MANIFEST and event.phase == "after":
            place.run(f"o{(n := next(numbers))}", [(load("t"), rows((n, "quick")))], key=OTHER, run_id=f"o{n}")

    slow._emitter.listeners = (interfere,)
    with pytest.raises(RetriableError) as conflict:
        slow.publish(record(claim))
    assert conflict.value.code is Code.CONFLICT
    slow.rollback()
    assert (1, "slow") not in place.pairs("t")


@pytest.mark.parametrize("mode", ["overwrite", "upsert"])
def test_what_was_computed_from_an_old_version_is_a_conflict(place: Place, mode: str) -> None:
    keys = ("id",) if mode == "upsert" else ()
    place.run(0, [(load("t"), rows((0, "first")))])
    claim, slow = staged(place, "run-1", 1, load("t", mode, keys=keys), rows((0, "slow")))
    slow.counts()
    place.run(2, [(load("t"), rows((2, "quick")))], key=OTHER)
    with pytest.raises(RetriableError) as conflict:
        slow.publish(record(claim))
    assert conflict.value.code is Code.CONFLICT
    slow.rollback()
    assert place.pairs("t") == [(0, "first"), (2, "quick")]


def test_an_append_whose_result_was_audited_is_not_put_on_another_version(place: Place) -> None:
    place.run(0, [(load("t"), rows((0, "first")))])
    claim, slow = staged(place, "run-1", 1, load("t"), rows((1, "one")))
    assert slow.duplicates("t", ["id"]) == (0, 2)
    place.run(2, [(load("t"), rows((1, "the same key")))], key=OTHER)
    with pytest.raises(RetriableError) as conflict:
        slow.publish(record(claim))
    assert conflict.value.code is Code.CONFLICT
    slow.rollback()
    assert place.pairs("t") == [(0, "first"), (1, "the same key")]


def test_one_table_in_conflict_holds_back_all(place: Place) -> None:
    place.run(0, [(load("a"), rows((0, "a"))), (load("b", "upsert", keys=("id",)), rows((0, "b")))])
    claim, slow = place.begin(place.store(), "run-1", 1)
    stage(slow, [(load("a"), rows((1, "a"))), (load("b", "upsert", keys=("id",)), rows((1, "b")))])
    slow.counts()
    place.run(2, [(load("b"), rows((2, "quick")))], key=OTHER)
    with pytest.raises(RetriableError):
        slow.publish(record(claim))
    slow.rollback()
    assert (place.pairs("a"), place.pairs("b")) == ([(0, "a")], [(0, "b"), (2, "quick")])


def test_columns_added_by_two_runs_at_once_never_share_an_id(place: Place) -> None:
    place.run(0, [(load("t"), rows((0, "first")))])
    mine = pa.table({"id": [1], "mine": ["m"]})
    theirs = pa.table({"id": [2], "theirs": ["t"]})
    claim, slow = staged(place, "run-1", 1, load("t", schema=mine.schema), mine)
    place.run(2, [(load("t", schema=theirs.schema), theirs)], key=OTHER)
    with pytest.raises(RetriableError) as conflict:
        slow.publish(record(claim))
    assert conflict.value.code is Code.CONFLICT
    slow.rollback()
    place.run(3, [(load("t", schema=mine.schema), mine)])
    assert sorted(place.rows("t").to_pylist(), key=lambda row: row["id"]) == [
        {"id": 0, "name": "first", "theirs": None, "mine": None},
        {"id": 1, "name": None, "theirs": None, "mine": "m"},
        {"id": 2, "name": None, "theirs": "t", "mine": None},
    ]


def test_a_lost_answer_to_a_commit_that_happened_is_success(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, transaction = staged(place, "run-1", 1, load("t"), rows((1, "a")))
    monkeypatch.setattr(Session, "commit", failing(after=True))
    (commit,) = transaction.publish(record(claim))
    monkeypatch.undo()
    transaction.rollback()
    assert commit.inserted == 1
    assert place.pairs("t") == [(1, "a")]


def test_a_commit_that_did_not_happen_is_an_error_and_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, transaction = staged(place, "run-1", 1, load("t"), rows((1, "a")))
    monkeypatch.setattr(Session, "commit", failing(after=False))
    with pytest.raises(FatalError) as refusal:
        transaction.publish(record(claim))
    monkeypatch.undo()
    assert refusal.value.code in {Code.STORAGE_FAILED, Code.STATE_INVALID}
    transaction.rollback()
    assert place.pairs("t") == []


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_ctrl_c_at_the_commit_removes_nothing_that_may_be_published(
    place: Place, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """It came between COMMIT and the note of it, and took away the metadata that the catalogue pointed at since."""
    claim, transaction = staged(place, "run-1", 1, load("t"), rows((1, "a")))
    monkeypatch.setattr(Session, "commit", failing(after, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        transaction.publish(record(claim))
    monkeypatch.undo()
    transaction.rollback()
    assert place.pairs("t") == ([(1, "a")] if after else [])
    place.run(2, [(load("t"), rows((2, "b")))])
    assert place.pairs("t") == ([(1, "a"), (2, "b")] if after else [(2, "b")])


def test_when_nobody_can_tell_the_outcome_is_unknown_and_nothing_is_removed(
    place: Place, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, transaction = staged(place, "run-1", 1, load("t"), rows((1, "a")))
    whole = Session.commit

    def vanish(session: Session) -> None:
        whole(session)
        (root / "catalog.db").rename(root / "away.db")
        (root / "catalog.db").write_bytes(b"not a database" * 100)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Session, "commit", vanish)
    with pytest.raises(FatalError) as refusal:
        transaction.publish(record(claim))
    monkeypatch.undo()
    assert refusal.value.code is Code.OUTCOME_UNKNOWN
    transaction.rollback()
    (root / "away.db").rename(root / "catalog.db")
    assert place.pairs("t") == [(1, "a")]


def test_a_table_is_written_once_in_a_run(place: Place) -> None:
    _, transaction = place.begin(place.store())
    transaction.stage(load("t"))
    with pytest.raises(FatalError) as refusal:
        transaction.stage(load("default.t"))
    assert refusal.value.code is Code.UNSUPPORTED
    transaction.rollback()


def test_nothing_replaces_everything_only_when_that_is_said(place: Place) -> None:
    from headgate.lake.iceberg import Write

    place.run(1, [(load("t", "overwrite"), rows((1, "a")))])
    with pytest.raises(FatalError) as refusal:
        place.run(2, [(load("t", "overwrite"), rows())])
    assert "allow_empty" in refusal.value.hint
    assert place.pairs("t") == [(1, "a")]
    allowed = Write(table="t", mode="overwrite", allow_empty=True)
    (commit,) = place.run(3, [(load("t", "overwrite", write=allowed), rows())])
    assert (commit.inserted, commit.deleted) == (0, 1)
    assert place.pairs("t") == []


def test_rows_of_a_run_that_were_merged_since_cannot_be_replaced(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a"), (2, "b")))])
    place.run(2, [(load("t", "upsert", keys=("id",)), rows((1, "changed")))], key=OTHER)
    with pytest.raises(FatalError) as refusal:
        place.run(1, [(load("t", replaces="run-1"), rows((1, "c")))], run_id="run-3", replaces="run-1")
    assert refusal.value.code is Code.UNSUPPORTED
    assert place.pairs("t") == [(1, "changed"), (2, "b")]


def test_forcing_an_append_replaces_its_rows_among_those_of_others(place: Place) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    place.run(2, [(load("t"), rows((2, "b")))])
    (commit,) = place.run(1, [(load("t", replaces="run-1"), rows((1, "c")))], run_id="run-3", replaces="run-1")
    assert (commit.inserted, commit.deleted) == (1, 1)
    assert place.pairs("t") == [(1, "c"), (2, "b")]
    assert place.store().sweep(place.store().claim(KEY, "run-4", execution(4))) == 0
    first = place.store().reader("t", at="run-2")
    from headgate.testing.rows import read_all

    assert multiset(read_all(first)) == multiset(rows((1, "a"), (2, "b")))


def test_a_record_keeps_the_place_of_held_rows(place: Place, root: Path) -> None:
    run_three(place, 1, "run-1")
    (held,) = place.store().quarantine(KEY.project)
    assert (root / held.location).is_file()
    (root / held.location).unlink()
    with pytest.raises(FatalError) as refusal:
        list(place.store().held(held))
    assert refusal.value.code is Code.NOT_FOUND


def test_repeated_values_are_looked_for_in_tables_of_the_run_only(place: Place) -> None:
    _, transaction = place.begin(place.store())
    with pytest.raises(FatalError, match="this run does not write it") as refusal:
        transaction.duplicates("elsewhere", ["id"])
    assert refusal.value.code is Code.TABLE_NOT_FOUND
    transaction.rollback()
