"""The Python face does what the command line does, as values and exceptions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import headgate as hg
from headgate.core.events import Event

PROJECT = """\
version: 1
project: shop
connections:
  books: {type: sqlite, path: books.db}
pipelines:
  orders:
    source: {path: "orders/*.csv", mode: incremental}
    transformations:
      - {type: python, name: priced, function: "steps:priced"}
    quality_rules:
      - {type: range, column: total, max: 100}
    target: {table: orders}
  tickets:
    source: {type: python, function: "steps:tickets", mode: incremental, incremental: {column: id, key: id}}
    target: {connection: books, table: tickets}
"""
STEPS = """\
from collections.abc import Iterator

import polars as pl

import headgate as hg


@hg.transform
def priced(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns((pl.col("quantity") * pl.col("price")).alias("total"))


@hg.source
def tickets(since: hg.Watermark) -> Iterator[dict]:
    for number in range((since or 0) + 1, 4):
        yield {"id": number, "subject": f"ticket {number}"}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "1.csv").write_text("id,quantity,price\n1,2,10\n2,1,5\n")
    (tmp_path / "headgate.yml").write_text(PROJECT)
    (tmp_path / "steps.py").write_text(STEPS)
    return tmp_path


@pytest.fixture
def project(root: Path) -> hg.Project:
    return hg.Project.load(root)


def test_a_run_returns_its_receipt(project: hg.Project) -> None:
    receipt = project.run("orders")
    assert receipt.status == hg.Status.SUCCESS
    assert (receipt.rows.extracted, receipt.rows.loaded) == (2, 2)
    assert project.runs() == [project.show(receipt.run_id)]
    assert project.run("orders").status == hg.Status.SKIPPED
    assert project.pipelines == ["orders", "tickets"]


def test_a_table_is_arrow_polars_or_sql(project: hg.Project) -> None:
    first = project.run("orders").targets[0].commit
    (project.root / "orders" / "2.csv").write_text("id,quantity,price\n3,1,1\n")
    project.run("orders")
    table = project.table("orders")
    assert table.to_arrow().sort_by("id")["total"].to_pylist() == [20, 5, 1]
    assert sorted(table.to_polars()["id"].to_list()) == [1, 2, 3]
    assert table.sql("SELECT MAX(total) AS m FROM orders").to_pylist() == [{"m": 20}]
    assert len(table) == sum(batch.num_rows for batch in table.to_batches()) == 3
    assert len(project.table("orders", at=first)) == 2
    assert project.query("SELECT COUNT(*) AS n FROM orders") == pa.table({"n": [3]})


def test_a_missing_library_names_its_extra(project: hg.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run("orders")
    for name in ("polars", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    for convert in (project.table("orders").to_polars, project.table("orders").to_pandas):
        with pytest.raises(hg.HeadgateError, match="is not installed") as raised:
            convert()
        assert raised.value.code == hg.Code.DRIVER_MISSING
        assert "pip install 'headgate[p" in raised.value.hint


def test_an_unknown_table_is_an_error(project: hg.Project) -> None:
    with pytest.raises(hg.HeadgateError) as raised:
        project.table("nonsense").to_arrow()
    assert raised.value.code == hg.Code.TABLE_NOT_FOUND


def test_a_python_source_gets_the_watermark(project: hg.Project) -> None:
    assert project.run("tickets").rows.extracted == 3
    assert project.run("tickets").status == hg.Status.SKIPPED
    assert len(project.table("tickets", connection="books")) == 3


def test_a_failed_run_raises_with_its_receipt(project: hg.Project) -> None:
    (project.root / "orders" / "1.csv").write_text("id,quantity,price\n1,200,10\n")
    with pytest.raises(hg.RunError) as raised:
        project.run("orders")
    assert raised.value.code == hg.Code.QUALITY_CHECK_FAILED
    assert raised.value.receipt is not None
    assert raised.value.receipt.status == hg.Status.REFUSED
    receipt = project.run("orders", raise_on_failure=False)
    assert receipt.status == hg.Status.REFUSED
    assert receipt.error is not None


def test_a_run_that_never_began_raises_without_receipt(project: hg.Project) -> None:
    for raise_on_failure in (True, False):
        with pytest.raises(hg.RunError) as raised:
            project.run("nonsense", raise_on_failure=raise_on_failure)
        assert raised.value.receipt is None
        assert raised.value.code == hg.Code.NOT_FOUND


def test_commands_give_results_and_never_raise(project: hg.Project) -> None:
    result = project.execute(hg.RunPipeline(pipeline="nonsense"))
    assert result.is_failure
    assert result.error_code == hg.Code.NOT_FOUND
    assert "nonsense" in str(result.error)
    good = project.execute(hg.RunPipeline(pipeline="orders")).flat_map(
        lambda receipt: hg.Result.ok(receipt.rows.loaded)
    )
    assert good.value == 2
    made = project.execute(hg.InitProject(folder=str(project.root / "new")))
    assert not made.is_failure
    assert project.execute(hg.InitProject(folder=str(project.root / "new"))).error_code == hg.Code.USAGE


def test_plan_and_check_are_values(project: hg.Project) -> None:
    plan = project.plan("orders")
    assert [column.name for column in plan.columns] == ["id", "quantity", "price", "total"]
    assert project.check().ok
    (project.root / "headgate.yml").write_text(PROJECT.replace("type: range", "type: rang"))
    report = project.check(offline=True)
    assert not report.ok
    assert report.problems[0].line == 11


def test_listeners_hear_every_event(root: Path) -> None:
    heard: list[Event] = []
    hg.Project.load(root, listeners=[heard.append]).run("orders")
    assert {"run.before", "publish.after", "run.after"} <= {event.name for event in heard}


def test_a_folder_without_a_project_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(hg.HeadgateError, match=r"no headgate\.yml"):
        hg.Project.load(tmp_path)


def test_marked_functions_stay_plain_functions() -> None:
    @hg.transform
    def double(value: int) -> int:
        return value * 2

    assert double(2) == 4


def test_everything_public_is_there_and_import_is_cheap() -> None:
    assert all(getattr(hg, name) is not None for name in hg.__all__)
    assert set(hg.__all__) <= set(dir(hg))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = hg.nonsense
    code = "import sys, headgate; assert not [n for n in sys.modules if n.startswith(('headgate.', 'pydantic'))]"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own code


def test_arguments_that_make_no_sense_are_our_errors(project: hg.Project) -> None:
    with pytest.raises(hg.RunError, match="limit") as raised:
        project.run("orders", limit=0)
    assert (raised.value.code, raised.value.receipt) == (hg.Code.USAGE, None)
