"""``ExtractData``: limits, defaults, modes, filters and codes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from headgate.commands.handle import handle
from headgate.commands.models import ExtractData
from headgate.core.errors import Code
from headgate.core.results import Result
from headgate.execute.workspace import Workspace
from headgate.testing.rows import read_all, values

SALES = (
    (1, "north", "2024-01-01 00:00:00", 10),
    (2, "south", "2024-01-02 00:00:00", 20),
    (3, "west'; DROP TABLE sales; --", "2024-01-03 00:00:00", 30),
)


def execute(workspace: Workspace, *statements: str, rows: Iterable[tuple[Any, ...]] = ()) -> None:
    with closing(sqlite3.connect(workspace.project.root / "shop.db")) as shop, shop:
        for statement in statements:
            shop.execute(statement)
        shop.executemany("INSERT OR REPLACE INTO sales (id, region, updated_at, amount) VALUES (?, ?, ?, ?)", rows)


@pytest.fixture
def sales(workspace: Workspace) -> Workspace:
    execute(
        workspace,
        "CREATE TABLE sales (id INTEGER PRIMARY KEY, region TEXT, updated_at TIMESTAMP, amount INTEGER,"
        " created_at TIMESTAMP DEFAULT '2023-05-05 00:00:00')",
        rows=SALES,
    )
    return workspace


def extract(workspace: Workspace, **options: Any) -> Result[Any]:
    return handle(ExtractData(**{"source_name": "shop", "table_name": "sales", **options}), workspace)


def ids(workspace: Workspace, table: str = "sales") -> list[int]:
    with Workspace.load(workspace.project.root) as fresh:
        return values(read_all(fresh.store(fresh.lake()).reader(table)), "id")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source_name": ""}, "source_name"),
        ({"table_name": ""}, "table_name"),
        ({"extract_mode": "some"}, "'full', 'incremental', 'delta' or 'snapshot'"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"batch_size": 100_001}, "less than or equal to 100000"),
        ({"max_records": 0}, "greater than or equal to 1"),
        ({"last_updated_column": ""}, "last_updated_column required for incremental extracts"),
        ({"start_date": date(2024, 1, 1), "end_date": date(2024, 1, 1)}, "strictly before"),
        ({"partition_column": "region"}, "belong together"),
        ({"partition_values": ("a",)}, "belong together"),
    ],
)
def test_what_it_cannot_be_asked_is_said_when_it_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ExtractData(**{"source_name": "shop", "table_name": "sales", **options})


def test_its_defaults_are_as_documented() -> None:
    command = ExtractData(source_name="shop", table_name="sales")
    assert (command.extract_mode, command.last_updated_column, command.batch_size, command.max_records) == (
        "incremental",
        "updated_at",
        10_000,
        None,
    )
    assert command.validate_schema
    whole = ExtractData(source_name="a", table_name="b", extract_mode="full", last_updated_column="")
    assert whole.extract_mode == "full"


def test_incremental_takes_what_changed_and_full_takes_everything(sales: Workspace) -> None:
    assert extract(sales).unwrap().rows.extracted == 3
    execute(sales, rows=[(2, "south", "2024-02-01 00:00:00", 21), (4, "east", "2024-02-02 00:00:00", 40)])
    receipt = extract(sales).unwrap()
    assert receipt.rows.extracted == 2
    assert receipt.watermark.after.startswith("2024-02-02")
    assert ids(sales) == [1, 2, 2, 3, 4]
    assert extract(sales, extract_mode="full", target_table="whole", batch_size=1).unwrap().rows.extracted == 4
    assert ids(sales, "whole") == [1, 2, 3, 4]


def test_a_given_watermark_wins_over_the_stored_one(sales: Workspace) -> None:
    extract(sales).unwrap()
    assert extract(sales, watermark_value="2024-01-01 00:00:00").unwrap().rows.extracted == 2


def test_a_window_of_dates_has_its_start_and_not_its_end(sales: Workspace) -> None:
    window = {"start_date": date(2024, 1, 2), "end_date": date(2024, 1, 3), "extract_mode": "full"}
    extract(sales, **window).unwrap()
    assert ids(sales) == [2]
    created = {"start_date": date(2023, 1, 1), "last_updated_column": None, "extract_mode": "full"}
    extract(sales, **created, target_table="created").unwrap()
    assert ids(sales, "created") == [1, 2, 3]


def test_a_condition_with_or_does_not_widen_the_others_and_values_are_only_values(sales: Workspace) -> None:
    extract(
        sales,
        extract_mode="full",
        where_clause="id = 1 OR id = 3",
        partition_column="region",
        partition_values=("west'; DROP TABLE sales; --", "south"),
    ).unwrap()
    assert ids(sales) == [3]


def test_a_cap_is_kept_exactly_and_the_rest_comes_next(sales: Workspace) -> None:
    assert extract(sales, max_records=2, batch_size=1).unwrap().rows.extracted == 2
    assert extract(sales, max_records=2).unwrap().rows.extracted == 1
    assert ids(sales) == [1, 2, 3]


def test_snapshots_stand_side_by_side_and_a_day_is_taken_once(sales: Workspace) -> None:
    assert extract(sales, extract_mode="snapshot").unwrap().rows.extracted == 3
    again = extract(sales, extract_mode="snapshot").unwrap()
    assert (again.status, again.message) == ("skipped", "nothing new")
    assert ids(sales) == [1, 2, 3]


def test_a_comparison_brings_the_operation_of_each_change(sales: Workspace) -> None:
    extract(sales, extract_mode="delta", key_columns=("id",)).unwrap()
    execute(sales, "DELETE FROM sales WHERE id = 1", rows=[(2, "south", "2024-01-02 00:00:00", 99), (4, "n", None, 1)])
    extract(sales, extract_mode="delta", key_columns=("id",)).unwrap()
    with Workspace.load(sales.project.root) as fresh:
        rows = read_all(fresh.store(fresh.lake()).reader("sales")).select(["_change", "id"]).to_pylist()
    told = sorted((row["id"], row["_change"]) for row in rows)
    assert told == [(1, "delete"), (1, "insert"), (2, "insert"), (2, "update"), (3, "insert"), (4, "insert")]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"source_name": "shopp"}, Code.SOURCE_NOT_FOUND),
        ({"table_name": "saless"}, Code.TABLE_NOT_FOUND),
        ({"partition_column": "area", "partition_values": ("a",)}, Code.SCHEMA_MISMATCH),
        ({"last_updated_column": "changed"}, Code.PLAN_INVALID),
        ({"quality_rules": ({"type": "range", "column": "amount", "max": 20},)}, Code.QUALITY_CHECK_FAILED),
    ],
)
def test_failures_have_their_codes_and_move_no_watermark(sales: Workspace, options: dict[str, Any], code: Code) -> None:
    assert extract(sales, **options).error_code is code
    assert extract(sales).unwrap().rows.extracted == 3


def test_a_column_that_was_lost_stops_the_run_and_one_that_came_does_not(sales: Workspace) -> None:
    extract(sales).unwrap()
    execute(sales, "ALTER TABLE sales ADD COLUMN note TEXT", rows=[(5, "n", "2024-03-01 00:00:00", 1)])
    assert extract(sales).unwrap().rows.extracted == 1
    with closing(sqlite3.connect(sales.project.root / "shop.db")) as shop, shop:
        shop.execute("ALTER TABLE sales DROP COLUMN amount")
    assert extract(sales).error_code is Code.SCHEMA_MISMATCH
    assert "amount" in str(extract(sales).error)
    assert extract(sales, validate_schema=False, extract_mode="full").error_code is None


def test_a_store_that_cannot_be_written_is_told_and_moves_no_watermark(sales: Workspace, tmp_path: Path) -> None:
    (tmp_path / ".headgate").mkdir(exist_ok=True)
    (tmp_path / ".headgate" / "lake").write_text("in the way")
    assert extract(sales).error_code is Code.STORAGE_FAILED
    (tmp_path / ".headgate" / "lake").unlink()
    assert extract(sales).unwrap().rows.extracted == 3
