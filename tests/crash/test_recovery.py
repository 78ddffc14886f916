"""Killed, and the recovery killed too: still once or not at all. And what the local state may lose."""

from __future__ import annotations

import random

import pytest
from tests.crash import harness
from tests.crash.conftest import SEED, MakeWorld
from tests.crash.oracle import check_after, check_complete, check_visible, run
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World

SCENARIOS = [
    Scenario(SOURCES[0], "append", TARGETS[1]),
    Scenario(SOURCES[1], "upsert", TARGETS[0]),
    Scenario(SOURCES[1], "append", TARGETS[2]),
    Scenario(SOURCES[3], "append", TARGETS[3]),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_a_recovery_that_is_killed_is_recovered(scenario: Scenario, make_world: MakeWorld) -> None:
    kill_pairs(make_world(scenario), 10)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_every_recovery_that_is_killed_is_recovered(scenario: Scenario, make_world: MakeWorld) -> None:
    kill_pairs(make_world(scenario), 1250)


def kill_pairs(world: World, pairs: int) -> None:
    """Half of the first kills lie where the outcome is in doubt: from the claim to the record."""
    chance = random.Random(f"{SEED} {world.scenario.name}")  # noqa: S311 - it chooses events
    names = harness.events_of(world.root, PIPELINE)
    claim = names.index("claim.before")
    for pair in range(pairs):
        first = chance.randrange(claim if pair % 2 else 0, len(names))
        second = chance.randrange(len(names) + 4)
        world.restore()
        where = f"{world.scenario.name}, seed {SEED}: killed at {first} ({names[first]}), then at {second}"
        assert harness.run_killed(world.root, PIPELINE, first).killed
        check_visible(world, where)
        harness.run_killed(world.root, PIPELINE, second)
        check_after(world, where)


def test_recovery_tells_what_it_does(make_world: MakeWorld) -> None:
    world = make_world(SCENARIOS[0])
    names = harness.events_of(world.root, PIPELINE)
    world.restore()
    number = names.index("publish.before")
    harness.run_killed(world.root, PIPELINE, number)
    told = harness.events_of(world.root, PIPELINE)
    assert told[3:7] == ["recover.before", "claim.before", "claim.after", "recover.after"]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
@pytest.mark.parametrize("event", ["claim.after", "publish.before", "publish.after", "record.after"])
def test_a_lost_history_loses_and_doubles_nothing(scenario: Scenario, event: str, make_world: MakeWorld) -> None:
    world = make_world(scenario)
    history = world.root / ".headgate" / "state.db"
    names = harness.events_of(world.root, PIPELINE)
    world.restore()
    number = len(names) - 1 - names[::-1].index(event)
    harness.run_killed(world.root, PIPELINE, number)
    history.unlink()
    for path in (world.root / ".headgate" / "work").glob("*"):  # only the history knows whose they are
        import shutil

        shutil.rmtree(path)
    check_visible(world, f"{event}, history lost")
    receipt = run(world)
    assert receipt["error"] is None, receipt
    history.unlink()
    check_complete(world, f"{event}, history lost twice")


def test_a_history_that_cannot_be_opened_is_said_before_anything_is_published(make_world: MakeWorld) -> None:
    world = make_world(SCENARIOS[0])
    history = world.root / ".headgate" / "state.db"
    history.unlink()
    history.mkdir()
    receipt = run(world)
    assert receipt["error"]["code"] == "STATE_INVALID"
    assert "history" in receipt["error"]["operation"]
    assert receipt["error"]["hint"]
    assert world.rows() == world.scenario.expected(world.changes[:1])
    history.rmdir()
    check_after(world, "an unwritable history")


def test_a_history_that_fails_after_the_commit_does_not_hide_it(make_world: MakeWorld) -> None:
    world = make_world(SCENARIOS[0])
    history = world.root / ".headgate" / "state.db"

    def spoil() -> None:
        history.write_bytes(b"no database at all" * 1000)

    receipt = harness.in_child(
        lambda: harness.run_here(world.root, PIPELINE, harness.at_name("publish.after", spoil))
    ).report
    assert receipt["published"]
    assert any("history" in warning for warning in receipt["warnings"])
    history.unlink()
    check_complete(world, "a spoilt history")
