"""The target's table as it will be, judged before the commit, on every kind of database that is written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.mariadb import MariaServer
from tests.plan.projects import NAME, SmallProject

from headgate.core.errors import Code
from headgate.execute.workspace import Workspace
from headgate.testing.rows import read_all

KEYED = {"id": "INTEGER", "city": "TEXT", "total": "INTEGER"}
FIRST = [(1, "Bonn", 10), (2, "Ulm", 20), (3, "Jena", 30)]
SECOND = [(2, "Ulm", 25), (4, "Jena", 40)]
MODES: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]]]] = {
    "append": ({}, [*FIRST, *SECOND]),
    "overwrite": ({}, SECOND),
    "upsert": ({"keys": ["id"]}, [FIRST[0], SECOND[0], FIRST[2], SECOND[1]]),
    "merge": ({"keys": ["id"], "delete_missing": True}, SECOND),
    "scd2": ({"keys": ["id"], "effective": "since"}, [*FIRST, *SECOND]),
}
"""Each mode with the rows, without the columns of a history, that the second load leaves."""
SINCE = {"type": "calculate", "columns": {"since": "DATE '2024-01-01' + CAST(total AS INTEGER)"}}
"""Since when a row holds: every database has days, not all have moments with a zone."""


@pytest.fixture(
    params=["duckdb", "mysql", "sqlite", "alchemy-sqlite", "alchemy-mariadb", "alchemy-postgres", "postgres"]
)
def goal(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The connection that is written."""
    kind = request.param
    if kind in ("duckdb", "sqlite"):
        return {"type": kind, "path": "goal.db"}
    if kind == "alchemy-sqlite":
        return {"type": "sqlalchemy", "url": "sqlite:///goal.db"}
    url = request.getfixturevalue("postgres_url" if "postgres" in kind else "mariadb_url")
    if kind in ("mysql", "postgres"):
        return {"type": kind, "url": url}
    driver = "postgresql+psycopg" if "postgres" in kind else "mysql+pymysql"
    return {"type": "sqlalchemy", "url": driver + url[url.index(":") :]}


@pytest.fixture
def project(tmp_path: Path, goal: dict[str, Any]) -> SmallProject:
    return SmallProject(tmp_path, connections={"goal": goal}).table("orders", KEYED, FIRST)


def table(project: SmallProject) -> list[tuple[Any, ...]] | None:
    """The target's table; None: there is none."""
    with Workspace.load(project.root) as workspace:
        (store,) = workspace.stores_of(workspace.project.pipelines[NAME])
        if store.describe("out") is None:
            return None
        found = read_all(store.reader("out")).select(list(KEYED)).to_pylist()
    return sorted(tuple(row.values()) for row in found)


def judged(project: SmallProject, mode: str, *rules: Mapping[str, Any]) -> SmallProject:
    target = {"table": "out", "mode": mode, **MODES[mode][0]}
    return project.define(steps=[SINCE], target=target, rules=[{"stage": "load", **rule} for rule in rules])


@pytest.mark.parametrize("mode", MODES)
def test_a_table_that_would_break_a_rule_is_left_as_it_is_and_one_that_holds_is_published(
    project: SmallProject, mode: str
) -> None:
    after = sorted(MODES[mode][1])
    few, holds = {"type": "row_count", "max": 2}, {"type": "row_count", "equals": len(after)}
    refused = judged(project, mode, few).attempt()
    assert refused.error_code is Code.QUALITY_CHECK_FAILED, refused.error
    assert table(project) is None, "not even made"
    judged(project, mode, {"type": "row_count", "equals": 3}).run()
    assert table(project) == FIRST
    project.table("orders", KEYED, SECOND)
    refused = judged(project, mode, {"type": "row_count", "max": len(after) - 1}).attempt()
    assert refused.error_code is Code.QUALITY_CHECK_FAILED, refused.error
    assert table(project) == FIRST
    sums = {"type": "aggregate", "condition": f"SUM(total) = {sum(total for _, _, total in after)}"}
    keys = {"type": "unique", "columns": ["id", "total"]}
    receipt = judged(project, mode, holds, sums, keys).run()
    assert [(check.passed, check.judged) for check in receipt.checks] == [(True, len(after))] * 3
    assert table(project) == after


def test_rows_of_all_rules_see_columns_that_the_load_adds(project: SmallProject) -> None:
    judged(project, "append").run()
    project.table("orders", {**KEYED, "note": "TEXT"}, [(*row, "new") for row in SECOND])
    told = {"type": "not_null", "column": "note"}
    refused = judged(project, "append", told).attempt()
    assert refused.value is not None
    assert [(check.failed_rows, check.judged) for check in refused.value.checks] == [(3, 5)]
    assert table(project) == FIRST
    judged(project, "append", {**told, "severity": "warning"}).run()
    assert table(project) == sorted([*FIRST, *SECOND])


def test_a_rule_may_look_at_the_very_table_that_it_judges(project: SmallProject) -> None:
    """Other tables of the target are read beside the transaction that shows one."""
    judged(project, "append").run()
    project.table("orders", KEYED, SECOND)
    known = {"type": "referential", "columns": ["id"], "connection": "goal", "table": "out", "references": ["id"]}
    receipt = judged(project, "append", {**known, "severity": "warning"}).run()
    assert [(check.failed_rows, check.judged) for check in receipt.checks] == [(1, 5)]


DRAWER = """
from typing import Literal
from headgate.io import sqlite
from headgate.targets.sqlite import Write, open_store

class Connection(sqlite.Connection):
    type: Literal["drawer"]
"""


def test_a_target_of_ones_own_that_cannot_show_its_table_is_refused_by_check(tmp_path: Path) -> None:
    extras = tmp_path / "extras"
    (extras / "drawer-1.0.dist-info").mkdir(parents=True)
    (extras / "drawer-1.0.dist-info" / "METADATA").write_text("Name: drawer\nVersion: 1.0\n")
    (extras / "drawer-1.0.dist-info" / "entry_points.txt").write_text("[headgate.targets]\ndrawer = drawer\n")
    (extras / "drawer.py").write_text(DRAWER)
    project = SmallProject(tmp_path, connections={"goal": {"type": "drawer", "path": "goal.db"}})
    judged(project.table("orders", KEYED, FIRST), "append", {"type": "row_count", "max": 9})
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [Path(sys.executable).with_name("headgate"), "-C", str(tmp_path), "check", "-o", "json"],
        env={"PYTHONPATH": str(extras), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    (problem,) = json.loads(done.stdout)["problems"]
    assert "cannot show its table" in problem["message"]
    assert problem["path"] == "pipelines.small.quality_rules.0"
    assert not (tmp_path / "goal.db").exists()


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_texts_are_unique_in_a_table_as_they_are_in_a_run_whatever_its_collation(
    tmp_path: Path, mariadb_server: MariaServer, mariadb_name: str, mode: str
) -> None:
    """``unique`` with ``scope: table`` is counted by the server, which may take ``a`` for ``Ä``."""
    mariadb_server.execute(
        mariadb_name, "CREATE TABLE `out` (id BIGINT, city VARCHAR(20) COLLATE utf8mb4_general_ci, total BIGINT)",
        "INSERT INTO `out` VALUES (9, 'A', 1)",
    )  # fmt: skip
    goal = {"type": "mysql", "url": mariadb_server.url(mariadb_name)}
    project = SmallProject(tmp_path, connections={"goal": goal}).table("orders", KEYED, [(1, "a", 2), (2, "Ä", 3)])
    rules = [{"type": "unique", "columns": ["city"], "scope": "table"}]
    target = {"table": "out", "mode": mode, **MODES[mode][0]}
    receipt = project.define(rules=rules, target=target).run()
    assert [(check.failed_rows, check.judged) for check in receipt.checks] == [(0, 3)]
    project.table("orders", KEYED, [(3, "a", 2), (4, "b", 3)])
    refused = project.define(rules=rules, target=target).attempt()
    assert refused.error_code is Code.QUALITY_CHECK_FAILED
    assert refused.value is not None
    assert refused.value.checks[0].failed_rows == 2
