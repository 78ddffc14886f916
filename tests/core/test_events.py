"""Every step is told before and after to everybody who listens; what raises is never told as done."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from headgate.core.events import Emitter, Event, Phase, Step, utc_now

NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)


def test_a_step_is_told_before_and_after_with_what_was_learnt_meanwhile() -> None:
    told: list[Event] = []
    emitter = Emitter("r1", "orders", (told.append,), lambda: NOON)
    with emitter.during(Step.SCAN, relation="source") as outcome:
        outcome["rows"] = 3
    before, after = told
    assert (before.name, dict(before.detail)) == ("scan.before", {"relation": "source"})
    assert (after.name, dict(after.detail)) == ("scan.after", {"relation": "source", "rows": 3})
    assert {(event.run_id, event.pipeline, event.at) for event in told} == {("r1", "orders", NOON)}


def test_a_step_that_raises_is_not_told_as_done() -> None:
    told: list[str] = []
    emitter = Emitter(listeners=(lambda event: told.append(event.name),))
    with pytest.raises(ValueError, match="torn"), emitter.during(Step.PUBLISH):
        raise ValueError("torn")
    assert told == ["publish.before"]


def test_listeners_hear_in_order_and_one_that_raises_stops_the_step() -> None:
    heard: list[str] = []

    def refuse(_: Event) -> None:
        heard.append("second")
        raise KeyboardInterrupt

    emitter = Emitter(listeners=(lambda _: heard.append("first"), refuse, lambda _: heard.append("third")))
    with pytest.raises(KeyboardInterrupt), emitter.during(Step.CLAIM):
        heard.append("body")
    assert heard == ["first", "second"]


def test_what_has_no_duration_is_told_once() -> None:
    told: list[str] = []
    Emitter(listeners=(lambda event: told.append(event.name),)).tell(Step.PROGRESS, rows=1)
    assert told == [f"progress.{Phase.NOW}"]


def test_times_are_utc() -> None:
    assert utc_now().tzinfo is UTC
