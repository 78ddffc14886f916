"""Against dictionaries of cells."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.plan.projects import SmallProject

from headgate.core.errors import Code, FatalError
from headgate.transforms import pivot, unpivot

COLUMNS = {"k": "VARCHAR", "m": "INTEGER", "v": "INTEGER"}
ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "ä"]), st.sampled_from([None, 1, 2, 3]), st.one_of(st.none(), st.integers(-9, 9))
    ),
    max_size=12,
)
WIDE = {"k": "VARCHAR", "x": "INTEGER", "y": "INTEGER"}
WIDE_ROWS = st.dictionaries(
    st.sampled_from("abc"), st.tuples(st.integers(-9, 9), st.one_of(st.none(), st.integers(-9, 9))), max_size=3
).map(lambda found: [(key, *values) for key, values in found.items()])


def cells(rows: list[Any]) -> dict[Any, dict[Any, list[Any]]]:
    found: dict[Any, dict[Any, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for key, name, value in rows:
        found[key][name].append(value)
    return found


def known(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None]


FUNCTIONS: dict[str, Any] = {
    "sum": lambda found: sum(known(found)) if known(found) else None,
    "MAX": lambda found: max(known(found), default=None),
    "mean": lambda found: statistics.fmean(known(found)) if known(found) else None,
    "median": lambda found: statistics.median(known(found)) if known(found) else None,
    "count": lambda found: len(known(found)),
    "nunique": lambda found: len(set(known(found))),
    "size": len,
}


@for_all(ROWS, st.sampled_from([*FUNCTIONS]))
def test_a_cell_combines_its_rows_by_the_function(execute: Any, rows: list[Any], function: str) -> None:
    options = {
        "keys": ["k"],
        "column": "m",
        "values": {"one": 1, "two": "2", "none": None},
        "from": "v",
        "function": function,
    }
    outcome = execute(pivot, options, COLUMNS, rows)
    expected = {key: [FUNCTIONS[function](row[name]) for name in (1, 2, None)] for key, row in cells(rows).items()}
    assert list(outcome.columns) == ["k", "one", "two", "none"]
    assert {row[0]: list(row[1:]) for row in outcome.rows} == {key: pytest.approx(row) for key, row in expected.items()}
    assert len(outcome.rows) == len(expected)


@for_all(ROWS)
def test_without_a_function_a_crowded_cell_holds_its_row_back(execute: Any, rows: list[Any]) -> None:
    outcome = execute(pivot, {"keys": "k", "column": "m", "values": [1, 2], "from": "v"}, COLUMNS, rows)
    good, crowded = set(), set()
    for key, row in cells(rows).items():
        if any(len(row[name]) > 1 for name in (1, 2)):
            crowded.add(key)
        else:
            good.add((key, *(row[name][0] if row[name] else None for name in (1, 2))))
    assert set(outcome.rows) == good
    assert {row[0] for row, _ in outcome.held} == crowded


@for_all(WIDE_ROWS)
def test_a_pivot_undoes_an_unpivot(execute: Any, rows: list[Any]) -> None:
    long = execute(unpivot, {"columns": ["x", "y"], "names_to": "n", "values_to": "v"}, WIDE, rows)
    assert sorted(long.rows, key=repr) == sorted(
        [(k, name, v) for k, x, y in rows for name, v in (("x", x), ("y", y))], key=repr
    )
    back = execute(pivot, {"keys": "k", "column": "n", "values": ["x", "y"], "from": "v"}, long.columns, long.rows)
    assert sorted(back.rows) == sorted(rows)


def test_groups_are_counted_and_a_crowded_cell_fails_the_run(project: SmallProject) -> None:
    steps: list[dict[str, Any]] = [
        {"type": "filter", "condition": "total > 0"},
        {"type": "pivot", "keys": ["city"], "column": "id", "values": {"first": 1, "third": 3}, "from": "total"},
    ]
    receipt = project.define(steps=steps).run()
    assert project.out() == [("Bonn", 10, None), ("Ulm", None, 30)]
    assert (receipt.rows.extracted, receipt.rows.filtered, receipt.rows.aggregated) == (5, 2, 1)
    crowded = {"type": "pivot", "keys": ["n"], "column": "city", "values": {"here": "Bonn"}, "from": "total"}
    failed = project.define(steps=[{"type": "calculate", "columns": {"n": "note IS NULL"}}, crowded]).attempt()
    assert failed.error_code is Code.ROW_ERROR
    assert "say a function to combine them" in str(failed.failure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"function": "total"}, '"total" is not an aggregate here'),
        ({"function": "first"}, "depends on the order"),
        ({"keys": ["m"]}, "is a key too"),
        ({"column": "absent"}, 'column "absent" not found'),
        ({"values": ["x", "X"]}, "two columns would be called"),
        ({"values": ["soon"]}, "cannot be compared with m"),
    ],
)
def test_what_makes_no_cells_is_refused(given: Any, options: dict[str, Any], message: str) -> None:
    asked = {"keys": ["k"], "column": "m", "values": [1], "from": "v", **options}
    with pytest.raises(FatalError, match=message):
        pivot.shapes(pivot.Options(type="pivot", **asked), given(COLUMNS))


@pytest.mark.parametrize("values", [["a", "a"], [None, "None"], [1, "1"], [True, "True"]])
def test_values_of_one_name_are_refused_and_not_made_one(values: list[Any]) -> None:
    with pytest.raises(ValidationError, match="two values would make the column"):
        pivot.Options.model_validate({"type": "pivot", "keys": "k", "column": "c", "values": values, "from": "v"})
