"""Staged runs that are published later, after others have written into the same tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import SmallProject, with_orders

from headgate.commands.handle import handle
from headgate.commands.models import DiscardRun, PublishRun
from headgate.core.errors import Code
from headgate.core.events import Event, Listener
from headgate.core.results import Result
from headgate.core.runs import Receipt, Status
from headgate.execute.workspace import Workspace

UPSERT: dict[str, Any] = {"table": "out", "mode": "upsert", "keys": ["id"]}


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """One published run, and two orders more, of which a staged run brings the news."""
    project = with_orders(tmp_path).define(target=UPSERT)
    project.run()
    project.table(
        "orders",
        {"id": "INTEGER", "city": "TEXT", "total": "INTEGER", "note": "TEXT"},
        [(1, "Bonn", 11, "1"), (6, "Ulm", 60, None), (7, "Ulm", 70, None)],
    )
    return project


def settle(project: SmallProject, command: PublishRun | DiscardRun, *listeners: Listener) -> Result[Receipt]:
    with Workspace.load(project.root, listeners=listeners) as workspace:
        result: Result[Receipt] = handle(command, workspace)
        return result


def publish(project: SmallProject, run_id: str, *listeners: Listener) -> Receipt:
    return settle(project, PublishRun(run_id=run_id), *listeners).unwrap()


def somebody_else_writes(project: SmallProject) -> None:
    """Order 6 is there already."""
    with closing(sqlite3.connect(project.root / "goal.db")) as database, database:
        database.execute("INSERT INTO out (id, city, total) VALUES (6, 'Ulm', 59)")


def told(receipt: Receipt) -> tuple[int, ...]:
    (target,) = receipt.targets
    rows = receipt.rows
    assert (rows.inserted, rows.updated, rows.deleted) == (target.inserted, target.updated, target.deleted)
    assert rows.imbalance == 0
    return target.inserted, target.updated


def test_a_receipt_tells_what_the_publication_did_and_not_what_it_would_have_done_before(project: SmallProject) -> None:
    staged = project.run(publish=False)
    assert told(staged) == (2, 1)
    somebody_else_writes(project)
    published = publish(project, staged.run_id)
    assert told(published) == (1, 2)
    with Workspace.load(project.root) as workspace:
        assert workspace.history.get("small", staged.run_id) == published


class Killed(BaseException):
    """The end of a process."""


def test_so_it_does_when_the_publication_was_killed_after_its_commit(project: SmallProject) -> None:
    staged = project.run(publish=False)
    somebody_else_writes(project)

    def kill(event: Event) -> None:
        if (event.step, event.phase) == ("publish", "after"):
            raise Killed

    with pytest.raises(Killed):
        publish(project, staged.run_id, kill)
    assert told(publish(project, staged.run_id)) == (1, 2)


def test_a_run_staged_where_the_pipeline_has_no_target_any_more_is_not_published_by_half(project: SmallProject) -> None:
    project.connections = {"second": {"type": "sqlite", "path": "second.db"}}
    both = [UPSERT, {**UPSERT, "connection": "second"}]
    staged = project.define(targets=both).run(publish=False)
    before = project.out()
    project.define(targets=[UPSERT])
    refused = settle(project, PublishRun(run_id=staged.run_id))
    assert refused.error_code is Code.CONFLICT
    assert "staged in goal, second" in str(refused.error)
    assert project.out() == before
    discarded = settle(project, DiscardRun(run_id=staged.run_id)).unwrap()
    assert discarded.status is Status.DISCARDED
    project.define(targets=both)
    assert publish(project, project.run(publish=False).run_id).rows.inserted == 5
