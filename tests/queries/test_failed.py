"""Rows that were held back are a table of the store, as the last commit left it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import SmallProject, with_orders

from headgate.api.project import Project
from headgate.commands.models import DiscardQuarantine, ExpireQuarantine, MendQuarantine
from headgate.core.errors import Code, FatalError

RULES: list[dict[str, Any]] = [
    {"name": "paid", "type": "not_null", "columns": ["total"], "on_fail": "quarantine"},
    {"name": "sane", "type": "range", "column": "total", "min": 0, "on_fail": "quarantine"},
]
LAKE: dict[str, Any] = {}
FOLDER = {"goal": {"type": "local", "path": "goal"}}


@pytest.fixture(params=["lake", "folder", "sqlite", "postgres"])
def goal(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The connections that say where rows go; none is the lake."""
    match request.param:
        case "lake":
            return LAKE
        case "folder":
            return FOLDER
        case "sqlite":
            return {"goal": {"type": "sqlite", "path": "goal.db"}}
        case _:
            return {"goal": {"type": "postgres", "url": request.getfixturevalue("postgres_url")}}


def held(root: Path, goal: dict[str, Any], rules: list[dict[str, Any]] = RULES) -> tuple[SmallProject, Project]:
    """Five orders, of which the fourth has no total and the fifth a negative one."""
    small = with_orders(root)
    small.connections = goal
    target = {"connection": name_of(small), "table": "out", "mode": "upsert", "keys": ["id"]}
    small.define(rules=rules, target=target).run()
    return small, Project(root)


def name_of(small: SmallProject) -> str:
    return "goal" if small.connections else "lake"


def asked(small: SmallProject, sql: str = "SELECT rule, key FROM failed_data ORDER BY rule") -> list[Any]:
    found = Project(small.root).query(sql, connection=name_of(small))
    return [tuple(row.values()) for row in found.to_pylist()]


def test_they_have_run_rule_reasons_key_and_record(tmp_path: Path, goal: dict[str, Any]) -> None:
    small, _ = held(tmp_path, goal)
    (entry,) = [one for one in small.entries() if one["rule"] == "sane"]
    sql = "SELECT * FROM failed_data WHERE rule = 'sane'"
    ((id_, run, pipeline, rule, status, held_at, reasons, key, record),) = asked(small, sql)
    assert (id_, run, pipeline, rule, status) == (entry["id"], entry["run_id"], "small", "sane", "held")
    assert held_at.startswith("rules:")
    assert len(reasons) == 1
    assert "total" in reasons[0]
    assert json.loads(key) == {"id": 5}
    assert json.loads(record)["total"] < 0
    counted = "SELECT rule, COUNT(*) FROM failed_data GROUP BY rule ORDER BY rule"
    assert asked(small, counted) == [("paid", 1), ("sane", 1)]
    twice = "SELECT a.rule FROM failed_data a JOIN failed_data b ON a.record->>'id' = b.record->>'id' ORDER BY 1"
    assert asked(small, twice) == [("paid",), ("sane",)]


def test_they_leave_it_with_the_commit_that_loads_them_and_when_they_are_discarded(
    tmp_path: Path, goal: dict[str, Any]
) -> None:
    small, project = held(tmp_path, goal)
    paid, sane = sorted(small.entries(), key=lambda one: str(one["rule"]))
    project.execute(MendQuarantine(entry_id=paid["id"], values={"total": "1"})).unwrap()
    assert asked(small) == [("sane", '{"id": 5}')]
    project.execute(DiscardQuarantine(entry_id=sane["id"])).unwrap()
    assert asked(small) == []


def test_what_is_settled_takes_no_more_space(tmp_path: Path, goal: dict[str, Any]) -> None:
    small, project = held(tmp_path, goal)
    paid, sane = sorted(small.entries(), key=lambda one: str(one["rule"]))
    project.execute(MendQuarantine(entry_id=paid["id"], values={"total": "1"})).unwrap()
    done = project.execute(ExpireQuarantine(older_than=timedelta(days=1))).unwrap()
    assert done == {"expired": [], "unknown": [], "freed": 0}
    done = project.execute(ExpireQuarantine(older_than=timedelta(0))).unwrap()
    assert done == {"expired": [sane["id"]], "unknown": [], "freed": 2}
    with pytest.raises(FatalError, match="the entry is replayed, and its rows were removed"):
        small.held(paid["id"])
    assert [path for path in tmp_path.rglob("*") if path.parent.name in ("_quarantine", "failed_data")] == []
    assert project.execute(ExpireQuarantine(older_than=timedelta(0))).unwrap()["freed"] == 0
    small.run()
    assert asked(small, "SELECT COUNT(*) FROM out") == [(4,)]


@pytest.mark.parametrize("goal", [LAKE, FOLDER], ids=["lake", "folder"])
def test_it_is_there_from_the_first_run_on_and_empty(tmp_path: Path, goal: dict[str, Any]) -> None:
    small, _ = held(tmp_path, goal, rules=[])
    assert asked(small) == []
    assert (tmp_path / "goal" / "failed_data").is_dir() == bool(goal)


def test_a_table_that_is_really_called_so_goes_first(tmp_path: Path) -> None:
    small, _ = held(tmp_path, LAKE)
    small.change(targets=[{"connection": "lake", "table": "failed_data"}]).run(force=True)
    assert asked(small, "SELECT COUNT(city) FROM failed_data") == [(3,)]


def test_a_folder_keeps_the_name_for_them(tmp_path: Path) -> None:
    small, _ = held(tmp_path, FOLDER)
    refused = small.change(targets=[{"connection": "goal", "table": "Failed_Data"}]).attempt(force=True)
    assert refused.error_code == Code.UNSUPPORTED
    assert "failed_data holds rows that were held back" in str(refused.error)


def test_they_have_no_older_versions(tmp_path: Path) -> None:
    _, project = held(tmp_path, LAKE)
    with pytest.raises(FatalError, match="shown as they are now"):
        project.query("SELECT * FROM failed_data", at="1")
