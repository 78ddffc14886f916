"""``ExtractData`` into files of a folder, and what the log of a run says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.commands.sales import execute, extract

from headgate.core.errors import Code
from headgate.core.secrets import remember
from headgate.execute.workspace import Workspace
from headgate.io import formats
from headgate.observe.logs import RunLog
from headgate.targets import local
from headgate.testing.rows import read_all


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
