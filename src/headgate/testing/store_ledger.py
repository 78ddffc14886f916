"""What a store promises of runs: claims, fencing, watermarks, run records, locks, parked work, sweeping."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest

from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.events import Emitter, Event, Phase, Step
from headgate.core.ledger import PipelineState
from headgate.testing.place import (
    KEY,
    OTHER,
    Place,
    die,
    execution,
    fork,
    in_child,
    load,
    record,
    rows,
    stage,
    watermark,
)


class LedgerContract:
    def test_a_store_that_never_published_is_empty(self, place: Place) -> None:
        store = place.store()
        assert store.test()
        assert store.state(KEY) == PipelineState()
        assert store.published(KEY, execution(1)) is None
        assert store.tables() == []
        assert store.describe("t") is None
        assert store.quarantine(KEY.project) == []
        store.close()
        store.close()

    def test_an_unknown_table_cannot_be_read(self, place: Place) -> None:
        place.run(1, [(load("orders"), rows((1, "a")))])
        with pytest.raises(FatalError) as refusal:
            place.rows("order")
        assert refusal.value.code is Code.TABLE_NOT_FOUND
        assert "orders" in str(refusal.value)

    def test_each_claim_raises_the_epoch_of_its_pipeline_alone(self, place: Place) -> None:
        first = place.store().claim(KEY, "run-1", execution(1))
        second = place.store().claim(KEY, "run-2", execution(2))
        other = place.store().claim(OTHER, "run-3", execution(3))
        assert second.epoch > first.epoch
        state = place.store().state(KEY)
        assert (state.epoch, state.claimed_run, state.claimed_execution) == (second.epoch, "run-2", execution(2))
        assert place.store().state(OTHER).epoch == other.epoch

    def test_a_fenced_run_publishes_nothing(self, place: Place) -> None:
        place.run(1, [(load("t"), rows((1, "a")))], watermarks=(watermark(1),))
        claim, paused = place.begin(place.store(), "run-2", 2)
        stage(paused, [(load("t"), rows((2, "zombie"))), (load("u"), rows((2, "zombie")))])
        place.store().claim(KEY, "run-3", execution(3))
        with pytest.raises(FatalError) as refusal:
            paused.publish(record(claim, watermarks=(watermark(2),)))
        assert refusal.value.code is Code.FENCED
        paused.rollback()
        assert place.pairs("t") == [(1, "a")]
        assert place.store().describe("u") is None
        assert place.published(2) is None
        assert place.store().state(KEY).watermarks["shop_db.orders"].value == 1

    def test_a_run_of_another_pipeline_is_not_fenced(self, place: Place) -> None:
        claim, transaction = place.begin(place.store(), "run-1", 1)
        stage(transaction, [(load("t"), rows((1, "a")))])
        place.store().claim(OTHER, "run-2", execution(2))
        transaction.publish(record(claim))
        assert place.pairs("t") == [(1, "a")]

    def test_watermarks_and_run_record_land_with_the_data(self, place: Place) -> None:
        marks = (watermark("2024-01-01T00:00:00", run_id="run-1"), watermark(None, "files", "run-1"))
        place.run(1, [(load("t"), rows((1, "a")))], watermarks=marks, receipt={"rows": {"loaded": 1}, "text": "ü'\""})
        state = place.store().state(KEY)
        assert dict(state.watermarks) == {mark.source: mark for mark in marks}
        published = place.published(1)
        assert published is not None
        assert (published.run_id, published.execution_id, published.plan_hash) == ("run-1", execution(1), "p" * 8)
        assert (published.epoch, dict(published.receipt)) == (state.epoch, {"rows": {"loaded": 1}, "text": "ü'\""})
        assert place.published(1, OTHER) is None
        place.run(2, [], watermarks=(watermark("2024-02-01T00:00:00", run_id="run-2"),))
        assert place.store().state(KEY).watermarks["shop_db.orders"].run_id == "run-2"
        assert set(place.store().state(KEY).watermarks) == {"shop_db.orders", "files"}

    def test_an_execution_is_published_once(self, place: Place) -> None:
        place.run(1, [(load("t"), rows((1, "a")))])
        with pytest.raises(HeadgateError) as refusal:
            place.run(1, [(load("t"), rows((1, "a")))], run_id="run-again", watermarks=(watermark(9),))
        assert refusal.value.code is Code.CONFLICT
        assert place.pairs("t") == [(1, "a")]
        assert dict(place.store().state(KEY).watermarks) == {}
        published = place.published(1)
        assert published is not None
        assert published.run_id == "run-1"

    def test_watermarks_are_set_and_forgotten_by_hand(self, place: Place) -> None:
        store = place.store()
        store.claim(KEY, "run-1", execution(1))
        store.set_watermark(KEY, watermark(5), "shop_db.orders")
        assert place.store().state(KEY).watermarks["shop_db.orders"] == watermark(5)
        store.set_watermark(KEY, None, "shop_db.orders")
        assert dict(place.store().state(KEY).watermarks) == {}

    def test_durable_steps_are_told_before_and_after(self, place: Place) -> None:
        heard: list[Event] = []
        place.run(1, [(load("t"), rows((1, "a")))], listeners=(heard.append,))
        told = [(event.step, event.phase) for event in heard]
        for step in (Step.LEDGER, Step.COMMIT):
            assert told.count((step, Phase.BEFORE)) == told.count((step, Phase.AFTER)) == 1
        assert told.index((Step.LEDGER, Phase.AFTER)) < told.index((Step.COMMIT, Phase.BEFORE))

    def test_a_listener_that_raises_before_the_commit_leaves_nothing(self, place: Place) -> None:
        def raises(event: Event) -> None:
            if (event.step, event.phase) == (Step.COMMIT, Phase.BEFORE):
                raise RuntimeError("stop here")

        with pytest.raises(RuntimeError, match="stop here"):
            place.run(1, [(load("t"), rows((1, "a")))], listeners=(raises,))
        assert place.pairs("t") == []
        assert place.published(1) is None

    def test_a_pipeline_is_locked_by_one_run(self, place: Place) -> None:
        with place.store().lock(KEY):
            with pytest.raises(FatalError) as refusal, place.store().lock(KEY):
                pytest.fail("two runs hold the lock")
            assert refusal.value.code is Code.LOCKED
            with place.store().lock(OTHER):
                pass
        with place.store().lock(KEY):
            pass

    def test_a_dead_holder_lets_go(self, place: Place) -> None:
        reader, writer = os.pipe()

        def hold() -> None:
            with place.store().lock(KEY):
                os.write(writer, b"!")
                time.sleep(60)

        child = fork(hold)
        os.close(writer)
        assert os.read(reader, 1) == b"!", "the child did not get the lock"
        os.close(reader)
        with pytest.raises(FatalError) as refusal, place.store().lock(KEY):
            pytest.fail("two processes hold the lock")
        assert refusal.value.code is Code.LOCKED
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self._lock_soon(place)

    def _lock_soon(self, place: Place) -> None:
        """A server may take a moment to see that its client is gone."""
        store, until = place.store(), time.monotonic() + 10
        while True:
            try:
                with store.lock(KEY):
                    return
            except FatalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def test_parked_work_outlives_its_process_and_is_published_later(self, place: Place) -> None:
        place.run(0, [(load("t"), rows((0, "before")))])
        assert in_child(lambda: self._park(place)) == -signal.SIGKILL
        assert place.pairs("t") == [(0, "before")]
        store = place.store()
        claim = store.claim(KEY, "run-2", execution(1))
        store.sweep(claim)
        found = store.resume(claim, "run-1", Emitter(), place.folder())
        assert found is not None
        transaction, parked = found
        assert (parked.plan_hash, dict(parked.receipt), parked.watermarks) == ("p" * 8, {"n": 1}, (watermark(7),))
        assert parked.claim.execution_id == execution(1)
        assert [(commit.table, commit.inserted) for commit in transaction.counts()] == [("t", 2)]
        transaction.publish(replace(parked, claim=claim))
        assert place.pairs("t") == [(0, "before"), (1, "a"), (2, "b")]
        assert place.store().state(KEY).watermarks["shop_db.orders"] == watermark(7)
        assert store.resume(claim, "run-1", Emitter(), place.folder()) is None

    def _park(self, place: Place) -> None:
        claim, transaction = place.begin(place.store(), "run-1", 1, durable=True)
        stage(transaction, [(load("t"), rows((1, "a"), (2, "b")))])
        transaction.park(record(claim, receipt={"n": 1}, watermarks=(watermark(7),)))
        die()

    def test_parked_work_can_be_discarded(self, place: Place) -> None:
        assert in_child(lambda: self._park(place)) == -signal.SIGKILL
        store = place.store()
        claim = store.claim(KEY, "run-2", execution(2))
        assert store.resume(claim, "run-unknown", Emitter(), place.folder()) is None
        found = store.resume(claim, "run-1", Emitter(), place.folder())
        assert found is not None
        found[0].rollback()
        assert place.store().resume(claim, "run-1", Emitter(), place.folder()) is None
        assert place.pairs("t") == []
        assert place.published(1) is None

    @pytest.mark.parametrize("durable", [False, True], ids=["in-process", "durable"])
    def test_sweeping_removes_what_a_dead_run_left(self, place: Place, durable: bool) -> None:
        place.run(0, [(load("t"), rows((0, "before")))])

        def dies() -> None:
            _, transaction = place.begin(place.store(), "run-1", 1, durable=durable)
            stage(transaction, [(load("t"), rows((1, "a"))), (load("u"), rows((1, "a")))])
            die()

        assert in_child(dies) == -signal.SIGKILL
        store = place.store()
        claim = store.claim(KEY, "run-2", execution(2))
        store.sweep(claim)
        assert store.sweep(claim) == 0
        assert place.pairs("t") == [(0, "before")]
        assert place.store().tables() == ["t"]

    def test_sweeping_leaves_the_living_runs_of_other_pipelines_alone(self, place: Place) -> None:
        claim, living = place.begin(place.store(), "run-1", 1, key=OTHER, durable=True)
        stage(living, [(load("t"), rows((1, "a")))])
        store = place.store()
        store.sweep(store.claim(KEY, "run-2", execution(2)))
        living.publish(record(claim))
        assert place.pairs("t") == [(1, "a")]
