"""What must hold after a run was ended by force, whatever ended it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.crash import harness
from tests.crash.goals import Ledger
from tests.crash.scenarios import PIPELINE, World, describe, held


def run(world: World, **options: Any) -> dict[str, Any]:
    """One undisturbed run in a process of its own; its receipt."""
    return harness.in_child(lambda: harness.run_here(world.root, PIPELINE, **options)).report


def check_visible(world: World, where: str) -> bool:
    """Either nothing of the last batch is visible or all of it; whether all is."""
    before, after = world.scenario.expected(world.changes[:-1]), world.scenario.expected(world.changes)
    left = world.rows()
    assert left in (before, after), f"{where}: half a run is visible: {describe(left)}"
    return left == after


def check_after(world: World, where: str) -> None:
    """The next run completes what was begun, once; running again changes nothing; nothing is left behind."""
    check_visible(world, where)
    receipt = run(world)
    assert receipt["error"] is None, f"{where}: the next run failed: {receipt}"
    check_complete(world, where)


def check_complete(world: World, where: str) -> None:
    _check_rows(world, where)
    again = run(world)
    assert again["error"] is None, f"{where}: {again}"
    if world.scenario.mode != "overwrite":
        assert again["status"] == "skipped", f"{where}: {again}"
    _check_rows(world, f"{where}, run again")
    _check_ledger(world, where)
    if leftovers(world):  # swept by the next run that publishes
        world.land(world.scenario.changes(len(world.changes) + 1)[-1])
        receipt = run(world)
        assert receipt["status"] == "success", f"{where}: {receipt}"
        _check_rows(world, f"{where}, one batch more")
        _check_ledger(world, f"{where}, one batch more")
        left = leftovers(world)
        assert left == [], f"{where}: left behind are {left}"


def leftovers(world: World) -> list[str]:
    scenario, root = world.scenario, world.root
    sides = (scenario.target, *scenario.followers)
    left = [name for side in sides for name in side.orphans(root, world.url_of(side))]
    return left + [str(path) for path in (root / ".headgate" / "work").glob("*")]


def _check_rows(world: World, where: str) -> None:
    after = world.scenario.expected(world.changes)
    for side in (world.scenario.target, *world.scenario.followers):
        found = world.rows(side)
        assert found == after, (
            f"{where}, {side.name}: lost {describe(after - found)}, too many {describe(found - after)}"
        )


def _check_ledger(world: World, where: str) -> None:
    """Each execution once, the watermark is that of the last run, each held row is held once."""
    scenario = world.scenario
    for side in (scenario.target, *scenario.followers):
        ledger = side.ledger(world.root, world.url_of(side))
        runs = [run_id for run_id, _ in ledger.runs]
        assert len({execution for _, execution in ledger.runs}) == len(ledger.runs) == len(set(runs)), where
        if scenario.mode != "overwrite":
            assert len(runs) == len(world.changes), f"{where}, {side.name}: {len(runs)} runs published"
        assert all(run_id in runs for run_id, _ in ledger.watermarks), where
        if side is not scenario.target:
            continue
        for run_id, value in ledger.watermarks:
            if value is not None and not scenario.whole:  # changes have a place in the log
                assert int(value) == world.changes[-1][-1][1], f"{where}: the watermark is {value}"
            assert run_id in runs, where
        assert ledger.counted == {id_: len(rows) for id_, rows in ledger.held.items()}, where
        _check_held(world, ledger, runs, where)


def _check_held(world: World, ledger: Ledger, runs: list[str], where: str) -> None:
    """Each row that is held back stands in one entry; in a full read every run holds its own again."""
    if world.scenario.engine != "auto" or world.scenario.whole:
        assert not ledger.held, where
        return
    if world.scenario.mode != "overwrite":
        found = Counter(row for rows in ledger.held.values() for row in rows)
        assert found == held([row for batch in world.changes for row in batch]), f"{where}: held are {describe(found)}"
        return
    states = [held(world.scenario.source.now(world.changes[:number])) for number in range(1, len(world.changes) + 1)]
    by_run = {id_.rpartition("-")[0]: Counter(rows) for id_, rows in ledger.held.items()}
    assert len(by_run) == len(ledger.held), where
    assert set(by_run) == {run_id[:12] for run_id in runs}, where
    assert all(rows in states for rows in by_run.values()), where
