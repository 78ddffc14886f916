"""``ExtractData``: limits, defaults, modes, filters and codes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from headgate.commands.handle import handle
from headgate.commands.models import ExtractData, RunPipeline
from headgate.core.errors import Code
from headgate.core.results import Result
from headgate.core.secrets import remember
from headgate.execute.workspace import Workspace
from headgate.io import formats
from headgate.observe.logs import RunLog
from headgate.queries.state import watermarks
from headgate.targets import local
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


# ------------------------------------------------------------------------------------------------ files and logs


def files_of(workspace: Workspace) -> dict[str, Path]:
    """The published files of the folder inbox below the source's name, by run and number."""
    folder = workspace.project.root / "inbox"
    published = local.read_manifest(folder)["shop/sales"].files
    assert {path.parents[1] for path in published} == {folder / "shop" / "sales"}
    return {f"{path.parent.name}/{path.name}": path for path in published}


def in_folder(workspace: Workspace) -> list[dict[str, Any]]:
    store = local.open_store("inbox", local.Connection(path="inbox"), workspace.project.root)
    return sorted(read_all(store.reader("shop/sales")).to_pylist(), key=lambda row: int(row["id"]))


@pytest.mark.parametrize(("output_format", "codecs"), [(name, formats.named(name).CODECS) for name in formats.names()])
def test_every_format_and_compression_gives_the_rows_back_with_their_types(
    sales: Workspace, output_format: str, codecs: dict[str, str]
) -> None:
    extract(sales, extract_mode="full").unwrap()
    with Workspace.load(sales.project.root) as fresh:
        wanted = read_all(fresh.store(fresh.lake()).reader("sales")).sort_by("id")
    for codec in (None, *codecs):
        receipt = extract(
            sales, extract_mode="full", output_connection="inbox", output_format=output_format, compression=codec
        ).unwrap()
        assert receipt.rows.extracted == 3
        store = local.open_store("inbox", local.Connection(path="inbox"), sales.project.root)
        assert read_all(store.reader("shop/sales")).sort_by("id") == wanted
        (path,) = files_of(sales).values()
        more = codecs["none"] if codec is None else codecs[codec]
        assert path.name == f"batch_00001{formats.named(output_format).ENDING}{more}"


def test_compression_by_name_is_what_is_in_the_file_and_none_is_uncompressed(sales: Workspace) -> None:
    for options, codec in (({}, "SNAPPY"), ({"compression": None}, "UNCOMPRESSED"), ({"compression": "gzip"}, "GZIP")):
        extract(sales, extract_mode="full", output_connection="inbox", **options).unwrap()
        (path,) = files_of(sales).values()
        assert pq.read_metadata(path).row_group(0).column(0).compression == codec


def test_a_batch_is_a_numbered_file_and_a_run_has_a_folder_of_its_own(sales: Workspace) -> None:
    execute(sales, rows=[(n, "r", f"2024-01-04 00:00:{n:02}", n) for n in range(4, 26)])
    first = extract(sales, batch_size=10, output_connection="inbox").unwrap()
    execute(sales, rows=[(99, "late", "2024-05-01 00:00:00", 1)])
    second = extract(sales, batch_size=10, output_connection="inbox").unwrap()
    numbers = [name.rsplit("/", 1)[1] for name in files_of(sales)]
    assert numbers == ["batch_00001.parquet", "batch_00002.parquet", "batch_00003.parquet", "batch_00001.parquet"]
    assert [pq.read_metadata(path).num_rows for path in files_of(sales).values()] == [10, 10, 5, 1]
    folders = dict.fromkeys(name.rsplit("/", 1)[0] for name in files_of(sales))
    assert [run in folder for folder, run in zip(folders, (first.run_id, second.run_id), strict=True)] == [True, True]
    assert [row["id"] for row in in_folder(sales)] == [*range(1, 26), 99]


def test_a_cap_counts_the_rows_that_are_stored_in_files(sales: Workspace) -> None:
    execute(sales, rows=[(n, "r", f"2024-01-04 00:00:{n:02}", n) for n in range(4, 26)])
    assert extract(sales, max_records=15, batch_size=10, output_connection="inbox").unwrap().rows.loaded == 15
    assert [pq.read_metadata(path).num_rows for path in files_of(sales).values()] == [10, 5]


@pytest.mark.parametrize(("name", "said"), [("outbox", "does not exist"), ("shop", "is no folder")])
def test_files_need_a_folder(sales: Workspace, name: str, said: str) -> None:
    refused = extract(sales, output_connection=name)
    assert refused.error_code is Code.TARGET_CONNECTION_NOT_FOUND
    assert said in str(refused.error)


def test_two_runs_of_one_second_have_ids_of_their_own(sales: Workspace) -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    with Workspace.load(sales.project.root, clock=lambda: moment) as still:
        receipts = [extract(still, extract_mode="full").unwrap() for _ in range(2)]
    assert {receipt.started_at for receipt in receipts} == {moment}
    assert len({receipt.run_id for receipt in receipts}) == 2


@contextmanager
def logged(workspace: Workspace) -> Iterator[Workspace]:
    with Workspace.load(workspace.project.root, listeners=(RunLog(workspace.state / "logs"),)) as opened:
        yield opened


def log_of(workspace: Workspace, run_id: str) -> list[dict[str, Any]]:
    text = (workspace.project.root / ".headgate" / "logs" / f"{run_id}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_every_batch_is_a_line_of_the_log_with_its_rows_and_all_so_far(sales: Workspace) -> None:
    execute(sales, rows=[(n, "r", "2024-01-04 00:00:00", n) for n in range(4, 250_000)])
    with logged(sales) as workspace:
        receipt = extract(workspace, extract_mode="full").unwrap()
    lines = [line for line in log_of(sales, receipt.run_id) if line["event"] == "progress.now"]
    assert len(lines) > 1
    assert {line["run_id"] for line in lines} == {receipt.run_id}
    details = [line["detail"] for line in lines]
    assert [one["batch"] for one in details] == list(range(1, len(lines) + 1))
    assert [one["rows"] for one in details] == list(accumulate(one["records"] for one in details))
    assert details[-1]["rows"] == receipt.rows.extracted == 249_999


def test_the_query_is_in_the_log_cut_and_without_secrets(sales: Workspace) -> None:
    remember("hunter22-is-secret")
    long = " OR ".join(f"region = 'hunter22-is-secret-{n}'" for n in range(40))
    with logged(sales) as workspace:
        receipt = extract(workspace, extract_mode="full", where_clause=f"id > 0 AND ({long})").unwrap()
        short = extract(workspace, extract_mode="full", target_table="short").unwrap()
    (query,) = (line["detail"]["query"] for line in log_of(sales, receipt.run_id) if "query" in line.get("detail", {}))
    assert len(query) == 203
    assert query.startswith("SELECT")
    assert query.endswith("...")
    assert "***" in query
    assert "hunter" not in query
    (query,) = (line["detail"]["query"] for line in log_of(sales, short.run_id) if "query" in line.get("detail", {}))
    assert query.endswith('FROM "sales"')
