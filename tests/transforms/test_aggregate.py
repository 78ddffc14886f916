from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.plan.projects import FILES, SmallProject
from tests.tables import COLUMNS as TYPES
from tests.tables import NAMES, TABLES, Row, key, keys

from headgate.core.errors import Code, FatalError
from headgate.transforms import aggregate

COLUMNS = {"g": "VARCHAR", "h": "INTEGER", "x": "INTEGER"}
ROWS = st.lists(
    st.tuples(st.sampled_from([None, "a", "ä"]), st.sampled_from([None, 1]), st.one_of(st.none(), st.integers(-9, 9))),
    max_size=12,
)
METRICS = {
    "n": "COUNT(*)",
    "filled": "COUNT(x)",
    "total": "SUM(x)",
    "low": "MIN(x)",
    "mean": "AVG(x)",
    "big": "COUNT(*) FILTER (WHERE x > 3)",
}


def summary(rows: list[Any]) -> tuple[Any, ...]:
    values = [row[2] for row in rows if row[2] is not None]
    mean = statistics.fmean(values) if values else None
    return (
        len(rows),
        len(values),
        sum(values) if values else None,
        min(values, default=None),
        mean,
        sum(v > 3 for v in values),
    )


@for_all(ROWS)
def test_there_is_one_row_for_each_group_and_null_is_a_group(execute: Any, rows: list[Any]) -> None:
    outcome = execute(aggregate, {"group_by": ["g", "h"], "metrics": METRICS}, COLUMNS, rows)
    expected = {group: summary([row for row in rows if row[:2] == group]) for group in {row[:2] for row in rows}}
    assert len(outcome.rows) == len(expected)
    for row in outcome.rows:
        assert rounded(row[2:]) == rounded(expected[row[:2]])


def rounded(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """With the mean to nine digits: engines sum in another order."""
    return tuple(round(value, 9) if isinstance(value, float) else value for value in values)


@for_all(ROWS)
def test_without_groups_there_is_one_row_even_for_no_rows(execute: Any, rows: list[Any]) -> None:
    outcome = execute(aggregate, {"metrics": METRICS}, COLUMNS, rows)
    assert len(outcome.rows) == 1
    assert rounded(outcome.rows[0]) == rounded(summary(rows))


def test_columns_are_the_groups_and_the_metrics(execute: Any) -> None:
    outcome = execute(aggregate, {"group_by": "G", "metrics": {"_n": "COUNT(DISTINCT x)"}}, COLUMNS, [("a", 1, 1)])
    assert list(outcome.columns) == ["g", "_n"]


def test_group_by_alone_gives_the_distinct_values(execute: Any) -> None:
    assert execute(aggregate, {"group_by": ["g"]}, COLUMNS, [("a", 1, 1), ("a", 2, 2)]).rows == [("a",)]


def test_an_ordered_aggregate_is_allowed(execute: Any) -> None:
    metrics = {"all": "STRING_AGG(CAST(x AS VARCHAR), ',' ORDER BY x)", "first": "FIRST(x ORDER BY x DESC)"}
    assert execute(aggregate, {"metrics": metrics}, COLUMNS, [("a", 1, 2), ("a", 1, 1)]).rows == [("1,2", 2)]


@pytest.mark.parametrize(
    "options",
    [
        {"group_by": ["absent"]},
        {"group_by": ["g"], "aggregations": {"x": ["summ"]}},
        {"group_by": ["g"], "aggregations": {"x": ["first"]}},
        {"group_by": ["g"], "aggregations": {"x": ["sum"]}, "metrics": {"x_sum": "SUM(x)"}},
        {"group_by": ["g"], "having": "x > 1"},
        {"group_by": ["g"], "metrics": {"n": "COUNT(*)"}, "having": "y > 1"},
        {"metrics": {"m": "x + 1"}},
        {"group_by": ["g"], "metrics": {"G": "COUNT(*)"}},
        {"metrics": {"m": "SUM(absent)"}},
        {"metrics": {"m": "SUM(x) + h"}},
        {"metrics": {"m": "TOTAL(x)"}},
        {"metrics": {"m": "FIRST(x)"}},
        {"metrics": {"m": "LIST(x)"}},
        {"metrics": {"m": "STRING_AGG(g, ',')"}},
        {"metrics": {"m": "SUM(x) OVER ()"}},
    ],
)
def test_what_is_no_aggregate_of_known_columns_is_refused(given: Any, options: dict[str, Any]) -> None:
    with pytest.raises(FatalError):
        aggregate.shapes(aggregate.Options(type="aggregate", **options), given(COLUMNS))


NUMBERS = st.lists(
    st.tuples(st.sampled_from([None, "a"]), st.just(1), st.one_of(st.none(), st.integers(-9, 9))), max_size=9
)


def percentile(values: list[int], share: float) -> float:
    """Between the two values that are nearest to it, linearly."""
    place = (len(values) - 1) * share
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


SHORT: dict[str, Any] = {
    "sum": sum, "mean": statistics.fmean, "AVG": statistics.fmean, "median": statistics.median, "min": min, "max": max,
    "std": lambda values: statistics.stdev(values) if len(values) > 1 else None,
    "var": lambda values: statistics.variance(values) if len(values) > 1 else None,
    "std_pop": statistics.pstdev, "var_pop": statistics.pvariance, "product": math.prod,
    "p0": lambda values: percentile(values, 0), "p25": lambda values: percentile(values, 0.25),
    "p90": lambda values: percentile(values, 0.9), "p97.5": lambda values: percentile(values, 0.975),
    "p100": lambda values: percentile(values, 1),
}  # fmt: skip
HAVING: dict[str | None, Any] = {
    None: lambda *_: True,
    "COUNT(*) > 1": lambda _, size, __: size > 1,
    "X_sum > 0": lambda _, __, values: bool(values) and sum(values) > 0,
    "g IS NULL OR x_median < 2": lambda g, _, values: g is None or (bool(values) and statistics.median(values) < 2),
    "MAX(x) - MIN(x) >= x_count": lambda _, __, values: bool(values) and max(values) - min(values) >= len(values),
}


@for_all(NUMBERS, st.sampled_from([*HAVING]))
def test_functions_by_their_short_names_skip_nulls(execute: Any, rows: list[Any], having: str | None) -> None:
    """Groups stay for which ``having`` is true: not those for which it is NULL."""
    functions = [*SHORT, "count", "nunique", "size"]
    options = {"group_by": ["g"], "aggregations": {"x": functions}, "having": having}
    outcome = execute(aggregate, options, COLUMNS, rows)
    assert list(outcome.columns) == ["g", *(f"x_{function.lower()}" for function in functions)]
    expected: dict[Any, list[Any]] = {}
    for group in {row[0] for row in rows}:
        mine = [row for row in rows if row[0] == group]
        values = sorted(row[2] for row in mine if row[2] is not None)
        if HAVING[having](group, len(mine), values):
            named = [of(values) if values else None for of in SHORT.values()]
            expected[group] = [*named, len(values), len(set(values)), len(mine)]
    assert {row[0] for row in outcome.rows} == expected.keys()
    assert outcome.dropped["filtered"] == len({row[0] for row in rows}) - len(expected)
    for group, *found in outcome.rows:
        assert found == pytest.approx(expected[group])


def test_first_and_last_go_by_the_order_of_the_step(execute: Any) -> None:
    rows = [("a", 3, 30), ("a", 1, 10), ("a", 2, None), ("b", 1, 5)]
    options = {"group_by": ["g"], "aggregations": {"x": ["first", "last", "list"]}, "order_by": "h"}
    assert sorted(execute(aggregate, options, COLUMNS, rows).rows) == [("a", 10, 30, [10, None, 30]), ("b", 5, 5, [5])]


@for_all(
    st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.one_of(st.none(), st.integers(-9, 9))), max_size=9),
    st.booleans(),
)
def test_what_is_first_last_and_listed_goes_by_the_order(execute: Any, rows: list[Any], down: bool) -> None:
    """NULL is the value of a row like any other."""
    numbered = [(group, place * 7 % 11, value) for place, (group, value) in enumerate(rows)]
    order = "h DESC" if down else "h"
    options = {"group_by": ["g"], "aggregations": {"x": ["first", "last", "list"]}, "order_by": order}
    expected: dict[Any, list[Any]] = {}
    for group, _, value in sorted(numbered, key=lambda row: row[1], reverse=down):
        expected.setdefault(group, []).append(value)
    found = {row[0]: row[1:] for row in execute(aggregate, options, COLUMNS, numbered).rows}
    assert found == {group: (values[0], values[-1], values) for group, values in expected.items()}


@few
@for_all(TABLES, NAMES)
def test_groups_of_any_types_are_one_if_they_are_equal(execute: Any, rows: list[Row], names: list[str]) -> None:
    """NULL is a group, NaN is the largest number, and no digit is lost."""
    metrics = {"n": "COUNT(*)", "most": "MAX(d)", "least": "MIN(f)", "last": "MAX(day)", "kinds": "COUNT(DISTINCT t)"}
    outcome = execute(aggregate, {"group_by": names, "metrics": metrics}, TYPES, rows)
    groups: dict[Any, list[Row]] = {}
    for row, group in zip(rows, keys(rows, names), strict=True):
        groups.setdefault(group, []).append(row)
    found = {tuple(map(key, row[: len(names)])): row[len(names) :] for row in outcome.rows}
    assert found.keys() == groups.keys()
    assert len(outcome.rows) == len(groups)
    for group, members in groups.items():
        _, floats, texts, decimals, days = (
            [one for one in column if one is not None] for column in zip(*members, strict=True)
        )
        least = min(floats, key=lambda f: (math.isnan(f), f), default=None)
        n, most, low, last, kinds = found[group]
        assert (n, most, last, kinds) == (
            len(members),
            max(decimals, default=None),
            max(days, default=None),
            len(set(texts)),
        )
        assert key(low) == key(least)


@pytest.mark.parametrize(
    "having",
    ["n > 1", "COUNT(*) > 1", "N > 1 AND g IS NOT NULL", "SUM(x) > 10", "total > 10", "total / n > 5 AND n > 1"],
)
def test_groups_that_do_not_have_it_are_filtered(execute: Any, having: str) -> None:
    rows = [("a", 3, 30), ("a", 1, 10), ("b", 1, 5)]
    options = {"group_by": ["g"], "metrics": {"n": "COUNT(*)", "total": "SUM(x)"}, "having": having}
    outcome = execute(aggregate, options, COLUMNS, rows)
    assert (outcome.rows, outcome.dropped["filtered"]) == ([("a", 2, 40)], 1)
    assert list(outcome.columns) == ["g", "n", "total"]


def test_nothing_to_aggregate_is_told_and_changes_nothing(project: SmallProject) -> None:
    receipt = project.define(steps=[{"type": "aggregate"}]).run()
    assert receipt.rows.loaded == 5
    assert "nothing to aggregate" in receipt.warnings[0]


def test_filtered_groups_and_rows_behind_groups_are_counted(project: SmallProject) -> None:
    step = {
        "type": "aggregate",
        "group_by": "city",
        "aggregations": {"total": ["sum", "count"]},
        "having": "total_count > 0",
    }
    receipt = project.define(steps=[{**step, "having": "COUNT(*) > 1"}]).run()
    assert project.out() == [("Bonn", 30, 2), ("Ulm", 30, 1)]
    assert (receipt.rows.extracted, receipt.rows.aggregated, receipt.rows.filtered, receipt.rows.loaded) == (5, 2, 1, 2)


@pytest.mark.parametrize(
    ("metric", "type_", "said"),
    [
        ("SUM(n)", "DECIMAL(38, 0)", "Overflow in"),
        ("AVG(n)", "DECIMAL(38, 0)", "Overflow in"),
        ("SUM(n)", "BIGINT", "out of range"),
    ],
)
def test_a_sum_that_no_number_holds_is_told_with_its_step_and_what_to_do(
    project: SmallProject, metric: str, type_: str, said: str
) -> None:
    largest = str(2**63 - 1) if type_ == "BIGINT" else "9" * 38
    project.file("n.csv", f"n\n{largest}\n{largest}\n")
    source = {**FILES, "path": "n.csv", "types": {"n": type_}}
    steps: list[dict[str, Any]] = [{"type": "aggregate", "name": "totals", "metrics": {"total": metric}}]
    project.define(source=source, steps=steps)
    failed = project.attempt()
    assert failed.error_code is Code.TRANSFORMATION_FAILED
    told = str(failed.failure)
    assert told.startswith("transform totals, headgate.yml:")
    assert said in told
    assert "CAST(x AS DOUBLE)" in told
    steps[0]["metrics"] = {"total": metric.replace("n", "CAST(n AS DOUBLE)")}
    project.define(source=source, steps=steps).run()
    [(total,)] = project.out("SELECT total FROM out")
    assert total == pytest.approx(float(largest) * (2 if metric.startswith("SUM") else 1))


def test_a_median_of_decimals_lies_between_them(project: SmallProject) -> None:
    project.table("orders", {"p": "TEXT"}, [("1.00",), ("1.01",), ("-3.00",), ("-3.01",), (None,)])
    cast: dict[str, Any] = {"type": "cast", "columns": {"p": "DECIMAL(10, 2)"}}
    metrics = {
        "m": "MEDIAN(p) FILTER (WHERE p > 0)",
        "n": "MEDIAN(p * -1) FILTER (WHERE p < 0)",
        "q": "QUANTILE_CONT(p, 0.5) FILTER (WHERE p > 0)",
        "w": "PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY p)",
        "d": "QUANTILE_DISC(p, 0.5)",
    }
    step = {
        "type": "aggregate",
        "metrics": metrics,
        "aggregations": {"p": ["median", "p75"]},
        "having": "MEDIAN(p) < -0.99",
    }
    project.define(steps=[cast, step]).run()
    assert project.out("SELECT m, n, q, w, p_median, p_p75 FROM out") == [(1.005, 3.005, 1.005, -1.0, -1.0, 1.0025)]
    assert project.out("SELECT d FROM out") == [(-3,)]
    window: dict[str, Any] = {"type": "window", "columns": {"m": "MEDIAN(p)"}}
    pivot = {"type": "pivot", "keys": ["k"], "column": "c", "values": [1], "from": "p", "function": "median"}
    keyed = {"type": "calculate", "columns": {"k": "1", "c": "1"}}
    steps: list[dict[str, Any]]
    for steps, name in (([cast, window], "m"), ([cast, keyed, pivot], "1")):
        project.define(steps=steps, target={"table": "out", "mode": "overwrite"}).run()
        assert set(project.out(f'SELECT "{name}" FROM out')) == {(-1.0,)}
