"""Under ``on_row_error: null`` what a row goes on with is NULL, and told; never another value."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.projects import SmallProject


@pytest.fixture(params=["null", "log"])
def policy(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"on_row_error": request.param, "max_error_percentage": 100}


def test_a_field_that_does_not_fit_its_type_is_null_and_not_rounded(
    project: SmallProject, policy: dict[str, Any]
) -> None:
    project.table("orders", {"j": "TEXT"}, [('{"n": 3.5, "p": 1.239}',), ('{"n": 7, "p": 1.25}',), ('{"n": "x"}',)])
    step = {"type": "normalize", "fields": {"j": {"n": "BIGINT", "p": "DECIMAL(5, 2)"}}}
    receipt = project.define(steps=[step], error_handling=policy).run()
    assert project.out("SELECT j_n, CAST(j_p AS TEXT) FROM out") == [(7, "1.25"), (None, None), (None, None)]
    assert "normalize: normalize j_n became NULL in 2 rows" in receipt.warnings
    assert "normalize: normalize j_p became NULL in 1 row" in receipt.warnings


def test_elements_of_lists_likewise(project: SmallProject, policy: dict[str, Any]) -> None:
    project.table("orders", {"id": "INTEGER", "l": "TEXT"}, [(1, '[{"n": 3.5}, {"n": 7}]'), (2, "{")])
    step = {"type": "normalize", "explode": {"l": {"name": "lines", "keys": ["id"], "fields": {"n": "BIGINT"}}}}
    project.define(steps=[step], targets=[{"table": "out"}, {"table": "lines", "from": "lines"}], error_handling=policy)
    receipt = project.run()
    assert project.out("SELECT id, position, n FROM lines") == [(1, 1, None), (1, 2, 7)]
    assert sorted(receipt.warnings) == [
        "lines: normalize n became NULL in 1 row",
        "normalize: normalize l became NULL in 1 row",
    ]


def test_a_category_that_cannot_be_told_is_null_whichever_of_them_it_is(
    project: SmallProject, policy: dict[str, Any]
) -> None:
    project.table("orders", {"a": "TEXT", "b": "TEXT"}, [("x", "1"), ("1", "y"), ("9", "1"), ("1", "1")])
    conditions = {"A": "CAST(a AS INTEGER) > 5", "B": "CAST(b AS INTEGER) > 0"}
    categories = [{"name": name, "condition": condition} for name, condition in conditions.items()]
    step = {"type": "categorize", "into": "c", "categories": categories}
    project.define(steps=[step], error_handling=policy).run()
    assert project.out("SELECT c FROM out") == [("A",), ("B",), (None,), (None,)]


def test_flags_of_one_name_are_told_together(project: SmallProject, policy: dict[str, Any]) -> None:
    project.table("orders", {"a": "TEXT", "b": "TEXT"}, [("x", "1"), ("1", "y"), ("1", "z")])
    categories = [{"name": "A", "condition": f"CAST({column} AS INTEGER) > 5"} for column in "ab"]
    step = {"type": "categorize", "into": "c", "categories": categories}
    receipt = project.define(steps=[step], error_handling=policy).run()
    assert receipt.warnings == ("categorize: categorize A became NULL in 3 rows",)


def test_a_crowded_cell_is_null_and_not_one_of_its_values(project: SmallProject, policy: dict[str, Any]) -> None:
    project.table("orders", {"k": "INTEGER", "c": "TEXT", "v": "INTEGER"}, [(1, "a", 5), (1, "a", 5), (1, "b", 3)])
    step = {"type": "pivot", "keys": ["k"], "column": "c", "values": ["a", "b"], "from": "v"}
    receipt = project.define(steps=[step], error_handling=policy).run()
    assert project.out("SELECT k, a, b FROM out") == [(1, None, 3)]
    assert receipt.warnings == ("pivot: pivot c became NULL in 1 row",)


def test_what_became_null_in_cleaning_is_filled_as_other_nulls_are(
    project: SmallProject, policy: dict[str, Any]
) -> None:
    project.table("orders", {"x": "TEXT"}, [("3.5",), ("z",), (None,), ("7",)])
    for fill in (0, {"strategy": "zero"}):
        clean = {"type": "clean", "convert": {"x": "BIGINT"}, "fill": {"x": fill}, "remove_nulls": ["x"]}
        project.define(steps=[clean], target={"table": "out", "mode": "overwrite"}, error_handling=policy)
        receipt = project.run()
        assert project.out() == [(0,), (0,), (0,), (7,)]
        assert receipt.warnings == ("clean: clean x became NULL in 2 rows",)
