"""``LoadData``: its limits and defaults, its modes, and one code for each way to fail."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from headgate.commands.handle import handle
from headgate.commands.models import LoadData, TransformData
from headgate.core.errors import Code
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.workspace import Workspace

Rows = list[tuple[Any, ...]]
LINES = "id,total,at\n1,10,2024-01-01\n2,20,2024-01-01\n2,25,2024-01-02\n3,30,2024-01-01\n"


@pytest.fixture
def root(workspace: Workspace) -> Path:
    (workspace.project.root / "inbox" / "lines.csv").write_text(LINES)
    return workspace.project.root


def command(**options: Any) -> LoadData:
    return LoadData(
        **{"source_data": "inbox/lines.csv", "target_connection": "shop", "target_table": "loaded", **options}
    )


def load(workspace: Workspace, **options: Any) -> Result[Any]:
    return handle(command(**options), workspace)


def loaded(root: Path) -> Rows:
    with closing(sqlite3.connect(root / "shop.db")) as shop:
        if not shop.execute("SELECT 1 FROM sqlite_schema WHERE name = 'loaded'").fetchall():
            return []
        return sorted(shop.execute("SELECT id, total FROM loaded").fetchall())


ALL: Rows = [(1, 10), (2, 20), (2, 25), (3, 30)]
LAST: Rows = [(1, 10), (2, 25), (3, 30)]
ONCE = {"deduplicate_data": True, "deduplication_keys": ("id",), "deduplication_order": "at"}


def test_the_defaults_are_those_that_are_written_down() -> None:
    made = command()
    assert (made.load_mode, made.batch_size) == ("append", 5000)
    assert (made.parallel_loads, made.max_parallel_workers) == (False, 2)
    assert made.create_table_if_not_exists
    assert not made.truncate_before_load
    assert not made.deduplicate_data
    assert made.deduplication_keep == "last"


@pytest.mark.parametrize(
    "options",
    [
        {"source_data": ""},
        {"target_connection": ""},
        {"target_table": ""},
        {"load_mode": "sideways"},
        {"load_mode": "upsert"},
        {"load_mode": "merge"},
        {"batch_size": 0},
        {"batch_size": 1_000_001},
        {"max_parallel_workers": 0},
        {"deduplicate_data": True, "deduplication_order": "at"},
        {"deduplicate_data": True, "deduplication_keys": ("id",)},
        {"expected_record_count": -1},
        {"post_load_rules": ({"type": "not_null", "column": "id"},)},
        {"speed": "high"},
    ],
)
def test_a_load_that_cannot_be_meant_is_refused_when_it_is_made(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        command(**options)


def test_modes_leave_the_table_that_they_promise(workspace: Workspace, root: Path) -> None:
    keys = {"merge_keys": ("id",), **ONCE}
    load(workspace).unwrap()
    assert loaded(root) == ALL
    load(workspace, load_mode="overwrite", **ONCE).unwrap()
    assert loaded(root) == LAST
    receipt = load(workspace, load_mode="upsert", **keys).unwrap()
    assert (receipt.rows.deduplicated, receipt.rows.loaded) == (1, 3)
    receipt = load(workspace, load_mode="merge", **keys).unwrap()
    (commit,) = receipt.targets
    assert (commit.inserted, commit.updated, commit.unchanged) == (0, 0, 3)
    load(workspace).unwrap()
    assert len(loaded(root)) == 7
    load(workspace, truncate_before_load=True).unwrap()
    assert loaded(root) == ALL
    load(workspace, load_mode="overwrite", **ONCE, deduplication_keep="first").unwrap()
    assert loaded(root) == [(1, 10), (2, 20), (3, 30)]


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"parallel_loads": True, "max_parallel_workers": 4}])
def test_batches_and_workers_change_nothing(workspace: Workspace, root: Path, options: dict[str, Any]) -> None:
    load(workspace, **options).unwrap()
    assert loaded(root) == ALL


def test_the_hint_about_bad_rows_is_one_that_a_command_can_follow(workspace: Workspace, root: Path) -> None:
    (root / "inbox" / "lines.csv").write_text(LINES + "4,40\n")
    failed = load(workspace)
    assert failed.error_code is Code.SOURCE_LOAD_FAILED
    assert failed.failure is not None
    assert "TransformData" in failed.failure.hint
    step = {"type": "filter", "condition": "TRUE"}
    made = TransformData(
        input_source="inbox/lines.csv", output_destination="good", transformation_rules=(step,), error_handling="skip",
        max_error_percentage=50,
    )  # fmt: skip
    assert handle(made, workspace).unwrap().rows.quarantined == 1
    load(workspace, source_data="good").unwrap()
    assert loaded(root) == ALL


def test_no_rows_are_a_success(workspace: Workspace, root: Path) -> None:
    load(workspace).unwrap()
    (root / "inbox" / "lines.csv").write_text("id,total,at\n")
    receipt = load(workspace, expected_record_count=0).unwrap()
    assert receipt.rows.loaded == 0
    assert loaded(root) == ALL


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"source_data": "inbox/none.csv"}, Code.SOURCE_LOAD_FAILED),
        ({"source_data": "nonsense"}, Code.SOURCE_LOAD_FAILED),
        ({"target_connection": "shopp"}, Code.TARGET_CONNECTION_NOT_FOUND),
        ({"expected_record_count": 5}, Code.RECORD_COUNT_MISMATCH),
        ({"expected_record_count": 0}, Code.RECORD_COUNT_MISMATCH),
        ({"expected_record_count": 4, **ONCE}, Code.RECORD_COUNT_MISMATCH),
        ({"pre_load_rules": ({"type": "range", "column": "total", "max": 15},)}, Code.PRE_LOAD_VALIDATION_FAILED),
        ({"post_load_rules": ({"type": "unique", "columns": ["id"]},)}, Code.POST_LOAD_VALIDATION_FAILED),
        ({"target_table": "absent", "create_table_if_not_exists": False}, Code.TABLE_CREATION_FAILED),
        ({"load_mode": "upsert", "merge_keys": ("id",)}, Code.LOAD_EXECUTION_FAILED),
    ],
)
def test_each_failure_has_its_code_and_leaves_the_target_as_it_was(
    workspace: Workspace, root: Path, options: dict[str, Any], code: Code
) -> None:
    load(workspace, load_mode="overwrite", **ONCE).unwrap()
    result = load(workspace, **options)
    assert result.error_code is code, result.error
    assert loaded(root) == LAST


def test_rules_that_hold_let_the_load_pass(workspace: Workspace, root: Path) -> None:
    result = load(
        workspace,
        **ONCE,
        expected_record_count=3,
        pre_load_rules=({"type": "range", "column": "total", "min": 10},),
        post_load_rules=({"type": "unique", "columns": ["id"]},),
    )
    receipt = result.unwrap()
    assert isinstance(receipt, Receipt)
    assert [check.passed for check in receipt.checks] == [True, True, True]
    assert loaded(root) == LAST


def test_an_emptied_table_takes_no_key_twice_where_keys_are_to_be_merged(root: Path, workspace: Workspace) -> None:
    keyed = {"truncate_before_load": True, "load_mode": "upsert", "merge_keys": ("id",)}
    assert load(workspace, **keyed).error_code is Code.PRE_LOAD_VALIDATION_FAILED
    assert loaded(root) == []
    load(workspace, **keyed, **ONCE).unwrap()
    assert loaded(root) == LAST


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"deduplication_keys": ("id",)}, "do nothing unless deduplicate_data is on"),
        ({"pre_load_rules": ({"column": "id"},)}, "say their type"),
        ({"batch_size": 10**30}, "less than or equal to 1000000"),
        ({"batch_size": -1}, "greater than or equal to 1"),
        ({"max_parallel_workers": 0}, "greater than or equal to 1"),
        ({"expected_record_count": -1}, "greater than or equal to 0"),
    ],
)
def test_what_would_do_nothing_or_too_much_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        command(**options)
