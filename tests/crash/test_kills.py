"""kill -9 at every event: the run is published whole and once, or not at all, and the next run completes it."""

from __future__ import annotations

import functools
import random
from collections.abc import Collection

import pytest
from tests.crash import harness
from tests.crash.conftest import SEED, MakeWorld
from tests.crash.oracle import check_after
from tests.crash.scenarios import (
    CDC,
    DUCKDB,
    MERGES,
    MODES,
    MYSQL,
    PIPELINE,
    SOURCES,
    TARGETS,
    Scenario,
    World,
)

from headgate.testing.pages import pages

SCENARIOS = [Scenario(source, mode, target) for target in TARGETS for mode in MODES for source in SOURCES]
SCENARIOS += [Scenario(SOURCES[1], mode, target) for target in TARGETS for mode in MERGES]
SCENARIOS += [Scenario(SOURCES[2], mode, TARGETS[3], engine=place) for mode in MODES for place in ("source", "server")]
SCENARIOS += [Scenario(source, mode, target) for source, target in (MYSQL, DUCKDB) for mode in (*MODES, *MERGES)]
STRIDE, SPARSE = 12, 4

RUN = ["run", "lock", "probe", "plan", "record", "claim", "clean", "begin", "scan", "stage", "audit", "hold", "publish"]
INSIDE = {
    "sqlite": ["merge", "ledger", "commit"],
    "folder": ["sync", "ledger", "manifest", "commit"],
    "lake": ["merge", "sync", "manifest", "ledger", "commit"],
    "postgres": ["merge", "ledger", "commit"],
    "mysql": ["merge", "ledger", "commit"],
    "duckdb": ["merge", "ledger", "commit"],
}
NAMES = {
    target: [
        f"{step}.{phase}" for step in [*RUN, *dict.fromkeys(steps), "acknowledge"] for phase in ("before", "after")
    ]
    for target, steps in INSIDE.items()
}
"""Every event of these runs by name. Others are in the tests of recovery, of several stores and of errors."""


def chosen(scenario: Scenario, names: list[str]) -> list[int]:
    """Every twelfth event by its name, if not more often: the scenarios of one target share its events among them.

    A merge is told in some modes only, so those of one mode share it among them. Of MySQL and DuckDB, and where
    PostgreSQL does the work, every fourth event is tried here, others with the next seed; the long suite tries all.
    """
    order = NAMES[scenario.target.name]
    sparse = SPARSE if scenario.target not in TARGETS or scenario.engine in ("source", "server") else 1
    peers = [peer for peer in SCENARIOS if peer.target is scenario.target and peer.engine == scenario.engine]

    def mine(name: str) -> bool:
        sharing = [peer for peer in peers if peer.mode == scenario.mode] if name.startswith("merge") else peers
        return (order.index(name) + sharing.index(scenario) + SEED) % (min(len(sharing), STRIDE) * sparse) == 0

    return [i for i, name in enumerate(names) if mine(name)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_a_run_killed_at_an_event_is_published_once_or_not_at_all(scenario: Scenario, make_world: MakeWorld) -> None:
    world = make_world(scenario)
    names = harness.events_of(world.root, PIPELINE)
    for number in chosen(scenario, names):
        kill_at(world, number, names[number])


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_a_run_killed_at_any_event_of_all_is_published_once_or_not_at_all(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    world = make_world(scenario)
    names = harness.events_of(world.root, PIPELINE)
    for number, name in enumerate(names):
        kill_at(world, number, name)


def kill_at(world: World, number: int, name: str) -> None:
    world.restore()
    killed = harness.run_killed(world.root, PIPELINE, number)
    assert killed.killed, f"event {number} ({name}) was not reached"
    check_after(world, f"{world.scenario.name} killed at event {number}: {name}")


@pytest.mark.parametrize("target", [*TARGETS, MYSQL[1], DUCKDB[1]], ids=lambda t: t.name)
def test_every_event_of_a_run_is_in_the_matrix(target: object, make_world: MakeWorld) -> None:
    scenario = next(s for s in SCENARIOS if s.target is target and s.mode == "upsert")
    world = make_world(scenario)
    assert set(harness.events_of(world.root, PIPELINE)) == set(NAMES[scenario.target.name])
    names = NAMES[scenario.target.name]
    shared = {names[i] for s in SCENARIOS if s.target is target for i in chosen(s, names)}
    assert shared == set(names) or target not in TARGETS


GROWN = Scenario(SOURCES[1], "scd2", TARGETS[2], first=330_000)
"""A table whose file is so large, once rows are dropped and held back, that versions end in it where they are."""


def test_a_history_in_a_large_file_killed_amid_its_publication_is_published_once_or_not_at_all(
    make_world: MakeWorld,
) -> None:
    kill_in_place(make_world(GROWN), ("merge.after", "commit.before"))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_history_in_a_large_file_killed_at_any_event_is_published_once_or_not_at_all(make_world: MakeWorld) -> None:
    kill_in_place(make_world(GROWN))


def kill_in_place(world: World, chosen: Collection[str] | None = None) -> None:
    (first,) = world.root.rglob("data/*.parquet")
    for number, name in enumerate(harness.events_of(world.root, PIPELINE)):
        if chosen is None or name in chosen:
            kill_at(world, number, name)
    copied = [path for path in world.root.rglob("data/*.parquet") if pages(path, "seq") == pages(first, "seq")]
    assert len(copied) > 1, "versions did not end where they are"


FOLLOWED = [Scenario(CDC, "merge", target) for target in (TARGETS[3], TARGETS[0])]


@pytest.mark.parametrize("scenario", FOLLOWED, ids=lambda s: s.name)
def test_a_run_of_changes_killed_at_an_event_is_published_once_or_not_at_all(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    """The slot cannot be put back, so the world goes on: each kill meets a batch of its own."""
    follow(make_world(scenario), every=16)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", FOLLOWED, ids=lambda s: s.name)
def test_a_run_of_changes_killed_at_any_event_is_published_once_or_not_at_all(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    follow(make_world(scenario), every=1)


def follow(world: World, every: int) -> None:
    names = harness.events_of(world.root, PIPELINE)
    for number in range(SEED % every, len(names), every):
        world.land(world.scenario.changes(len(world.changes) + 1)[-1])
        killed = harness.run_killed(world.root, PIPELINE, number)
        where = f"{world.scenario.name} killed at event {number}: {names[number]}"
        assert killed.killed, where
        check_after(world, where)


MOMENTS = [Scenario(SOURCES[1], "upsert", target) for target in (*TARGETS, MYSQL[1], DUCKDB[1])]


@pytest.mark.parametrize("scenario", MOMENTS, ids=lambda s: s.name)
def test_a_run_killed_at_a_random_moment_is_published_once_or_not_at_all(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    kill_at_moments(make_world(scenario), 8)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_a_run_killed_at_one_of_many_moments_is_published_once_or_not_at_all(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    kill_at_moments(make_world(scenario), 300)


def kill_at_moments(world: World, times: int) -> None:
    chance = random.Random(f"{SEED} {world.scenario.name}")  # noqa: S311 - it chooses moments

    def killed(seconds: float) -> dict[str, object]:
        harness.kill_after(seconds)
        return harness.run_here(world.root, PIPELINE)

    for number in range(times):
        world.restore()
        moment = chance.uniform(0.001, 0.3)
        harness.in_child(functools.partial(killed, moment))
        check_after(world, f"{world.scenario.name}, seed {SEED}, kill {number} after {moment:.4f} s")
