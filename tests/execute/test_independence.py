"""Results depend on neither batches nor threads: whatever looks at many rows looks at all of them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.plan.projects import FILES, TABLE, SmallProject

STEPS: list[dict[str, Any]] = [
    {"type": "clean", "trim": ["city"], "fill": {"total": {"strategy": "median", "by": "city"}}},
    {"type": "deduplicate", "keys": ["id", "city"], "order_by": "total"},
    {
        "type": "window",
        "partition_by": "city",
        "order_by": "total",
        "columns": {"n": "ROW_NUMBER()", "run": "SUM(total)"},
    },
    {"type": "categorize", "column": "total", "into": "high", "categories": [{"name": "yes", "min_quantile": 0.95}]},
    {"type": "normalize", "scale": {"run": {"method": "min_max", "by": "city"}}},
    {"type": "sample", "n": 200},
    {"type": "join", "table": "towns", "connection": "shop", "on": "city", "how": "outer", "columns": ["land"]},
]
AGGREGATE: dict[str, Any] = {
    "type": "aggregate",
    "group_by": ["city", "high"],
    "aggregations": {"total": ["sum", "median", "nunique", "p95", "first"], "n": ["max"]},
    "order_by": "id",
}
PIVOT: dict[str, Any] = {
    "type": "pivot", "keys": ["city"], "column": "high", "values": ["yes", "Other"], "from": "total_sum",
    "function": "sum",
}  # fmt: skip
CHOICES = [(100_000, 1), (1, 2), (7, 4)]
"""Rows a batch, and threads."""


def rows(seed: int) -> list[tuple[Any, ...]]:
    chance = random.Random(seed)  # noqa: S311 - a table for a test
    cities = [None, "Bonn", " Bonn", "Ulm ", "Ulm", "Jena"]
    return [(chance.randrange(150), chance.choice(cities), chance.choice([None, *range(40)]), "x") for _ in range(400)]


def outcome(project: SmallProject, batch: int, threads: int) -> tuple[Any, ...]:
    project.defaults = {"batch_size": batch, "threads": threads}
    receipt = project.change().run()
    return project.out(), receipt.rows


def published(root: Path, source: dict[str, Any], seed: int, steps: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found = []
    for number, (batch, threads) in enumerate(CHOICES):
        folder = root / str(number)
        folder.mkdir()
        project = SmallProject(folder)
        project.table("towns", {"city": "TEXT", "land": "TEXT"}, [("Bonn", "NW"), ("Ulm", "BW"), ("Kiel", "SH")])
        project.table("orders", {"id": "INTEGER", "city": "TEXT", "total": "INTEGER", "note": "TEXT"}, rows(seed))
        for part in range(4):
            lines = ["id,city,total,note"]
            lines += [",".join("" if value is None else str(value) for value in row) for row in rows(seed)[part::4]]
            project.file(f"{part}.csv", "\n".join(lines) + "\n")
        project.define(source=source, steps=steps)
        found.append(outcome(project, batch, threads))
    return found


@pytest.mark.parametrize("source", [TABLE, FILES], ids=["table", "files"])
@pytest.mark.parametrize("steps", [STEPS, [*STEPS, AGGREGATE, PIVOT]], ids=["rows", "groups"])
def test_neither_batches_nor_threads_change_what_is_published(
    tmp_path: Path, source: dict[str, Any], steps: list[dict[str, Any]]
) -> None:
    first, *others = published(tmp_path, source, 1, steps)
    assert first[0], "rows are published"
    assert all(other == first for other in others)


RULES: list[dict[str, Any]] = [
    {"type": "not_null", "columns": ["city"]},
    {"type": "range", "column": "total", "min": 3},
    {"type": "accepted_values", "column": "city", "values": ["Bonn", "Ulm"]},
    {"type": "regex", "column": "city", "pattern": "[A-Z].*"},
    {"type": "format", "column": "note", "format": "email"},
    {"type": "expression", "condition": "id % 7 <> 3"},
    {"type": "schema", "properties": {"total": {"maximum": 30}}},
    {"type": "referential", "columns": ["city"], "connection": "shop", "table": "towns"},
    {"type": "unique", "columns": ["id"], "on_fail": "quarantine"},
    {"type": "unique", "columns": ["id", "city"], "name": "pairs"},
    {"type": "completeness", "columns": ["city", "total"]},
    {"type": "aggregate", "condition": "SUM(total) < 5"},
    {"type": "aggregate", "condition": "MAX(id) < 100", "group_by": ["city"], "name": "groups"},
    {"type": "row_count", "max": 3},
    {"type": "drift", "column": "total", "expected": {"edges": [10], "counts": [1, 1]}},
    {"type": "drift", "column": "city", "name": "remembered"},
    {"type": "sql", "query": "SELECT * FROM input WHERE total > 35"},
    {"type": "compare", "connection": "shop", "table": "orders"},
    {"type": "python", "function": "mine:small", "columns": ["id"]},
]


def test_neither_batches_nor_threads_change_what_rules_find(tmp_path: Path) -> None:
    found = []
    for number, (batch, threads) in enumerate(CHOICES):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "mine.py").write_text("def small(rows):\n    return [i < 140 for i in rows['id'].to_pylist()]\n")
        project = SmallProject(folder, defaults={"batch_size": batch, "threads": threads})
        project.table("towns", {"city": "TEXT"}, [("Bonn",), ("Ulm",)])
        project.table("orders", {"id": "INTEGER", "city": "TEXT", "total": "INTEGER", "note": "TEXT"}, rows(2))
        receipt = project.define(rules=[{"severity": "warning", **rule} for rule in RULES]).run()
        checks = [
            (one.rule, one.failed_rows, one.judged, one.observed, one.score, one.remembered) for one in receipt.checks
        ]
        quality = {name: value for name, value in (receipt.quality or {}).items() if name != "timestamp"}
        found.append((checks, quality, receipt.rows))
    first, *others = found
    assert sum(failed > 0 for _, failed, *_ in first[0]) > 12, "most rules find something"
    assert all(other == first for other in others)
