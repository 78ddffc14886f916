"""Rows that break rules are counted once, whichever kinds of rules they break: passed + failed = total."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plan.projects import SmallProject

from headgate.commands.handle import handle
from headgate.commands.models import ValidateData
from headgate.core.runs import Receipt
from headgate.execute.workspace import Workspace

WARN = {"severity": "warning"}
COLUMNS = {"id": "INTEGER", "a": "INTEGER", "b": "INTEGER"}
CHECKS = """
def even(rows):
    return [None if a is None else a % 2 == 0 for a in rows["a"].to_pylist()]
"""
Row = tuple[int, int | None, int | None]
RULES: dict[str, dict[str, Any]] = {
    "single": {"type": "range", "column": "a", "min": 0},
    "held": {"type": "range", "column": "b", "max": 2, "on_fail": "quarantine"},
    "unique": {"type": "unique", "columns": ["a", "b"]},
    "filled": {"type": "completeness", "columns": ["a", "b"], "threshold": 0.9},
    "sql": {"type": "sql", "query": "SELECT * FROM input WHERE a = b"},
    "groups": {"type": "sql", "query": "SELECT b FROM input GROUP BY b HAVING SUM(a) < 0"},
    "python": {"type": "python", "function": "checks:even"},
    "whole": {"type": "aggregate", "condition": "SUM(a) > 1000"},
}


def breaking(rows: list[Row], rules: list[str]) -> tuple[set[int], int]:
    """Numbers of the rows that break some rule, and how many are held, in plain Python."""
    held = {n for n, (_, _, b) in enumerate(rows) if "held" in rules and b is not None and b > 2}
    alive = [(n, a, b) for n, (_, a, b) in enumerate(rows) if n not in held]
    pairs: list[tuple[int | None, int | None]] = [(a, b) for _, a, b in alive if a is not None and b is not None]
    sums: dict[Any, list[int]] = {}
    for _, a, b in alive:
        sums.setdefault(b, []).extend([] if a is None else [a])
    short = [k for k in (1, 2) if alive and sum(r[k] is not None for r in alive) / len(alive) < 0.9]
    found = {
        # a row that is held breaks rules about single rows too
        "single": {n for n, (_, a, _) in enumerate(rows) if a is not None and a < 0},
        "held": held,
        "unique": {n for n, a, b in alive if pairs.count((a, b)) > 1},
        "filled": {row[0] for row in alive if any(row[k] is None for k in short)},
        "sql": {n for n, a, b in alive if a is not None and a == b},
        "groups": {n for n, _, b in alive if sums[b] and sum(sums[b]) < 0},
        "python": {n for n, a, _ in alive if a is not None and a % 2},
        "whole": set(),
    }
    return set().union(*(found[rule] for rule in rules)), len(held)


def counted(root: Path, rows: list[Row], rules: list[str]) -> Receipt:
    project = SmallProject(root).table("orders", COLUMNS, rows)
    (root / "checks.py").write_text(CHECKS)
    listed = [{**WARN, **RULES[name], "name": name} for name in rules]
    return project.define(rules=listed, target={"table": "out", "mode": "overwrite", "allow_empty": True}).run()


VALUES = st.one_of(st.none(), st.integers(-2, 3))
TABLES = st.lists(st.tuples(st.integers(0, 9), VALUES, VALUES), max_size=8)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=TABLES, rules=st.lists(st.sampled_from(sorted(RULES)), unique=True, max_size=5))
def test_a_row_that_breaks_any_rules_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], rules: list[str]
) -> None:
    receipt = counted(tmp_path_factory.mktemp("p"), rows, rules)
    wanted, held = breaking(rows, rules)
    quality = receipt.quality
    assert quality is not None
    assert quality["failed_records"] == len(wanted)
    assert quality["passed_records"] + quality["failed_records"] == quality["total_records"] == len(rows)
    assert receipt.rows.quarantined == held


ROWS: list[Row] = [(1, 1, 1), (2, 1, 1), (3, -1, None), (4, None, None), (5, 2, 1), (6, 4, 9)]


def test_every_kind_of_rule_at_once(tmp_path: Path) -> None:
    receipt = counted(tmp_path, ROWS, sorted(RULES))
    assert receipt.quality is not None
    assert receipt.quality["failed_records"] == len(breaking(ROWS, sorted(RULES))[0]) == 5
    filled = next(check for check in receipt.checks if check.rule == "filled")
    assert filled.failed_rows == 2, "the fourth row lacks both, and counts once"


def test_a_row_that_a_later_step_drops_breaks_nothing(tmp_path: Path) -> None:
    project = SmallProject(tmp_path).table("orders", COLUMNS, ROWS)
    rules = [{"type": "not_null", "columns": ["a"], "stage": "extract", **WARN}]
    project.define(rules=rules, steps=[{"type": "filter", "condition": "id <> 4"}])
    quality = project.run().quality
    assert quality is not None
    assert (quality["total_records"], quality["failed_records"], quality["passed_records"]) == (5, 0, 5)


def test_rows_that_are_only_checked_are_counted_alike(tmp_path: Path) -> None:
    """Plain Parquet is asked rule by rule, and its rows do not come by."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    SmallProject(tmp_path).define()
    (tmp_path / "checks.py").write_text(CHECKS)
    table = pa.table({name: [row[place] for row in ROWS] for place, name in enumerate(COLUMNS)})
    pq.write_table(table, tmp_path / "rows.parquet")
    for rules in (["single", "held", "unique", "filled"], ["unique", "sql"], ["python", "filled"], ["filled"]):
        listed = [{**WARN, **RULES[name], "name": name} for name in rules]
        with Workspace.load(tmp_path) as workspace:
            result = handle(ValidateData(dataset="rows.parquet", rules=listed), workspace).unwrap()
        quality = result.quality
        assert quality is not None
        assert quality["failed_records"] == len(breaking(ROWS, rules)[0]), rules
