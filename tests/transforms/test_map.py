from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few

from headgate.core.errors import FatalError
from headgate.transforms import map as map_

COLUMNS = {"first": "VARCHAR", "last": "VARCHAR", "status": "VARCHAR", "n": "INTEGER"}
NAMES = st.one_of(st.none(), st.sampled_from(["Ada", "ß", ""]))
ROWS = st.lists(st.tuples(NAMES, NAMES, st.sampled_from([None, "A", "I", "x"]), st.integers(-2, 2)), max_size=6)


@for_all(ROWS)
def test_records_take_another_form(execute: Any, rows: list[Any]) -> None:
    columns = {
        "full_name": "first || ' ' || last",
        "family": "last",
        "state": {"from": "status", "values": {"A": "active", "I": "inactive"}, "else": "other", "nulls": "none"},
        "code": {"from": "n", "values": {"1": "one", "2": 2.0}},
        "first": "last",
    }
    outcome = execute(
        map_, {"columns": {**columns, "code": {"from": "n", "values": {"1": 10, "2": 20}}}}, COLUMNS, rows
    )
    names = {"A": "active", "I": "inactive", "x": "other", None: "none"}
    assert list(outcome.columns) == ["full_name", "family", "state", "code", "first"]
    assert outcome.rows == [
        (None if None in (a, b) else f"{a} {b}", b, names[s], {1: 10, 2: 20}.get(n), b) for a, b, s, n in rows
    ]


LISTED = st.dictionaries(st.sampled_from(["A", "I", "a", ""]), st.sampled_from([None, "active", "x", ""]), min_size=1)
FALLBACK = st.sampled_from([{}, {"keep": True}, {"else": "other"}, {"else": ""}, {"keep": False}])


@few
@for_all(ROWS, LISTED, FALLBACK, st.sampled_from([None, "none"]), st.sampled_from(["drop", "keep"]))
def test_a_table_of_values_says_what_becomes_of_each(
    execute: Any, rows: list[Any], listed: dict[str, Any], fallback: dict[str, Any], nulls: str | None, rest: str
) -> None:
    """Columns that take the place of others leave only the others where the rest stays."""
    choice = {"from": "Status", "values": listed, **fallback, **({"nulls": nulls} if nulls else {})}
    outcome = execute(map_, {"columns": {"LAST": choice, "n2": "n * 2"}, "rest": rest}, COLUMNS, rows)
    names, expected = ["first", "status", "n"] if rest == "keep" else [], []
    for first, _, status, n in rows:
        other = status if fallback.get("keep") else fallback.get("else")
        chosen = nulls if status is None else listed.get(status, other)
        expected.append((*((first, status, n) if rest == "keep" else ()), chosen, n * 2))
    assert list(outcome.columns) == [*names, "LAST", "n2"]
    assert outcome.rows == expected


def test_values_that_are_not_listed_may_stay_and_other_columns_too(execute: Any) -> None:
    columns = {"status": {"from": "status", "values": {"A": "active"}, "keep": True}}
    outcome = execute(map_, {"columns": columns, "rest": "keep"}, COLUMNS, [("a", "b", "A", 1), ("a", "b", "x", 1)])
    assert list(outcome.columns) == ["first", "last", "n", "status"]
    assert [row[3] for row in outcome.rows] == ["active", "x"]


def test_an_expression_that_raises_is_a_row_error(execute: Any) -> None:
    outcome = execute(map_, {"columns": {"q": "10 // n"}}, COLUMNS, [("a", "b", "A", 0), ("a", "b", "A", 5)])
    assert outcome.rows == [(2,)]
    assert [flags for _, flags in outcome.held] == [("map q",)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": "frist"}, 'did you mean "first"'),
        ({"x": {"from": "absent", "values": {"a": "b"}}}, 'column "absent" not found'),
        ({"x": {"from": "n", "values": {"a": "b"}}}, "cannot be compared with n"),
        ({"n": {"from": "n", "values": {"1": "one"}, "keep": True}}, "cannot be compared|is not a value of n"),
        ({"x": "n", "X": "n"}, "two columns would be called"),
        ({"x": "SUM(n)"}, "is an aggregate"),
    ],
)
def test_what_gives_no_record_is_refused(given: Any, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(FatalError, match=message):
        map_.shapes(map_.Options(type="map", columns=columns), given(COLUMNS))


def test_two_fallbacks_are_refused() -> None:
    with pytest.raises(ValidationError):
        map_.Options(type="map", columns={"x": {"from": "n", "values": {"1": 1}, "else": 2, "keep": True}})
