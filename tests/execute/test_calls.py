"""Python steps get what they are annotated with, and what they give back is held to the plan."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import SmallProject

from headgate.core.engines import Column
from headgate.core.errors import Code, HeadgateError

FUNCTIONS = """\
from __future__ import annotations

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc


def arrow(rows: pa.Table) -> pa.Table:
    assert isinstance(rows, pa.Table)
    return rows.append_column("twice", pc.multiply(rows["total"], 2))


def plain(rows):
    return arrow(rows)



def frame(rows: pl.DataFrame) -> pl.DataFrame:
    assert isinstance(rows, pl.DataFrame)
    return rows.with_columns((pl.col("total") * 2).alias("twice"))


def frame_to_arrow(rows: "pl.DataFrame") -> pa.Table:
    return frame(rows).to_arrow()


def counted(rows: pa.Table) -> pa.Table:
    return pa.table({"n": pa.array([rows.num_rows], pa.int64())})


def torn(rows: pa.Table) -> pa.Table:
    if rows.num_rows:
        raise ValueError("no such rate")
    return rows


def deep(rows: pa.Table) -> pa.Table:
    return rows.select(["nowhere"]) if rows.num_rows else rows


def torn_when_empty(rows: pa.Table) -> pa.Table:
    return pa.table({"low": [min(rows["id"].to_pylist())]})


def other(rows: pa.Table) -> pa.Table:
    return rows.append_column("more", rows["id"]) if rows.num_rows else rows


def words(rows: pa.Table) -> pa.Table:
    return pa.table({"id": pa.array(["a"] * rows.num_rows, pa.string())})


def nothing(rows: pa.Table):
    return None


def turned(rows: pa.Table) -> pa.Table:
    return rows.select(rows.column_names[::-1])
"""


@pytest.fixture
def steps(project: SmallProject) -> SmallProject:
    (project.root / "mine.py").write_text(FUNCTIONS)
    return project


def step(name: str, **options: Any) -> dict[str, Any]:
    return {"type": "python", "function": f"mine:{name}", **options}


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(FUNCTIONS.splitlines(), start=1) if text in line)


def refused(project: SmallProject) -> HeadgateError:
    failure = project.attempt().failure
    assert failure is not None
    return failure


@pytest.mark.parametrize("name", ["arrow", "plain", "frame", "frame_to_arrow"])
@pytest.mark.parametrize("scope", ["batch", "table"])
def test_rows_come_as_the_annotation_says_and_go_back_as_any_frame(steps: SmallProject, name: str, scope: str) -> None:
    steps.defaults = {"batch_size": 2}
    receipt = steps.define(steps=[step(name, scope=scope)]).run()
    assert receipt.rows.loaded == 5
    assert steps.out("SELECT id, twice FROM out") == [(1, 20), (2, 40), (3, 60), (4, None), (5, -10)]


def test_a_batch_has_as_many_rows_as_the_project_says_and_a_table_all(steps: SmallProject) -> None:
    steps.defaults = {"batch_size": 2}
    receipt = steps.define(steps=[step("counted")]).run()
    assert steps.out() == [(1,), (2,), (2,)]
    assert (receipt.rows.extracted, receipt.rows.aggregated, receipt.rows.loaded) == (5, 2, 3)
    steps.define(steps=[step("counted", scope="table")], target={"table": "out", "mode": "overwrite"}).run()
    assert steps.out() == [(5,)]


def test_an_error_names_the_line_of_the_users_code(steps: SmallProject) -> None:
    error = refused(steps.define(steps=[step("torn")]))
    assert error.code is Code.TRANSFORMATION_FAILED
    where = line_of('raise ValueError("no such rate")')
    assert f"ValueError: no such rate (mine.py:{where})" in error.message
    assert error.object == "mine:torn (python, headgate.yml:19)"
    assert "the first row for which it fails: id=1, city='Bonn'" in error.hint


def test_an_error_inside_a_library_names_the_users_line_too(steps: SmallProject) -> None:
    error = refused(steps.define(steps=[step("deep")]))
    assert "nowhere" in error.message
    assert error.message.endswith(f"(mine.py:{line_of('rows.select(')})")


def test_an_error_without_rows_is_found_when_planning_and_has_a_place(steps: SmallProject) -> None:
    steps.define(steps=[{"type": "filter", "condition": "id > 0"}, step("torn_when_empty")])
    with pytest.raises(HeadgateError, match="ValueError") as caught:
        steps.plan()
    assert "a table without rows" in caught.value.hint
    assert caught.value.problems[0].path == "pipelines.small.transformations.1"


def test_declared_columns_spare_the_function_an_empty_table(steps: SmallProject) -> None:
    plan = steps.define(steps=[step("torn_when_empty", scope="table", columns={"low": "BIGINT"})]).plan()
    assert plan.columns == (Column("low", "BIGINT"),)
    assert steps.run().rows.loaded == 1
    assert steps.out() == [(1,)]


def test_an_error_names_the_first_row_for_which_it_is_raised(steps: SmallProject) -> None:
    (steps.root / "picky.py").write_text(
        "def positive(rows):\n"
        "    if any((total or 0) < 0 for total in rows['total'].to_pylist()):\n"
        "        raise ValueError('negative')\n"
        "    return rows\n"
        "def few(rows):\n"
        "    if rows.num_rows > 3:\n"
        "        raise ValueError('too many')\n"
        "    return rows\n"
    )
    for name, row in (("positive", "id=5, city='Jena', total=-5"), ("few", "id=1, city='Bonn'")):
        error = refused(steps.define(steps=[{"type": "python", "function": f"picky:{name}"}]))
        assert f"the first row for which it fails: {row}" in error.hint
        assert (
            not steps.root.joinpath("goal.db").exists()
            or steps.out("SELECT 1 FROM sqlite_master WHERE name = 'out'") == []
        )


def test_other_columns_than_planned_are_refused(steps: SmallProject) -> None:
    error = refused(steps.define(steps=[step("other")]))
    assert error.code is Code.TRANSFORMATION_FAILED
    assert "it returned the columns id, city, total, note, more; planned were id, city, total, note" in error.message
    error = refused(steps.define(steps=[step("arrow", columns={"id": "BIGINT"})]))
    assert "planned were id" in error.message


def test_values_that_do_not_fit_the_declared_types_are_refused(steps: SmallProject) -> None:
    error = refused(steps.define(steps=[step("words", columns={"id": "BIGINT"})]))
    assert error.code is Code.TRANSFORMATION_FAILED
    assert error.object == "mine:words (python, headgate.yml:19)"


def test_the_order_of_the_columns_is_that_of_the_plan(steps: SmallProject) -> None:
    steps.define(steps=[step("turned", columns={"id": "BIGINT", "city": "TEXT", "total": "BIGINT", "note": "TEXT"})])
    steps.run()
    assert steps.out("SELECT id, total FROM out WHERE id = 1") == [(1, 10)]
    assert steps.out("SELECT name FROM pragma_table_info('out') LIMIT 1") == [("id",)]


def test_something_that_is_no_table_is_refused(steps: SmallProject) -> None:
    error = refused(steps.define(steps=[step("nothing", columns={"id": "BIGINT"})]))
    assert "it returned a NoneType" in error.message
    assert "pyarrow table" in error.hint


def test_changed_code_is_another_plan(steps: SmallProject) -> None:
    before = steps.define(steps=[step("arrow")]).plan().hash
    assert steps.plan().hash == before
    (steps.root / "mine.py").write_text(FUNCTIONS.replace('rows["total"], 2', 'rows["total"], 3'))
    assert steps.plan().hash != before


def test_rows_that_were_held_or_dropped_never_reach_the_function(steps: SmallProject) -> None:
    keep = {"type": "filter", "condition": "id <> 1"}
    cast = {"type": "cast", "columns": {"note": "BIGINT"}}
    steps.define(steps=[keep, cast, step("counted", scope="table")], error_handling={"on_row_error": "quarantine"})
    receipt = steps.run()
    assert steps.out() == [(3,)]
    assert (receipt.rows.filtered, receipt.rows.quarantined, receipt.rows.imbalance) == (1, 1, 0)


def test_rules_after_the_function_judge_what_it_gives(steps: SmallProject) -> None:
    rule = {"type": "range", "column": "twice", "min": 0, "on_fail": "quarantine"}
    receipt = steps.define(steps=[step("arrow")], rules=[rule]).run()
    (entry,) = receipt.quarantine
    assert [row["twice"] for row in steps.held(entry)] == [-10]
    assert receipt.rows.loaded == 4
