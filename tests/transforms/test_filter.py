from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.tables import COLUMNS, DAYS, DECIMALS, FLOATS, TABLES, TEXTS, Row, key

from headgate.core.errors import FatalError
from headgate.transforms import filter as filter_

INTS = st.one_of(st.none(), st.integers(min_value=-5, max_value=5))
COMPARE = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@for_all(
    st.lists(st.tuples(INTS), max_size=8),
    st.sampled_from(list(COMPARE)),
    st.one_of(st.integers(-6, 6), st.sampled_from([0.5, -0.5, 10**30, -1e30])),
)
def test_rows_stay_for_which_the_comparison_is_true(execute: Any, rows: list[Any], name: str, value: Any) -> None:
    outcome = execute(filter_, {"field": "x", "operator": name, "value": value}, {"x": "INTEGER"}, rows)
    kept = [row for row in rows if row[0] is not None and COMPARE[name](row[0], value)]
    assert outcome.rows == kept
    assert outcome.dropped["filtered"] == len(rows) - len(kept)


ASKED: dict[str, Any] = {"f": FLOATS, "t": TEXTS, "d": DECIMALS, "day": DAYS}


def holds(found: Any, name: str, value: Any) -> bool:
    """NaN equals itself, differs from every number, and is neither above nor below one; NULL in a list is no value."""
    if name in ("is_null", "not_null"):
        return (found is None) == (name == "is_null")
    if found is None:
        return False
    if name in ("in", "not_in"):
        return (key(found) in [key(one) for one in value if one is not None]) == (name == "in")
    if name in ("between", "not_between"):
        return bool(value[0] <= found <= value[1]) == (name == "between")
    return bool(COMPARE[name](found, value))


OPERATORS = [*COMPARE, "in", "not_in", "between", "not_between", "is_null", "not_null"]


@few
@for_all(TABLES, st.sampled_from(list(ASKED)), st.sampled_from(OPERATORS), st.data())
def test_values_of_any_type_are_compared_as_they_are(
    execute: Any, rows: list[Row], field: str, name: str, data: st.DataObject
) -> None:
    number = ASKED[field].filter(lambda one: one is not None and one == one)
    value: Any = None
    if name in ("in", "not_in"):
        value = data.draw(st.lists(ASKED[field], min_size=1, max_size=3))
    elif name in ("between", "not_between"):
        value = [data.draw(number), data.draw(number)]
    elif name in COMPARE:
        value = data.draw(number)
    outcome = execute(filter_, {"field": field, "operator": name, "value": value}, COLUMNS, rows)
    place = list(COLUMNS).index(field)
    kept = [row for row in rows if holds(row[place], name, value)]
    assert [list(map(key, row)) for row in outcome.rows] == [list(map(key, row)) for row in kept]
    assert outcome.dropped["filtered"] == len(rows) - len(kept)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"condition": "x > 1"}, [2]),
        ({"condition": "x IS NULL"}, [None]),
        ({"condition": "NULL"}, []),
        ({"field": "x", "operator": "in", "value": [1, 7]}, [1]),
        ({"field": "x", "operator": "not_in", "value": [1, 7]}, [0, 2]),
        ({"field": "x", "operator": "not_in", "value": [None]}, [0, 1, 2]),
        ({"field": "x", "operator": "is_null"}, [None]),
        ({"field": "x", "operator": "not_null"}, [0, 1, 2]),
        ({"field": "x", "operator": "eq", "value": 0.5}, []),
    ],
)
def test_null_is_not_true(execute: Any, options: dict[str, Any], kept: list[Any]) -> None:
    outcome = execute(filter_, options, {"x": "INTEGER"}, [(0,), (1,), (2,), (None,)])
    assert [row[0] for row in outcome.rows] == kept


def test_a_row_for_which_the_condition_raises_is_held_not_dropped(execute: Any) -> None:
    outcome = execute(filter_, {"condition": "10 // x > 2"}, {"x": "INTEGER"}, [(0,), (1,), (5,), (None,)])
    assert outcome.rows == [(1,)]
    assert outcome.held == [((0,), ("filter",))]
    assert outcome.dropped["filtered"] == 2


def test_a_text_is_converted_to_a_truth_value_or_held_where_that_is_said(execute: Any) -> None:
    condition = "CAST(t AS BOOLEAN)"
    outcome = execute(filter_, {"condition": condition}, {"t": "VARCHAR"}, [("true",), ("x",), ("0",), (None,)])
    assert outcome.rows == [("true",)]
    assert outcome.held == [(("x",), ("filter",))]


@pytest.mark.parametrize(
    ("type_", "values", "options", "kept"),
    [
        ("DECIMAL(12, 2)", [Decimal("10000"), Decimal("10000.01")], {"operator": "gt", "value": 10000}, 1),
        ("DATE", [date(2024, 1, 1), date(2024, 1, 2)], {"operator": "gte", "value": "2024-01-02"}, 1),
        ("VARCHAR", ["active", "ACTIVE"], {"operator": "eq", "value": "active"}, 1),
        ("VARCHAR", ["abc", "xbc"], {"operator": "like", "value": "a%"}, 1),
        ("BOOLEAN", [True, False], {"operator": "eq", "value": True}, 1),
        ("DOUBLE", [float("nan"), 5.0, 1.0], {"operator": "lt", "value": 9}, 2),
        ("DOUBLE", [float("nan"), 5.0, 1.0], {"operator": "gt", "value": 2}, 1),
    ],
)
def test_values_are_compared_in_the_type_of_the_column(
    execute: Any, type_: str, values: list[Any], options: Any, kept: int
) -> None:
    outcome = execute(filter_, {"field": "x", **options}, {"x": type_}, [(value,) for value in values])
    assert len(outcome.rows) == kept


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"condition": "x", "field": "x"},
        {"field": "x"},
        {"field": "x", "operator": "gt"},
        {"field": "x", "operator": "in", "value": 1},
        {"field": "x", "operator": "eq", "value": [1]},
        {"field": "x", "operator": "is_null", "value": 1},
        {"condition": "x", "value": 1},
        {"field": "x", "operator": "near", "value": 1},
    ],
)
def test_half_a_filter_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        filter_.Options(type="filter", **options)


@pytest.mark.parametrize(
    ("type_", "operator_", "value"),
    [
        ("INTEGER", "eq", "abc"),
        ("VARCHAR", "eq", 5),
        ("DATE", "gt", "yesterday"),
        ("INTEGER", "like", "a"),
        ("BOOLEAN", "gt", True),
        ("INTEGER[]", "eq", 1),
    ],
)
def test_values_of_another_kind_are_refused(given: Any, type_: str, operator_: Any, value: Any) -> None:
    options = filter_.Options(type="filter", field="x", operator=operator_, value=value)
    with pytest.raises(FatalError):
        filter_.shapes(options, given({"x": type_}))


TEXTS = st.one_of(st.none(), st.text("aAä%_.", max_size=4))


@for_all(st.lists(st.tuples(TEXTS), max_size=6), st.text("aAä%_.", max_size=2))
def test_texts_are_looked_for_as_they_are(execute: Any, rows: list[Any], part: str) -> None:
    meant: dict[str, Callable[[str], bool]] = {
        "contains": lambda text: part in text,
        "not_contains": lambda text: part not in text,
        "starts_with": lambda text: text.startswith(part),
        "ends_with": lambda text: text.endswith(part),
    }
    for name, holds in meant.items():
        outcome = execute(filter_, {"field": "t", "operator": name, "value": part}, {"t": "VARCHAR"}, rows)
        assert outcome.rows == [row for row in rows if row[0] is not None and holds(row[0])], name


LETTERS = "aAéÉ%_\\\n."
PATTERNS = st.one_of(st.text(LETTERS, max_size=4), st.sampled_from(["%a%", "_%", "%_", "%%", "a%_", "\\%"]))


def like(text: str, pattern: str, flags: int = 0) -> bool:
    """% is any text, _ any character, and nothing takes that from them."""
    signs = {"%": "(.|\n)*", "_": "(.|\n)"}
    return re.fullmatch("".join(signs.get(sign, re.escape(sign)) for sign in pattern), text, flags) is not None


@few
@for_all(st.lists(st.tuples(st.one_of(st.none(), st.text(LETTERS, max_size=4))), max_size=6), PATTERNS)
def test_texts_are_like_a_pattern_in_whole(execute: Any, rows: list[Any], pattern: str) -> None:
    meant: dict[str, Callable[[str], bool]] = {
        "like": lambda text: like(text, pattern),
        "not_like": lambda text: not like(text, pattern),
        "ilike": lambda text: like(text, pattern, re.IGNORECASE),
        "matches": lambda text: re.fullmatch(re.escape(pattern) + "|A.", text) is not None,
    }
    for name, fits in meant.items():
        value = re.escape(pattern) + "|A." if name == "matches" else pattern
        outcome = execute(filter_, {"field": "t", "operator": name, "value": value}, {"t": "VARCHAR"}, rows)
        assert outcome.rows == [row for row in rows if row[0] is not None and fits(row[0])], name


@pytest.mark.parametrize(
    ("operator", "value", "kept"),
    [
        ("between", [2, 3], [2, 3]),
        ("not_between", [2, 3], [1, 4]),
        ("between", [1.5, 2.5], [2]),
        ("between", [3, 2], []),
        ("not_in", [1, 2], [3, 4]),
    ],
)
def test_numbers_lie_between_or_not_and_null_does_neither(
    execute: Any, operator: str, value: Any, kept: list[int]
) -> None:
    rows = [(None,), (1,), (2,), (3,), (4,)]
    outcome = execute(filter_, {"field": "n", "operator": operator, "value": value}, {"n": "INTEGER"}, rows)
    assert [row[0] for row in outcome.rows] == kept


@pytest.mark.parametrize(
    ("operator", "value", "kept"),
    [
        ("matches", "[ab]+", ["ab"]),
        ("ilike", "A%", ["ab", "aX"]),
        ("not_like", "a%", ["x"]),
        ("like", "a_", ["ab", "aX"]),
    ],
)
def test_patterns(execute: Any, operator: str, value: str, kept: list[str]) -> None:
    rows = [(None,), ("ab",), ("aX",), ("x",)]
    outcome = execute(filter_, {"field": "t", "operator": operator, "value": value}, {"t": "VARCHAR"}, rows)
    assert [row[0] for row in outcome.rows] == kept


@pytest.mark.parametrize(
    ("operator", "value"), [("between", [1]), ("between", 1), ("matches", "("), ("matches", "(?=a)")]
)
def test_half_a_range_and_what_is_no_pattern_is_refused(operator: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        filter_.Options(type="filter", field="t", operator=operator, value=value)


@pytest.mark.parametrize("unit", ["hour", "minute", "second", "millisecond", "day"])
def test_a_date_cut_to_hours_is_midnight_of_that_day(execute: Any, unit: str) -> None:
    condition = f"DATE_TRUNC('{unit}', day) = TIMESTAMP '2024-02-29 00:00:00'"
    rows = [(date(2024, 2, 29),), (date(2024, 3, 1),), (None,)]
    assert execute(filter_, {"condition": condition}, {"day": "DATE"}, rows).rows == rows[:1]
