"""kill -9 at every event of a run: the run is published whole and once, or not at all, and the next run completes it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.crash import harness
from tests.crash.scenarios import MODES, PIPELINE, SOURCES, TARGETS, Scenario, changes_for, describe

SCENARIOS = [Scenario(source, mode, target) for source in SOURCES for mode in MODES for target in TARGETS]


@pytest.fixture(scope="module", autouse=True)
def _preloaded() -> None:
    harness.preload()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_a_run_killed_at_any_event_is_published_once_or_not_at_all(scenario: Scenario, tmp_path: Path) -> None:
    root = tmp_path / "project"
    changes = changes_for(scenario.mode, 2)
    scenario.create(root)
    scenario.source.land(root, 0, changes[0])
    first = harness.in_child(lambda: harness.run_here(root, PIPELINE)).report
    assert first["status"] == "success", first
    before = Counter(scenario.target.rows(root))
    assert before == scenario.expected(changes[:1]), describe(before)
    scenario.source.land(root, 1, changes[1])
    snapshot = harness.Snapshot.take(root)
    names = harness.events_of(root, PIPELINE)
    assert Counter(scenario.target.rows(root)) == scenario.expected(changes)

    for number, name in enumerate(names):
        snapshot.restore()
        killed = harness.in_child(lambda n=number: harness.run_here(root, PIPELINE, harness.killer(n)))
        assert killed.killed, f"event {number} ({name}) was not reached"
        _check_after(scenario, root, before, changes, f"killed at event {number}: {name}")


def _check_after(scenario: Scenario, root: Path, before: Counter, changes: list, where: str) -> None:  # type: ignore[type-arg]
    after = scenario.expected(changes)
    left = Counter(scenario.target.rows(root))
    assert left in (before, after), f"{where}: half a run is visible: {describe(left)}"
    receipt = harness.in_child(lambda: harness.run_here(root, PIPELINE)).report
    assert receipt["error"] is None, f"{where}: the next run failed: {receipt}"
    found = Counter(scenario.target.rows(root))
    assert found == after, f"{where}: lost {describe(after - found)}, doubled {describe(found - after)}"
    again = harness.in_child(lambda: harness.run_here(root, PIPELINE)).report
    assert again["error"] is None, again
    if scenario.mode != "overwrite":
        assert again["status"] == "skipped", f"{where}: {again}"
    assert Counter(scenario.target.rows(root)) == after, f"{where}: running again changed rows"
