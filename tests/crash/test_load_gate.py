"""Killed while the table is judged as it will be, or between that and the commit: nothing of the load is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from tests.crash import harness
from tests.crash.conftest import SEED, MakeWorld
from tests.crash.oracle import check_after, run
from tests.crash.scenarios import DUCKDB, MYSQL, PIPELINE, SOURCES, TARGETS, Scenario, World

JUDGED = [
    Scenario(SOURCES[1], mode, target, gate=900)
    for mode, target in (
        ("upsert", MYSQL[1]),
        ("scd2", MYSQL[1]),
        ("append", DUCKDB[1]),
        ("merge", DUCKDB[1]),
        ("merge", TARGETS[0]),
        ("upsert", TARGETS[3]),
    )
]
STRIDE = 9


def define(world: World, gate: int) -> None:
    """The same pipeline with another limit."""
    world.scenario = replace(world.scenario, gate=gate)
    path = world.root / "headgate.yml"
    path.write_text(yaml.safe_dump(world.scenario.document({n: d.url for n, d in world.databases.items()})))


def from_the_audit(names: list[str], last: str, every: int) -> list[int]:
    first, end = names.index("audit.before"), names.index(last)
    return [number for number in range(first, end + 1) if (number + SEED) % every == 0]


def killed_before_the_commit(world: World, every: int) -> None:
    names = harness.events_of(world.root, PIPELINE)
    for number in from_the_audit(names, "commit.after", every):
        world.restore()
        assert harness.run_killed(world.root, PIPELINE, number).killed, names[number]
        check_after(world, f"{world.scenario.name} killed at event {number}: {names[number]}")


def refused_and_killed(world: World, every: int) -> None:
    """A table that breaks the rule is never seen, wherever the run dies; with a rule that holds the next publishes."""
    define(world, 100)
    before = world.rows()
    names = harness.events_of(world.root, PIPELINE, status="refused")
    assert world.rows() == before
    for number in from_the_audit(names, names[-1], every):
        world.restore()
        define(world, 100)
        assert harness.run_killed(world.root, PIPELINE, number).killed, names[number]
        where = f"{world.scenario.name} refused and killed at event {number}: {names[number]}"
        assert world.rows() == before, where
        assert run(world)["status"] == "refused", where
        assert world.rows() == before, where
    define(world, 900)
    assert run(world)["status"] == "success"
    assert world.rows() == world.scenario.expected(world.changes)


@pytest.mark.parametrize("scenario", JUDGED, ids=lambda s: s.name)
def test_a_run_killed_between_the_gate_of_load_and_the_commit_is_published_once_or_not_at_all(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    killed_before_the_commit(make_world(scenario), STRIDE)


@pytest.mark.parametrize("scenario", JUDGED[::3], ids=lambda s: s.name)
def test_a_run_that_the_gate_of_load_refuses_leaves_nothing_wherever_it_is_killed(
    scenario: Scenario, make_world: MakeWorld
) -> None:
    refused_and_killed(make_world(scenario), STRIDE)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", JUDGED, ids=lambda s: s.name)
def test_a_judged_run_killed_at_any_event_leaves_no_half(scenario: Scenario, make_world: MakeWorld) -> None:
    killed_before_the_commit(make_world(scenario), 1)
    refused_and_killed(make_world(scenario), 1)
