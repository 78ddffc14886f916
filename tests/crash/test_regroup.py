"""Groups that are read again: whatever is killed or comes in meanwhile, they end up as a full count has them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.crash import harness
from tests.execute.test_regroup import DAILY, SOURCE, define, sales
from tests.plan.projects import NAME, SmallProject

from headgate.core.events import Event

STEPS = [{"type": "rename", "columns": {"d": "day"}}, DAILY]
STRIDE = 5


def counted(root: Path) -> list[tuple[object, ...]]:
    """The groups by SQL of the source's own."""
    query = "SELECT city, d, SUM(x), COUNT(*) FROM sales GROUP BY city, d"
    with closing(sqlite3.connect(root / "shop.db")) as database:
        return sorted(database.execute(query).fetchall(), key=repr)


def land(root: Path, number: int) -> None:
    """Changes of old rows and new ones."""
    rows = [(k, f"c{k % 4}", k % 2, number + k, number * 100 + k) for k in range(number % 3, number + 4, 3)]
    sales(root, rows)


def killed_at(project: SmallProject, numbers: range) -> None:
    for number in numbers:
        land(project.root, number + 2)
        harness.run_killed(project.root, NAME, number)
        receipt = harness.in_child(lambda: harness.run_here(project.root, NAME)).report
        assert receipt["status"] in ("success", "skipped"), receipt
        assert project.out() == counted(project.root), number


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    land(tmp_path, 1)
    return define(SmallProject(tmp_path), STEPS, SOURCE)


def test_a_run_killed_at_an_event_leaves_no_group_half_counted(project: SmallProject) -> None:
    events = harness.events_of(project.root, NAME)
    killed_at(project, range(0, len(events), STRIDE))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_run_killed_at_any_event_leaves_no_group_half_counted(project: SmallProject) -> None:
    events = harness.events_of(project.root, NAME)
    killed_at(project, range(len(events)))


def test_rows_that_come_between_both_reads_are_counted_once(project: SmallProject) -> None:
    with closing(sqlite3.connect(project.root / "shop.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")  # else nothing can be written while it is read
    project.run()
    land(project.root, 5)

    def come(event: Event) -> None:
        if event.name == "scan.before" and event.detail.get("object") == "touched groups":
            sales(project.root, [(2, "c2", 0, 999, 9_000), (77, "c9", 1, 5, 9_001)])

    receipt = harness.run_here(project.root, NAME, come)
    assert receipt["status"] == "success", receipt["error"]
    assert project.out("SELECT total > 900 FROM out WHERE city = 'c2' AND day = 0") == [(1,)], "the later read saw it"
    assert harness.run_here(project.root, NAME)["status"] == "success"
    assert project.out() == counted(project.root)
