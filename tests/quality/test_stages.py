"""Rules at the gates of extraction, of steps and of the load in one run: which rows each of them looks at."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import whole_runs
from tests.plan.projects import SmallProject, with_orders
from tests.quality.test_outcomes import Rule, judgements, rules
from tests.tables import TABLES, Row, arrow


@st.composite
def at_gates(draw: st.DrawFn) -> Rule:
    """A rule at one of the gates; the table as it will be holds no rows back."""
    rule, stage = draw(rules()), draw(st.sampled_from(["extract", "transform", "load"]))
    options = {**rule.options, "stage": stage}
    if stage == "load" and rule.on_fail == "quarantine":
        options["on_fail"] = "warn"
    return Rule(options, rule.broken_by)


def arrived(root: Path, rows: Sequence[Row]) -> dict[str, Any]:
    (root / "inbox").mkdir(exist_ok=True)
    pq.write_table(arrow(rows), root / "inbox" / "rows.parquet")
    return {"connection": "inbox", "path": "rows.parquet"}


@whole_runs
@for_all(
    TABLES,
    TABLES,
    st.lists(at_gates(), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from(["append", "overwrite"]),
)
def test_each_gate_judges_what_the_one_before_has_let_through(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[Row],
    rows: list[Row],
    chosen: list[Rule],
    filtered: bool,
    mode: str,
) -> None:
    target = {"connection": "inbox", "table": "out", "mode": mode, "allow_empty": True}
    steps = [{"type": "filter", "condition": "i IS NULL OR i <> 1"}] if filtered else []
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder:
        project = SmallProject(Path(folder))
        project.define(source=arrived(project.root, before), target=target).run()
        listed = [{**rule.options, "name": f"r{number}"} for number, rule in enumerate(chosen)]
        project.define(source=arrived(project.root, rows), rules=listed, target=target, steps=steps)
        result = project.attempt()
    receipt = result.value
    assert receipt is not None, result.error

    def gate(stage: str, at: list[Row]) -> tuple[dict[int, tuple[int, int]], list[Row]]:
        """What the rules of a stage find, by their number, and what goes on."""
        numbers = [number for number, rule in enumerate(chosen) if rule.options["stage"] == stage]
        wanted = judgements(at, [chosen[number] for number in numbers])
        found = {number: (len(rows), seen) for number, (rows, seen) in zip(numbers, wanted.failed, strict=True)}
        return found, [row for number, row in enumerate(at) if number not in wanted.held]

    first, read = gate("extract", rows)
    kept = [row for row in read if not filtered or row[0] != 1]
    second, good = gate("transform", kept)
    third, _ = gate("load", [*(before if mode == "append" else []), *good])
    wanted = [(first | second | third)[number] for number in range(len(chosen))]
    assert [(check.failed_rows, check.judged) for check in receipt.checks] == wanted
    assert [check.stage for check in receipt.checks] == [rule.options["stage"] for rule in chosen]
    if not result.is_failure:
        assert receipt.rows.quarantined == len(rows) - len(read) + len(kept) - len(good)
        assert (receipt.rows.loaded, receipt.rows.imbalance) == (len(good), 0)


def test_a_key_that_only_a_row_held_back_repeats_is_unique(tmp_path: Path) -> None:
    project = with_orders(tmp_path)
    project.table("orders", {"id": "INTEGER", "total": "INTEGER"}, [(1, -5), (1, 5), (2, 3), (3, 3), (3, 4)])
    held = {"on_fail": "quarantine"}
    for stage in ("extract", "transform"):
        rules: list[dict[str, Any]] = [
            {"type": "unique", "columns": ["id"], **held, "stage": stage},
            {"type": "range", "column": "total", "min": 0, **held, "stage": stage},
        ]
        target = {"table": f"out_{stage}"}
        receipt = project.define(rules=rules, target=target, steps=[{"type": "clean", "trim": True}]).run()
        assert [(check.failed_rows, check.judged) for check in receipt.checks] == [(2, 4), (1, 5)]
        assert project.out(f"SELECT id, total FROM out_{stage}") == [(1, 5), (2, 3)]


@pytest.mark.parametrize("steps", [[], [{"type": "clean", "trim": True}]], ids=["no step", "a step"])
def test_a_gate_lets_through_what_the_next_one_sees_with_and_without_steps(tmp_path: Path, steps: list[Any]) -> None:
    project = with_orders(tmp_path)
    project.table("orders", {"id": "INTEGER", "total": "INTEGER"}, [(1, None), (2, -1), (None, -2), (4, 4)])
    rules: list[dict[str, Any]] = [
        {"type": "row_count", "min": 4, "stage": "extract"},
        {"type": "sql", "query": "SELECT * FROM input WHERE total < 0", "stage": "extract", "severity": "warning"},
        {"type": "not_null", "columns": ["id"], "stage": "extract", "on_fail": "quarantine"},
        {"type": "range", "column": "total", "min": 0, "on_fail": "quarantine"},
        {"type": "not_null", "columns": ["total"], "severity": "warning"},
    ]
    receipt = project.define(rules=rules[1:], steps=steps).run()
    assert [(check.failed_rows, check.judged) for check in receipt.checks] == [(1, 3), (1, 4), (1, 3), (1, 3)]
    receipt = project.define(rules=[rules[0], *rules[3:]], steps=steps).run()
    assert [(check.failed_rows, check.judged) for check in receipt.checks] == [(0, 4), (2, 4), (1, 4)]
