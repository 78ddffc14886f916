"""kill -9 where changes are followed: in the first run, which makes the slot, and in runs that only move it on."""

from __future__ import annotations

import psycopg
import pytest
from tests.crash import harness
from tests.crash.conftest import SEED, MakeWorld
from tests.crash.oracle import check_after, check_complete, check_visible, run
from tests.crash.scenarios import CDC, PIPELINE, TARGETS, Scenario, World

SCENARIO = Scenario(CDC, "merge", TARGETS[3])
IDLE = 17_000_000
"""Bytes of log that tell nothing of the table, and are enough for the position to move on."""


def slots(world: World) -> list[tuple[str, int]]:
    """Name and place of each slot of the source."""
    with psycopg.connect(world.url_of(world.scenario.source)) as session:
        return session.execute(
            "SELECT slot_name, (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots"
            " WHERE database = current_database()"
        ).fetchall()


def test_a_first_run_that_is_killed_leaves_one_slot_and_the_next_takes_its_place(make_untouched: MakeWorld) -> None:
    kill_first_runs(make_untouched, every=9)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_first_run_killed_at_any_event_leaves_one_slot_and_the_next_takes_its_place(
    make_untouched: MakeWorld,
) -> None:
    kill_first_runs(make_untouched, every=1)


def kill_first_runs(make_untouched: MakeWorld, every: int) -> None:
    """Each twice, since a second one might leave a slot of its own."""
    names = harness.events_of(make_untouched(SCENARIO).root, PIPELINE)
    for number in sorted({*range(SEED % every, len(names), every), names.index("publish.before")}):
        world = make_untouched(SCENARIO)
        where = f"a first run killed at event {number}: {names[number]}"
        assert harness.run_killed(world.root, PIPELINE, number).killed, where
        check_visible(world, where)
        left = slots(world)
        harness.run_killed(world.root, PIPELINE, number)
        assert len(slots(world)) <= 1, where
        check_after(world, where)
        (slot,) = slots(world)
        assert not left or (slot[0] == left[0][0] and slot[1] >= left[0][1]), where


def test_a_run_that_only_moves_the_position_on_loses_nothing_when_it_is_killed(make_world: MakeWorld) -> None:
    """The position is stored, then the slot moved: between the two the slot lies behind, never ahead."""
    world = make_world(SCENARIO)
    assert run(world)["status"] == "success"
    write_elsewhere(world)
    names = harness.events_of(world.root, PIPELINE, status="skipped")
    stored = names.index("record.before")
    assert names[stored : stored + 4] == ["record.before", "record.after", "acknowledge.before", "acknowledge.after"]
    for number, name in enumerate(names):
        where = f"an idle run killed at event {number}: {name}"
        write_elsewhere(world)
        before = slots(world)
        assert harness.run_killed(world.root, PIPELINE, number).killed, where
        moved = slots(world) != before
        assert moved == (number >= names.index("acknowledge.after")), where
        assert run(world)["status"] == "skipped", where
        assert slots(world) != before, where
        world.land(world.scenario.changes(len(world.changes) + 1)[-1])
        assert run(world)["status"] == "success", where
        check_complete(world, where)


def write_elsewhere(world: World) -> None:
    with psycopg.connect(world.url_of(world.scenario.source), autocommit=True) as session:
        session.execute("SELECT pg_logical_emit_message(true, 'elsewhere', repeat('x', %s))", (IDLE,))
