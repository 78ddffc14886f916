# ruff: noqa: ARG001, ARG005, PT012 - what is patched keeps its signature
"""Bugs planted into the product: the oracle catches each, so it would catch them if somebody made them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.crash import harness
from tests.crash.conftest import MakeWorld
from tests.crash.oracle import check_after, check_complete, run
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World
from tests.crash.test_rivals import Sleeper

APPEND = Scenario(SOURCES[1], "append", TARGETS[0])
Plant = Callable[[pytest.MonkeyPatch], None]


def acknowledge_before_commit(patch: pytest.MonkeyPatch) -> None:
    """The source forgets rows that no commit holds."""
    from headgate.execute import interpret as interpreting
    from headgate.execute import publish as publishing
    from headgate.sources.sqlite import SqliteSource

    interpret: Any = interpreting
    real = interpret.publish

    def forgetting(self: Any, read: Any, position: Any) -> None:
        import sqlite3

        connection = sqlite3.connect(self._path)
        with connection:
            connection.execute("DELETE FROM moves WHERE seq <= ?", (int(position["value"]),))
        connection.close()

    def eager(active: Any, stage: Any) -> None:
        active.published = True
        for planned in active.plan.stages:
            if type(planned).__name__ == "Acknowledge":
                publishing.acknowledge(active, planned)
        active.published = False
        real(active, stage)

    patch.setattr(SqliteSource, "acknowledge", forgetting)
    patch.setattr(interpret, "publish", eager)


def publish_without_epoch(patch: pytest.MonkeyPatch) -> None:
    from headgate.io import ledger

    patch.setattr(ledger, "check_epoch", lambda connection, claim: None)


def watermark_before_data(patch: pytest.MonkeyPatch) -> None:
    from headgate.execute import interpret as interpreting
    from headgate.execute import publish as publishing

    interpret: Any = interpreting
    real = interpret.publish

    def early(active: Any, stage: Any) -> None:
        for mark in publishing._watermarks(active):
            active.authority.set_watermark(active.key, mark, mark.source)
        real(active, stage)

    patch.setattr(interpret, "publish", early)


def watermark_never(patch: pytest.MonkeyPatch) -> None:
    from headgate.execute import publish as publishing

    patch.setattr(publishing, "_watermarks", lambda active: ())


def commit_twice(patch: pytest.MonkeyPatch) -> None:
    """A retry that does not ask first, under a new name."""
    from headgate.execute import runner

    patch.setattr(runner, "execution_id", lambda key, identity: os.urandom(16).hex())
    watermark_never(patch)


def killed_at_publish(world: World) -> None:
    names = harness.events_of(world.root, PIPELINE)
    for name in ("publish.before", "commit.before", "publish.after"):
        world.restore()
        number = names.index(name)
        harness.run_killed(world.root, PIPELINE, number)
        check_after(world, name)


def sleeping(world: World) -> None:
    sleeper = Sleeper(world, "publish.before")
    try:
        world.scenario.target.take_lock_away(world.root, world.url)
        run(world)
    finally:
        sleeper.wake()
    check_complete(world, "woken")


def simply(world: World) -> None:
    run(world)
    check_complete(world, "an undisturbed run")


PLANTED: list[tuple[Plant, Callable[[World], None]]] = [
    (acknowledge_before_commit, killed_at_publish),
    (watermark_before_data, killed_at_publish),
    (watermark_never, simply),
    (commit_twice, simply),
]


@pytest.mark.parametrize(("plant", "test"), PLANTED, ids=lambda f: f.__name__)
def test_a_planted_bug_is_caught(
    plant: Plant, test: Callable[[World], None], make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(APPEND)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        test(world)


@pytest.mark.parametrize("test", dict.fromkeys(test for _, test in PLANTED), ids=lambda f: f.__name__)
def test_the_same_is_fine_without_a_planted_bug(test: Callable[[World], None], make_world: MakeWorld) -> None:
    test(make_world(APPEND))


def test_without_the_check_of_the_epoch_a_sleeper_would_publish(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario(SOURCES[0], "append", TARGETS[2])
    sleeping(make_world(scenario))
    publish_without_epoch(monkeypatch)
    from headgate.lake._iceberg import store

    monkeypatch.setattr(store.LakeStore, "sweep", lambda self, claim: 0)
    world = make_world(scenario)
    sleeper = Sleeper(world, "publish.before")
    scenario.target.take_lock_away(world.root, world.url)
    world.land(scenario.changes(3)[2])
    run(world)
    sleeper.wake()
    with pytest.raises(AssertionError):
        world.changes[1:] = [world.changes[1] + world.changes[2]]
        check_complete(world, "woken")


def test_a_sweep_that_takes_committed_files_is_caught(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a dead run has committed is taken for its leftovers, because nobody asked for the outcome."""
    from headgate.targets._local.chain import Chain

    scenario = Scenario(SOURCES[1], "append", TARGETS[1])
    world = make_world(scenario)
    names = harness.events_of(world.root, PIPELINE)

    def killed_after_commit() -> None:
        world.restore()
        harness.run_killed(world.root, PIPELINE, names.index("commit.after"))
        world.land(scenario.changes(3)[2])
        run(world)
        assert world.rows() == scenario.expected(world.changes)

    killed_after_commit()
    monkeypatch.setattr(Chain, "named_since", lambda self, floor=0: set())
    with pytest.raises((AssertionError, FileNotFoundError)):
        killed_after_commit()


def test_a_cursor_that_passes_over_ties_is_caught(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """``>`` for ``>=``: a row that was written later with the watermark's value is never read."""
    from headgate.io.cursor import Cursor

    def late_tie() -> None:
        world = make_world(APPEND)
        assert run(world)["status"] == "success"
        world.land([(9000, world.changes[-1][-1][1], 7)])
        run(world)
        assert world.rows() == world.scenario.expected(world.changes)

    late_tie()
    real = Cursor.start_condition
    monkeypatch.setattr(
        Cursor, "start_condition", lambda self, column, render: real(self, column, render).replace(">=", ">")
    )
    with pytest.raises(AssertionError):
        late_tie()
