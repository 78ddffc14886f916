"""``ExtractData``: limits, defaults, modes, filters and codes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.commands.sales import execute, extract

from headgate.commands.handle import handle
from headgate.commands.models import ExtractData, RunPipeline
from headgate.core.errors import Code
from headgate.execute.workspace import Workspace
from headgate.queries.state import watermarks
from headgate.testing.rows import read_all, values


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
        ({"start_date": date(2024, 1, 1), "end_date": datetime(2024, 1, 1)}, "strictly before"),  # noqa: DTZ001 - naive
        ({"start_date": date(2024, 1, 2), "end_date": datetime(2024, 1, 1, 23, tzinfo=UTC)}, "strictly before"),
        ({"max_records": -5}, "greater than or equal to 1"),
        ({"max_records": 10**30}, "less than or equal to 9223372036854775807"),
        ({"watermark_value": 1, "extract_mode": "full"}, "other modes have none"),
        ({"where_clause": "1=1) OR (1=1"}, "closes a parenthesis"),
        ({"where_clause": "id = (1"}, "opens a parenthesis"),
        ({"where_clause": "1=1; DROP TABLE sales"}, "; ends a statement"),
        ({"where_clause": "region = 'a"}, "opens ' and does not close"),
        ({"where_clause": "id = 1 /* all"}, "opens /\\* and does not close"),
        ({"output_format": "xml", "output_connection": "inbox"}, "'parquet', 'json', 'csv' or 'avro'"),
        ({"output_format": "csv"}, "the lake keeps Parquet"),
        ({"compression": "gzip"}, "the lake keeps Parquet"),
        ({"output_format": "csv", "compression": "snappy", "output_connection": "inbox"}, "one of: none, gzip, zstd"),
        ({"output_format": "json", "compression": "lzo", "output_connection": "inbox"}, "one of: none, gzip, zstd"),
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
    assert (command.output_format, command.compression, command.codec) == ("parquet", "snappy", "snappy")
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


@pytest.mark.parametrize("given", [date(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC)])
def test_a_watermark_may_be_a_day_or_a_moment(sales: Workspace, given: Any) -> None:
    extract(sales, watermark_value=given).unwrap()
    assert ids(sales) == [3]


def test_rows_without_a_cursor_are_told_with_what_a_command_can_do(sales: Workspace) -> None:
    execute(sales, rows=[(4, "n", None, 1)])
    refused = extract(sales)
    assert (refused.error_code, "where_clause" in str(refused.error)) == (Code.EXTRACTION_FAILED, True)


def test_a_window_of_dates_has_its_start_and_not_its_end(sales: Workspace) -> None:
    window = {"start_date": date(2024, 1, 2), "end_date": date(2024, 1, 3), "extract_mode": "full"}
    extract(sales, **window).unwrap()
    assert ids(sales) == [2]
    created = {"start_date": date(2023, 1, 1), "last_updated_column": None, "extract_mode": "full"}
    extract(sales, **created, target_table="created").unwrap()
    assert ids(sales, "created") == [1, 2, 3]


@pytest.mark.parametrize(
    ("bounds", "found"),
    [
        ({"start_date": datetime(2024, 1, 2, tzinfo=UTC)}, [2, 3]),
        ({"start_date": datetime(2024, 1, 2, 2, tzinfo=timezone(timedelta(hours=2)))}, [2, 3]),
        ({"start_date": datetime(2024, 1, 2)}, [2, 3]),  # noqa: DTZ001 - naive
        ({"start_date": datetime(2024, 1, 2, 0, 0, 1)}, [3]),  # noqa: DTZ001 - naive
        ({"end_date": datetime(2024, 1, 3, tzinfo=UTC)}, [1, 2]),
    ],
)
def test_bounds_with_a_zone_are_moments(sales: Workspace, bounds: dict[str, Any], found: list[int]) -> None:
    extract(sales, extract_mode="full", **bounds).unwrap()
    assert ids(sales) == found


@pytest.mark.parametrize(
    ("values", "found"), [((None,), [9]), (("south", None), [2, 9]), (("south",), [2]), (tuple(range(3000)), [])]
)
def test_no_value_is_a_partition_too(sales: Workspace, values: tuple[Any, ...], found: list[int]) -> None:
    execute(sales, rows=[(9, None, "2024-01-01 00:00:00", 1)])
    extract(sales, extract_mode="full", partition_column="region", partition_values=values).unwrap()
    assert ids(sales) == found


def test_a_comment_at_the_end_of_a_condition_ends_nothing_else(sales: Workspace) -> None:
    window = {"start_date": date(2024, 1, 2), "extract_mode": "full"}
    extract(sales, **window, where_clause="id < 3 -- the old (ones; region's").unwrap()
    assert ids(sales) == [2]


def test_a_given_watermark_stays_in_a_run_that_fails(sales: Workspace) -> None:
    extract(sales).unwrap()
    execute(sales, rows=[(4, "n", "2024-02-01 00:00:00", 1)])
    broken = ({"type": "range", "column": "amount", "max": 0},)
    late = {"watermark_value": "2024-03-01 00:00:00"}
    assert extract(sales, **late).unwrap().status == "skipped"
    assert extract(sales, watermark_value="2024-01-31 00:00:00", quality_rules=broken).is_failure
    assert extract(sales, watermark_value="rubbish").error_code is Code.STATE_INVALID
    assert extract(sales).unwrap().rows.extracted == 1
    assert ids(sales) == [1, 2, 3, 4]


def test_every_target_table_has_a_watermark_of_its_own(sales: Workspace) -> None:
    extract(sales).unwrap()
    assert extract(sales, target_table="beside").unwrap().rows.extracted == 3
    assert ids(sales, "beside") == [1, 2, 3]


PIPELINES = """\
sales:
  source: {connection: shop, table: sales, mode: incremental, incremental: {column: updated_at, key: id}}
  target: {table: Sales, mode: append}
extract-shop-orders:
  source: {connection: shop, table: sales}
  target: {table: other, mode: overwrite}
"""


@pytest.fixture
def published(sales: Workspace) -> Iterator[Workspace]:
    """The lake has the sales that a pipeline of the project published; the source lost the first since."""
    (sales.project.root / "pipelines").mkdir()
    (sales.project.root / "pipelines" / "extract-shop-orders.yml").write_text(PIPELINES)
    with Workspace.load(sales.project.root) as opened:
        assert handle(RunPipeline(pipeline="sales"), opened).unwrap().rows.loaded == 3
        execute(opened, "DELETE FROM sales WHERE id = 1")
        yield opened


@pytest.mark.parametrize("mode", ["full", "incremental", "snapshot"])
def test_what_a_pipeline_published_is_not_replaced_and_its_watermark_stays(published: Workspace, mode: str) -> None:
    before = watermarks(published).found
    receipt = extract(published, extract_mode=mode).unwrap()
    assert [target.table for target in receipt.targets] == ["shop_sales"]
    assert ids(published, "shop_sales") == [2, 3]
    assert ids(published, "Sales") == [1, 2, 3]
    assert watermarks(published).found == before
    execute(published, rows=[(4, "east", "2024-01-04 00:00:00", 40)])
    assert handle(RunPipeline(pipeline="sales"), published).unwrap().rows.loaded == 1


def test_a_command_does_not_take_the_place_of_a_pipeline_of_its_name(published: Workspace) -> None:
    refused = extract(published, table_name="orders", extract_mode="full")
    assert refused.error_code is Code.USAGE
    assert "extract-shop-orders" in str(refused.error)


def test_a_table_for_which_no_name_is_left_wants_one(published: Workspace) -> None:
    file = published.project.root / "pipelines" / "more.yml"
    file.write_text("more: {source: {connection: shop, table: sales}, target: {table: shop_sales}}\n")
    with Workspace.load(published.project.root) as opened:
        refused = extract(opened, extract_mode="full")
        assert (refused.error_code, "target_table" in str(refused.error)) == (Code.USAGE, True)
        assert extract(opened, extract_mode="full", target_table="mine").unwrap().rows.extracted == 2


def test_a_filter_that_changed_is_told_with_what_a_command_can_do(sales: Workspace) -> None:
    extract(sales, where_clause="id < 3").unwrap()
    refused = extract(sales)
    assert refused.error_code is Code.STATE_INVALID
    assert refused.failure is not None
    assert "target_table" in refused.failure.hint
    assert extract(sales, watermark_value="2024-01-02 12:00:00").unwrap().rows.extracted == 1
    assert ids(sales) == [1, 2, 3]


def test_a_condition_with_or_does_not_widen_the_others_and_values_are_only_values(sales: Workspace) -> None:
    extract(
        sales,
        extract_mode="full",
        where_clause="id = 1 OR id = 3",
        partition_column="region",
        partition_values=("west'; DROP TABLE sales; --", "south"),
    ).unwrap()
    assert ids(sales) == [3]


def test_an_extract_that_a_cap_ends_says_so(sales: Workspace) -> None:
    assert extract(sales, max_records=2).unwrap().warnings == (
        "max_records: the first 2 rows were read, and there may be more",
    )
    assert extract(sales, max_records=2).unwrap().warnings == ()


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


def test_the_hint_about_bad_rows_is_one_that_a_command_can_follow(sales: Workspace) -> None:
    execute(sales, rows=[(4, "east", "2024-01-04 00:00:00", "many")])
    failed = extract(sales)
    assert failed.error_code is Code.ROW_ERROR
    assert failed.failure is not None
    assert "where_clause" in failed.failure.hint
    assert "error_handling" not in failed.failure.hint
    assert extract(sales, where_clause="typeof(amount) = 'integer'").unwrap().rows.extracted == 3


def test_a_store_that_cannot_be_written_is_told_and_moves_no_watermark(sales: Workspace, tmp_path: Path) -> None:
    (tmp_path / ".headgate").mkdir(exist_ok=True)
    (tmp_path / ".headgate" / "lake").write_text("in the way")
    assert extract(sales).error_code is Code.STORAGE_FAILED
    (tmp_path / ".headgate" / "lake").unlink()
    assert extract(sales).unwrap().rows.extracted == 3
