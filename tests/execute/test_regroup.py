"""``recompute: affected``: after any changes the target is what a full recompute gives."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plan.projects import SmallProject

from headgate.core.errors import Code
from headgate.plan.stages import Scan

SOURCE: dict[str, Any] = {
    "connection": "shop", "table": "sales", "mode": "incremental", "recompute": "affected",
    "incremental": {"column": "seq", "key": "id"},
}  # fmt: skip
FULL = {"connection": "shop", "table": "sales"}
DAILY: dict[str, Any] = {
    "type": "aggregate", "group_by": ["city", "day"], "metrics": {"total": "SUM(x)", "n": "COUNT(*)"},
}  # fmt: skip
COMPUTED = {"type": "calculate", "columns": {"day": "d % 3", "x": "x * 2"}}
RANKED = {"type": "window", "partition_by": ["city"], "order_by": "day", "columns": {"place": "ROW_NUMBER()"}}
TARGET: dict[str, Any] = {"table": "out", "mode": "upsert", "keys": ["city", "day"]}
CHAINS: list[list[dict[str, Any]]] = [
    [{"type": "rename", "columns": {"d": "day"}}, DAILY],
    [COMPUTED, DAILY],
    [COMPUTED, {"type": "filter", "condition": "x <> 2"}, DAILY],
    [COMPUTED, DAILY, RANKED],
    [{"type": "join", "table": "towns", "connection": "shop", "on": "city"}, COMPUTED, DAILY],
]
CITIES = st.sampled_from(["Bonn", "Ulm", "ulm", "O'Hara {{ x }}", ""])


def sales(root: Path, rows: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(root / "shop.db")) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS sales (id INTEGER PRIMARY KEY, city TEXT, d INTEGER, x INTEGER, seq INTEGER)"
        )
        database.execute("CREATE TABLE IF NOT EXISTS towns (city TEXT, land TEXT)")
        database.executemany("INSERT OR REPLACE INTO sales VALUES (?, ?, ?, ?, ?)", rows)
        if not database.execute("SELECT count(*) FROM towns").fetchone()[0]:
            database.execute("INSERT INTO towns VALUES ('Bonn', 'NW')")


def define(
    project: SmallProject, steps: list[dict[str, Any]], source: dict[str, Any] = SOURCE, **more: Any
) -> SmallProject:
    return project.define(source=source, steps=steps, target=more.pop("target", TARGET), **more)


BATCHES = st.lists(
    # an id keeps its city and day, and changes its value: what an id's rows are is theirs for good
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 5)), min_size=1, max_size=4), min_size=1, max_size=4
)  # fmt: skip


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(cities=st.lists(CITIES, min_size=12, max_size=12), batches=BATCHES, chain=st.sampled_from(CHAINS))
def test_after_any_changes_the_target_is_what_a_full_recompute_gives(
    tmp_path_factory: pytest.TempPathFactory, cities: list[Any], batches: list[Any], chain: list[dict[str, Any]]
) -> None:
    root = tmp_path_factory.mktemp("p")
    project, sequence = SmallProject(root), 0
    for batch in batches:
        rows = []
        for number, value in batch:
            sequence += 1
            rows.append((number, cities[number], number % 4, value, sequence))
        sales(root, rows)
        define(project, chain).run()
    found = project.out()
    overwrite = {"table": "whole", "mode": "overwrite"}
    define(project, chain, FULL, target=overwrite).run()
    whole = project.out("SELECT * FROM whole")
    if chain is CHAINS[2]:  # a group that lost all its rows to the filter stays, which the plan says
        assert set(whole) <= set(found)
    else:
        assert found == whole


def test_only_rows_of_touched_groups_are_read_again(tmp_path: Path) -> None:
    sales(tmp_path, [(n, f"c{n % 50}", 1, 1, n) for n in range(1, 501)])
    project = define(SmallProject(tmp_path), CHAINS[0])
    project.run()
    sales(tmp_path, [(1000, "c7", 1, 5, 1000)])
    receipt = project.run()
    assert (receipt.rows.extracted, receipt.rows.loaded) == (11, 1)
    assert project.out("SELECT * FROM out WHERE city = 'c7'") == [("c7", 1, 15, 11)]
    assert project.attempt().unwrap().status == "skipped"


def test_files_are_read_again(tmp_path: Path) -> None:
    project = SmallProject(tmp_path).file("a.csv", "city,day,x\nBonn,1,1\nUlm,1,2\n")
    source = {"connection": "inbox", "path": "*.csv", "mode": "incremental", "recompute": "affected"}
    define(project, [DAILY], source).run()
    project.file("b.csv", "city,day,x\nBonn,1,10\n")
    receipt = project.run()
    assert project.out() == [("Bonn", 1, 11, 2), ("Ulm", 1, 2, 1)]
    assert (receipt.rows.extracted, receipt.rows.filtered, receipt.rows.loaded) == (3, 1, 1)


def test_the_plan_says_what_is_read_again(tmp_path: Path) -> None:
    sales(tmp_path, [])
    plan = define(SmallProject(tmp_path), [COMPUTED, DAILY, RANKED]).plan()
    scan = next(stage for stage in plan.stages if isinstance(stage, Scan))
    assert scan.affected is not None
    assert scan.affected.keys == ("city",), "what both steps have in common"
    assert scan.affected.pushed == ("city",)
    assert plan.scans == 3, "new rows, rows of their groups, the groups"


@pytest.mark.parametrize(
    ("steps", "more", "said"),
    [
        ([{"type": "aggregate", "metrics": {"n": "COUNT(*)"}}], {}, "no groups of its own"),
        ([{"type": "clean", "fill": {"x": {"strategy": "mean"}}}], {}, "no groups of its own"),
        ([CHAINS[0][0], DAILY, {"type": "sql", "query": "SELECT SUM(n) AS n FROM input"}], {}, "no groups"),
        ([{"type": "sql", "query": "SELECT city, d AS day, x FROM input"}, DAILY], {}, "made by Python, by SQL"),
        ([CHAINS[0][0], DAILY], {"target": {"table": "out", "mode": "append"}}, "mode append cannot replace"),
    ],
)  # fmt: skip
def test_what_cannot_be_recomputed_is_refused(
    tmp_path: Path, steps: list[dict[str, Any]], more: dict[str, Any], said: str
) -> None:
    sales(tmp_path, [(1, "Bonn", 1, 1, 1)])
    failure = define(SmallProject(tmp_path), steps, **more).attempt().failure
    assert failure is not None
    assert failure.code in (Code.PLAN_INVALID, Code.UNSUPPORTED)
    assert said in failure.message
    assert failure.problems[0].line


def test_sql_that_looks_at_many_rows_needs_whole_groups_too(tmp_path: Path) -> None:
    sales(tmp_path, [(1, "Bonn", 1, 1, 1)])
    source = {name: value for name, value in SOURCE.items() if name != "recompute"}
    query = {"type": "sql", "query": "SELECT city, COUNT(*) AS n FROM input GROUP BY city"}
    failure = define(SmallProject(tmp_path), [query], source, target={"table": "out"}).attempt().failure
    assert failure is not None
    assert "part of a group" in failure.message
