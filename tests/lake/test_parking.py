"""Runs that are parked in the lake and published, or swept, later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.lake.runs import failing, held_file, staged

from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
from headgate.core.events import Emitter
from headgate.lake._iceberg.catalog import Session
from headgate.lake._iceberg.transaction import LakeTransaction
from headgate.testing.place import (
    KEY,
    OTHER,
    Place,
    entry,
    execution,
    load,
    record,
    rows,
)


@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert"])
def test_a_parked_run_is_published_onto_the_table_as_it_is_then(place: Place, mode: str) -> None:
    keys = ("id",) if mode == "upsert" else ()
    place.run(0, [(load("t"), rows((0, "first")))])
    claim, transaction = staged(place, "run-1", 1, load("t", mode, keys=keys), rows((0, "parked"), (1, "new")))
    transaction.counts()
    transaction.hold(entry(), held_file(place))
    transaction.park(record(claim, quarantine=(entry(),)))
    transaction.rollback()
    place.run(2, [(load("t"), rows((2, "meanwhile")))], key=OTHER)
    publishing = place.store().claim(KEY, "run-3", execution(1))
    place.store().sweep(publishing)
    found = place.store().resume(publishing, "run-1", Emitter(), place.folder())
    assert found is not None
    again, parked = found
    again.publish(parked)
    after = {
        "append": [(0, "first"), (0, "parked"), (1, "new"), (2, "meanwhile")],
        "overwrite": [(0, "parked"), (1, "new")],
        "upsert": [(0, "parked"), (1, "new"), (2, "meanwhile")],
    }
    assert place.pairs("t") == after[mode]
    (held,) = place.store().quarantine(KEY.project)
    assert [batch.num_rows for batch in place.store().held(held)] == [1]
    next_claim = place.store().claim(KEY, "run-4", execution(4))
    assert place.store().sweep(next_claim) == 0
    assert place.pairs("t") == after[mode]


def test_a_fenced_run_cannot_park(place: Place) -> None:
    claim, transaction = staged(place, "run-1", 1, load("t"), rows((1, "a")))
    newer = place.store().claim(KEY, "run-2", execution(2))
    with pytest.raises(FatalError) as refusal:
        transaction.park(record(claim))
    assert refusal.value.code is Code.FENCED
    transaction.rollback()
    assert place.store().resume(newer, "run-1", Emitter(), place.folder()) is None


def test_a_parked_run_may_be_published_by_the_process_that_parked_it(place: Place) -> None:
    """So do stores that follow an authoritative one: they park, wait for its commit, and go on."""
    place.run(0, [(load("t"), rows((0, "first")))])
    claim, transaction = staged(place, "run-1", 1, load("t", "upsert", keys=("id",)), rows((0, "changed"), (1, "new")))
    transaction.counts()
    transaction.park(record(claim))
    assert place.pairs("t") == [(0, "first")]
    (commit,) = transaction.publish(record(claim))
    assert (commit.inserted, commit.updated) == (1, 1)
    assert place.pairs("t") == [(0, "changed"), (1, "new")]
    newer = place.store().claim(KEY, "run-2", execution(2))
    assert place.store().resume(newer, "run-1", Emitter(), place.folder()) is None
    assert place.store().sweep(newer) == 0


def test_metadata_that_a_follower_began_are_swept_though_its_rows_are_committed_later(
    place: Place, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows carry the tag of the claim that staged them, and so did what it had written of the metadata."""
    claim, transaction = staged(place, "run-1", 1, load("t"), rows((1, "a")))
    transaction.park(record(claim))
    with monkeypatch.context() as away:
        away.setattr(LakeTransaction, "_forget", lambda *_: None)  # killed
        away.setattr(Session, "commit", failing(False))
        with pytest.raises(HeadgateError):
            transaction.publish(record(claim))
    begun = set((root / "default" / "t" / "metadata").iterdir())
    assert begun
    newer = place.store().claim(KEY, "run-1", execution(1))
    found = place.store().resume(newer, "run-1", Emitter(), place.folder())
    assert found is not None
    found[0].publish(replace(found[1], claim=newer))
    place.store().sweep(place.store().claim(KEY, "run-2", execution(2)))
    assert not [path for path in begun if path.exists()]
    assert place.pairs("t") == [(1, "a")]


def test_a_parked_run_survives_a_conflict_in_the_process_that_parked_it(place: Place) -> None:
    claim, transaction = staged(place, "run-1", 1, load("t", "overwrite"), rows((1, "parked")))
    transaction.park(record(claim))
    transaction.counts()
    place.run(2, [(load("t"), rows((2, "quick")))], key=OTHER)
    with pytest.raises(RetriableError):
        transaction.publish(record(claim))
    transaction.rollback()
    newer = place.store().claim(KEY, "run-3", execution(1))
    found = place.store().resume(newer, "run-1", Emitter(), place.folder())
    assert found is not None
    found[0].publish(found[1])
    assert place.pairs("t") == [(1, "parked")]


def test_a_lost_answer_to_parking_removes_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, transaction = staged(place, "run-1", 1, load("t"), rows((1, "a")))
    monkeypatch.setattr(Session, "commit", failing(after=True))
    with pytest.raises(HeadgateError):
        transaction.park(record(claim))
    monkeypatch.undo()
    transaction.rollback()
    newer = place.store().claim(KEY, "run-2", execution(1))
    found = place.store().resume(newer, "run-1", Emitter(), place.folder())
    assert found is not None
    found[0].publish(found[1])
    assert place.pairs("t") == [(1, "a")]
