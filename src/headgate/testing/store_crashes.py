"""What a store promises when its process is killed: all of a run or nothing of it, and the next run mends it."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from headgate.core.events import Listener, Step
from headgate.testing.place import KEY, Place, execution, in_child, killer, load, record, rows, stage, tell, watermark

Pair = tuple[int, str]


def following(mode: str, before: list[Pair], number: int) -> tuple[list[Pair], list[Pair]]:
    """What run ``number`` loads, and what the table holds after it."""
    match mode:
        case "append":
            fresh = [(number, f"{mode} {number}"), (1000 + number, "more")]
            return fresh, sorted([*before, *fresh], key=repr)
        case "upsert":
            fresh = [(0, f"changed by {number}"), (1 + number, "new")]
            return fresh, sorted({**dict(before), **dict(fresh)}.items(), key=repr)
        case _:
            fresh = [(number, f"{mode} {number}"), (-number, "more")]
            return fresh, sorted(fresh, key=repr)


class CrashContract:
    modes: Any

    @pytest.mark.parametrize("mode", ["append", "overwrite", "upsert"])
    def test_killed_at_any_step_a_run_is_whole_or_absent_and_the_next_completes_it(
        self, place: Place, mode: str
    ) -> None:
        if mode not in self.modes:
            pytest.skip(f"this store does not {mode}")
        before = [(0, "start"), (-5, "start")]
        self._one_run(place, mode, 0, "run-0", before, ())
        for number in itertools.count(1):
            fresh, after = following(mode, before, number)
            ended = in_child(
                lambda number=number, fresh=fresh: self._one_run(  # type: ignore[misc]
                    place, mode, number, f"run-{number}", fresh, [killer(number - 1)]
                )
            )
            assert ended in (0, -signal.SIGKILL), "the child failed by itself"
            found, published = place.pairs("t"), place.published(number)
            assert found == (after if published else sorted(before, key=repr))
            marks = place.store().state(KEY).watermarks
            assert marks["source"].value == (number if published else number - 1)
            self._one_run(place, mode, number, f"run-{number}-again", fresh, ())
            assert place.pairs("t") == after
            assert place.store().state(KEY).watermarks["source"].value == number
            assert self._tables(place) == ["t"]
            before = after
            if ended == 0:
                assert number > 8, "the store tells of too few steps"
                return

    def _tables(self, place: Place) -> list[str]:
        store = place.open()
        try:
            return store.tables()
        finally:
            store.close()

    def _one_run(
        self, place: Place, mode: str, number: int, run_id: str, fresh: list[Pair], listeners: Sequence[Listener]
    ) -> None:
        """One run as the interpreter makes it: lock, claim, ask, sweep, stage, publish."""
        store = place.open()
        tell(listeners, Step.LOCK)
        with store.lock(KEY):
            tell(listeners, Step.CLAIM)
            claim, transaction = place.begin(store, run_id, number, listeners=listeners)
            tell(listeners, Step.BEGIN)
            if store.published(KEY, execution(number)) is None:
                store.sweep(claim)
                tell(listeners, Step.CLEAN)
                keys = ("id",) if mode == "upsert" else ()
                stage(transaction, [(load("t", mode, keys=keys), rows(*fresh))])
                tell(listeners, Step.PUBLISH)
                transaction.publish(record(claim, watermarks=(watermark(number, "source", run_id),)))
                tell(listeners, Step.ACKNOWLEDGE)
            else:
                transaction.rollback()
            store.sweep(claim)
            tell(listeners, Step.RECORD)
        store.close()
