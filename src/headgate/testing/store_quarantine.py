"""What a store promises of rows that were held back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter
from headgate.testing.place import KEY, Place, entry, load, record, rows, stage
from headgate.testing.rows import multiset

HELD = pa.table(
    {
        "id": pa.array([1, 2], pa.int32()),
        "amount": pa.array([Decimal("1.10"), None], pa.decimal128(12, 2)),
        "at": pa.array([datetime(2024, 2, 29, 1, 2, 3, 4, UTC), None], pa.timestamp("us", "UTC")),
        "day": pa.array([date(1, 1, 1), date(9999, 12, 31)], pa.date32()),
        "tags": pa.array([["a", None], []], pa.list_(pa.string())),
        "odd": pa.array([b"\x00\xff", b""], pa.binary()),
        "_reasons": pa.array([["amount < 2"], ["amount is NULL", "no time"]], pa.list_(pa.string())),
    }
)


def held_file(place: Place) -> Path:
    path = place.folder() / "held.parquet"
    pq.write_table(HELD, path)
    return path


class QuarantineContract:
    def _hold(self, place: Place) -> None:
        claim, transaction = place.begin(place.store(), "run-1", 1)
        stage(transaction, [(load("t"), rows((1, "a")))])
        transaction.hold(entry(), held_file(place))
        transaction.publish(record(claim, quarantine=(entry(),)))

    def test_held_rows_are_kept_with_the_commit_as_they_were(self, place: Place) -> None:
        self._hold(place)
        store = place.store()
        (found,) = store.quarantine(KEY.project)
        assert (found.id, found.run_id, found.pipeline, found.rule, found.rows) == (
            "q1",
            "run-1",
            "orders",
            "plausible",
            2,
        )
        assert (found.status, found.held_at, found.step, found.replayable) == ("held", "clean", 1, True)
        back = pa.Table.from_batches(list(store.held(found)))
        assert back.schema.remove_metadata().equals(HELD.schema)
        assert multiset(back) == multiset(HELD)
        assert store.quarantine("another project") == []
        assert store.tables() == ["t"]

    def test_held_rows_vanish_with_a_rollback(self, place: Place) -> None:
        _, transaction = place.begin(place.store(), "run-1", 1)
        transaction.hold(entry(), held_file(place))
        transaction.rollback()
        assert place.store().quarantine(KEY.project) == []

    def test_entries_are_discarded_once(self, place: Place) -> None:
        self._hold(place)
        store = place.store()
        assert store.resolve(["q1", "unknown"], "discarded") == 1
        assert store.resolve(["q1"], "discarded") == 0
        assert [found.status for found in place.store().quarantine(KEY.project)] == ["discarded"]

    def test_rows_of_settled_entries_are_freed_and_no_others(self, place: Place) -> None:
        self._hold(place)
        store = place.store()
        assert store.free(["q1", "unknown"]) == 0
        (found,) = store.quarantine(KEY.project)
        assert sum(batch.num_rows for batch in store.held(found)) == 2
        store.resolve(["q1"], "discarded")
        assert store.free(["q1"]) == 1
        assert place.store().free(["q1"]) == 0
        (settled,) = place.store().quarantine(KEY.project)
        with pytest.raises(FatalError, match="the entry is discarded, and its rows were removed") as refusal:
            list(place.store().held(settled))
        assert refusal.value.code is Code.NOT_FOUND
        place.run(2, [(load("t"), rows((2, "b")))])
        assert place.pairs("t") == [(1, "a"), (2, "b")]

    def test_a_replay_resolves_its_entries_in_its_commit(self, place: Place) -> None:
        self._hold(place)
        place.run(2, [(load("t"), rows((2, "mended")))], resolved=("q1",))
        assert [found.status for found in place.store().quarantine(KEY.project)] == ["replayed"]
        assert place.pairs("t") == [(1, "a"), (2, "mended")]

    def test_entries_of_rows_that_were_read_again_are_superseded_in_the_commit(self, place: Place) -> None:
        self._hold(place)
        place.run(2, [(load("t"), rows((2, "read again")))], superseded=("q1", "gone before"))
        assert [found.status for found in place.store().quarantine(KEY.project)] == ["superseded"]
        with pytest.raises(FatalError) as refusal:
            place.run(3, [(load("t"), rows((2, "mended")))], resolved=("q1",))
        assert refusal.value.code is Code.CONFLICT

    def test_a_staged_run_supersedes_when_it_is_published(self, place: Place) -> None:
        self._hold(place)
        claim, transaction = place.begin(place.store(), "run-2", 2, durable=True)
        stage(transaction, [(load("t"), rows((2, "read again")))])
        transaction.park(record(claim, superseded=("q1",)))
        assert [found.status for found in place.store().quarantine(KEY.project)] == ["held"]
        resumed = place.store().resume(claim, "run-2", Emitter(), place.folder())
        assert resumed is not None
        resumed[0].publish(resumed[1])
        assert [found.status for found in place.store().quarantine(KEY.project)] == ["superseded"]

    def test_an_entry_that_is_no_longer_held_cannot_be_replayed(self, place: Place) -> None:
        self._hold(place)
        place.store().resolve(["q1"], "discarded")
        with pytest.raises(FatalError) as refusal:
            place.run(2, [(load("t"), rows((2, "mended")))], resolved=("q1",))
        assert refusal.value.code is Code.CONFLICT
        assert place.pairs("t") == [(1, "a")]
        assert place.published(2) is None
