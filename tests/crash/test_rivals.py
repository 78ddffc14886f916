"""Several at once: two runs, a paused one that wakes up late, staged runs, several stores."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.crash import harness
from tests.crash.conftest import MakeWorld
from tests.crash.oracle import check_after, check_complete, leftovers, run
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World

from headgate.commands.models import DiscardRun, PublishRun

APPENDS = [Scenario(SOURCES[1], "append", target) for target in TARGETS]


# ------------------------------------------------------------------------------------------------ two at once


def at_once(actions: list[Callable[[], dict[str, Any]]]) -> list[dict[str, Any]]:
    """Do things in processes that start at the same moment; their reports."""
    gate_read, gate_write = os.pipe()

    def held(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        os.close(gate_write)
        os.read(gate_read, 1)  # ends once nobody can write any more: neither the parent nor a child on its way here
        return action()

    children = [harness.Child(functools.partial(held, action)) for action in actions]
    os.close(gate_write)
    os.close(gate_read)
    return [child.end().report for child in children]


def race(world: World, times: int) -> None:
    for number in range(times):
        world.restore()
        where = f"{world.scenario.name}, race {number}"
        one, two = at_once([lambda: harness.run_here(world.root, PIPELINE)] * 2)
        won = [report for report in (one, two) if report["status"] == "success"]
        lost = [report for report in (one, two) if report["status"] != "success"]
        assert len(won) == 1, f"{where}: {one} {two}"
        assert lost[0]["status"] == "skipped" or lost[0]["error"]["code"] == "LOCKED", f"{where}: {lost}"
        assert world.rows() == world.scenario.expected(world.changes), where
    check_complete(world, "the last race")


@pytest.mark.parametrize("scenario", APPENDS, ids=lambda s: s.name)
def test_of_two_runs_at_once_exactly_one_publishes(scenario: Scenario, make_world: MakeWorld) -> None:
    race(make_world(scenario), 10)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", APPENDS, ids=lambda s: s.name)
def test_of_two_runs_at_once_exactly_one_publishes_whenever(scenario: Scenario, make_world: MakeWorld) -> None:
    race(make_world(scenario), 250)


# ------------------------------------------------------------------------------------------------ sleepers


class Sleeper:
    """A run that stops itself at an event, in a process of its own."""

    def __init__(self, world: World, event: str) -> None:
        self._read, write = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            signal.alarm(60)
            stop = harness.at_name(event, lambda: os.kill(os.getpid(), signal.SIGSTOP))
            try:
                report = harness.run_here(world.root, PIPELINE, stop)
                text = f"{report['status']} {(report['error'] or {}).get('code')}"
            except BaseException as error:  # noqa: BLE001 - whatever it is, the parent looks at it
                text = repr(error)
            os.write(write, text.encode())
            os._exit(0)
        os.close(write)
        _, status = os.waitpid(self.child, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "the run ended before the event"

    def wake(self) -> str:
        """Let it go on to its end; how that was: status and code."""
        os.kill(self.child, signal.SIGCONT)
        with os.fdopen(self._read, "rb") as pipe:
            text = pipe.read().decode()
        os.waitpid(self.child, 0)
        return text


SLEEPERS = [Scenario(SOURCES[0], "append", target) for target in TARGETS]
"""A sleeper that reads SQLite would keep the source from changing."""


@pytest.mark.parametrize("scenario", SLEEPERS, ids=lambda s: s.name)
@pytest.mark.parametrize("event", ["claim.after", "stage.after", "publish.before", "ledger.before", "commit.before"])
def test_a_run_that_slept_while_another_took_over_changes_nothing(
    scenario: Scenario, event: str, make_world: MakeWorld
) -> None:
    world = make_world(scenario)
    if scenario.target.name in ("sqlite", "lake") and event in ("ledger.before", "commit.before"):
        pytest.skip("a sleeper inside SQLite's transaction locks everybody else out, so nobody takes over")
    sleeper = Sleeper(world, event)
    scenario.target.take_lock_away(world.root, world.url)
    world.land(scenario.changes(3)[2])
    receipt = run(world)
    assert receipt["status"] == "success", receipt
    after = world.rows()
    assert after == scenario.expected(world.changes)
    woken = sleeper.wake()
    assert world.rows() == after, f"the sleeper changed rows: {woken}"
    assert woken == "failed FENCED"
    world.changes[1:] = [world.changes[1] + world.changes[2]]
    check_complete(world, f"{event}, woken: {woken}")


@pytest.mark.parametrize("scenario", APPENDS[:3], ids=lambda s: s.name)
def test_a_sleeper_that_wakes_and_publishes_before_the_claim_of_the_other_is_not_doubled(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    world = make_world(scenario)
    sleeper = Sleeper(world, "publish.before")
    scenario.target.take_lock_away(world.root, world.url)
    history = world.root / ".headgate" / "state.db"
    history.unlink()  # the other host has its own history, so it does not know of the sleeper
    woken: list[str] = []

    def wake() -> None:
        os.kill(sleeper.child, signal.SIGCONT)
        while scenario.target.rows(world.root, world.url) == before:
            time.sleep(0.01)

    before = scenario.target.rows(world.root, world.url)
    receipt = harness.in_child(
        lambda: harness.run_here(world.root, PIPELINE, harness.at_name("claim.before", wake))
    ).report
    woken.append(sleeper.wake())
    assert receipt["error"]["code"] == "CONFLICT", receipt
    assert world.rows() == scenario.expected(world.changes), woken
    assert run(world)["status"] == "skipped"


# ------------------------------------------------------------------------------------------------ staged runs


def settled(world: World, command: type[PublishRun | DiscardRun], run_id: str, listener: Any = None) -> harness.Outcome:
    return harness.in_child(lambda: harness.do_here(world.root, command(run_id=run_id), listener))


@pytest.mark.parametrize("scenario", APPENDS, ids=lambda s: s.name)
def test_a_run_killed_while_it_parks_leaves_nothing(scenario: Scenario, make_world: MakeWorld) -> None:
    world = make_world(scenario)
    names = harness.events_of(world.root, PIPELINE, status="staged", publish=False)
    for number in range(names.index("hold.after"), len(names)):
        world.restore()
        where = f"{scenario.name} --no-publish, killed at {number} ({names[number]})"
        assert harness.run_killed(world.root, PIPELINE, number, publish=False).killed
        assert world.rows() == scenario.expected(world.changes[:1]), where
        if names[number] not in ("record.after", "run.after"):  # then it is staged, and waits
            check_after(world, where)


@pytest.mark.parametrize("scenario", APPENDS, ids=lambda s: s.name)
def test_publishing_a_staged_run_can_be_killed_and_repeated(scenario: Scenario, make_world: MakeWorld) -> None:
    world = make_world(scenario)
    staged = run(world, publish=False)
    assert staged["status"] == "staged"
    world.save()
    number = 0
    while True:
        world.restore()
        where = f"{scenario.name}: publish killed at event {number}"
        if not settled(world, PublishRun, staged["run_id"], harness.killer(number)).killed:
            break
        again = settled(world, PublishRun, staged["run_id"]).report
        assert again["status"] == "success", f"{where}: {again}"
        check_complete(world, where)
        number += 1
    assert number > 3


@pytest.mark.parametrize("scenario", APPENDS, ids=lambda s: s.name)
def test_a_staged_run_is_not_published_over_a_later_one(scenario: Scenario, make_world: MakeWorld) -> None:
    world = make_world(scenario)
    staged = run(world, publish=False)
    world.land(scenario.changes(3)[2])
    assert run(world)["status"] == "success"
    world.changes[1:] = [world.changes[1] + world.changes[2]]
    refused = settled(world, PublishRun, staged["run_id"]).report
    assert refused["error"]["code"] == "CONFLICT", refused
    assert settled(world, DiscardRun, staged["run_id"]).report["status"] == "discarded"
    check_complete(world, "discarded")


@pytest.mark.parametrize("scenario", APPENDS, ids=lambda s: s.name)
def test_a_discarded_run_leaves_nothing_and_its_rows_come_again(scenario: Scenario, make_world: MakeWorld) -> None:
    world = make_world(scenario)
    staged = run(world, publish=False)
    assert settled(world, DiscardRun, staged["run_id"]).report["status"] == "discarded"
    assert leftovers(world) == []
    check_after(world, "discarded")


# ------------------------------------------------------------------------------------------------ several stores

SEVERAL = [
    Scenario(SOURCES[1], "append", TARGETS[2], (TARGETS[0],)),
    Scenario(SOURCES[1], "upsert", TARGETS[0], (TARGETS[1],)),
    Scenario(SOURCES[1], "append", TARGETS[1], (TARGETS[3],)),
]


@pytest.mark.parametrize("scenario", SEVERAL, ids=lambda s: s.name)
def test_several_stores_are_rolled_forward_after_a_kill(scenario: Scenario, make_world: MakeWorld) -> None:
    world = make_world(scenario)
    names = harness.events_of(world.root, PIPELINE)
    assert "forward.before" in names
    for number in range(names.index("hold.after"), len(names)):
        world.restore()
        where = f"{scenario.name}, killed at {number} ({names[number]})"
        assert harness.run_killed(world.root, PIPELINE, number).killed
        check_after(world, where)


def test_the_project_of_a_world_names_no_secret(make_world: MakeWorld) -> None:
    world = make_world(APPENDS[0])
    assert "password" not in (Path(world.root) / "headgate.yml").read_text()
