"""Every row is accounted for, whatever the steps and rules, however the rows arrive."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.execute.model import LABELS, ROWS, TAGS, Case, Outcome, Row, cases
from tests.plan.projects import SmallProject

from headgate.core.runs import Receipt

FIELDS: list[tuple[str, pa.DataType]] = [
    ("id", pa.int64()),
    ("k", pa.string()),
    ("v", pa.string()),
    ("w", pa.int64()),
]
SCHEMA = pa.schema(FIELDS)
REASONS = ("expanded", "filtered", "unmatched", "quarantined", "deduplicated", "aggregated")


def build(root: Path, rows: Sequence[Row], files: int) -> SmallProject:
    """The rows in a table, and in ``files`` Parquet files."""
    project = SmallProject(root)
    columns = {"id": "INTEGER", "k": "TEXT", "v": "TEXT", "w": "INTEGER"}
    project.table("moves", columns, [tuple(row[name] for name in columns) for row in rows])
    project.table("labels", {"k": "TEXT", "label": "TEXT"}, LABELS)
    project.table("tags", {"k": "TEXT", "tag": "TEXT"}, TAGS)
    (root / "inbox").mkdir()
    for number in range(files):
        pq.write_table(pa.Table.from_pylist(rows[number::files], SCHEMA), root / "inbox" / f"{number}.parquet")
    return project


def check(project: SmallProject, receipt: Receipt, expected: Outcome, rows: Sequence[Row]) -> None:
    counts = receipt.rows
    assert counts.imbalance == 0
    assert counts.extracted == len(rows)
    assert counts.loaded == len(expected.rows)
    assert {name: getattr(counts, name) for name in REASONS} == {name: expected.counts[name] for name in REASONS}
    for before, after in zip(receipt.steps, receipt.steps[1:], strict=False):
        assert after.rows_in == before.rows_out
    for counted in receipt.steps:
        counted.check()
    assert {check.rule: check.failed_rows for check in receipt.checks} == expected.broken
    assert published(project, expected.rows) == sorted((tuple(row.items()) for row in expected.rows), key=repr)
    held = [row for entry in receipt.quarantine for row in project.held(entry)]
    assert sorted(_key(row) for row in held) == sorted(_key(row) for row in expected.held)


def _key(row: Row) -> str:
    return repr(sorted((name, value) for name, value in row.items() if name != "_reasons"))


def published(project: SmallProject, like: Sequence[Row]) -> list[Any]:
    """The target's rows as items, in the columns of ``like``."""
    if not like:
        return project.out("SELECT * FROM out")
    names = list(like[0])
    found = project.out(f"SELECT {', '.join(names)} FROM out")
    return sorted((tuple(zip(names, row, strict=True)) for row in found), key=repr)


@pytest.mark.parametrize(("source", "batch_size", "files"), [("table", 1, 1), ("files", 100_000, 1), ("files", 2, 3)])
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # each example is a whole run: shrinking would take minutes
    suppress_health_check=[HealthCheck.too_slow],
)
@given(case=cases(), rows=ROWS)
def test_published_held_and_dropped_rows_are_those_of_a_model(
    source: str, batch_size: int, files: int, case: Case, rows: list[Row]
) -> None:
    steps, rules = case.written()
    with tempfile.TemporaryDirectory() as folder:
        project = build(Path(folder), rows, files)
        project.defaults = {"batch_size": batch_size}
        reads = {"table": {"connection": "shop", "table": "moves"}}.get(source)
        project.define(
            source=reads or {"connection": "inbox", "path": "*.parquet"},
            steps=steps,
            rules=rules,
            error_handling={"on_row_error": "quarantine"},
        )
        check(project, project.run(), case.expected(rows), rows)


def test_rows_whose_list_has_gone_its_own_way_before_they_are_held_back_are_told(project: SmallProject) -> None:
    project.table("orders", {"id": "INTEGER", "city": "TEXT", "l": "TEXT"}, [(1, "Bonn", "[1]"), (2, None, "[2]")])
    step = {"type": "normalize", "explode": {"l": {"name": "lines", "keys": ["id"]}}}
    rule = {"type": "not_null", "columns": ["city"], "on_fail": "quarantine"}
    tables = [{"table": "out"}, {"table": "lines", "from": "lines"}]
    receipt = project.define(steps=[step], rules=[rule], targets=tables).run()
    (told,) = receipt.warnings
    assert told.startswith("1 row held back after their lists: rows of lines may stand there without theirs")
    assert project.out("SELECT id FROM lines") == [(1,), (2,)]


def test_rows_that_are_held_back_before_their_list_is_taken_keep_it(project: SmallProject) -> None:
    project.table("orders", {"id": "INTEGER", "city": "TEXT", "l": "TEXT"}, [(1, "Bonn", "[1]"), (2, None, "[2]")])
    step = {"type": "normalize", "explode": {"l": {"name": "lines", "keys": ["id"]}}}
    rule = {"type": "not_null", "columns": ["city"], "on_fail": "quarantine", "stage": "extract"}
    tables = [{"table": "out"}, {"table": "lines", "from": "lines"}]
    receipt = project.define(steps=[step], rules=[rule], targets=tables).run()
    assert receipt.warnings == ()
    assert project.out("SELECT id FROM lines") == [(1,)]


def test_a_list_that_no_target_and_no_rule_takes_is_told(project: SmallProject) -> None:
    project.table("orders", {"id": "INTEGER", "l": "TEXT"}, [(1, "[1, 2]")])
    step = {"type": "normalize", "explode": {"l": {"name": "lines", "keys": ["id"]}}}
    receipt = project.define(steps=[step]).run()
    (told,) = receipt.warnings
    assert told.startswith("normalize: the rows of lines go nowhere: no target takes them")
    assert (receipt.rows.loaded, receipt.rows.expanded) == (1, 0)


def test_rows_of_a_list_that_only_a_rule_looks_at_are_not_counted_as_loaded(project: SmallProject) -> None:
    project.table("orders", {"id": "INTEGER", "l": "TEXT"}, [(1, "[1, null, 3]")])
    step = {"type": "normalize", "explode": {"l": {"name": "lines", "keys": ["id"]}}}
    rule = {"type": "accepted_values", "column": "position", "values": [1, 2], "step": "lines", "on_fail": "quarantine"}
    receipt = project.define(steps=[step], rules=[rule]).run()
    assert receipt.warnings == ()
    assert (receipt.rows.loaded, receipt.rows.expanded, receipt.rows.quarantined) == (1, 1, 1)
