from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.tables import COLUMNS as TYPES
from tests.tables import NAMES, TABLES, Row, key, keys

from headgate.core.errors import FatalError
from headgate.transforms import deduplicate

COLUMNS = {"k": "INTEGER", "at": "DOUBLE", "v": "VARCHAR"}
SMALL = st.one_of(st.none(), st.integers(0, 2))
ROWS = st.lists(
    st.tuples(
        SMALL, st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5])), st.one_of(st.none(), st.sampled_from("abé"))
    ),
    max_size=10,
)


ORDERS = {
    "at": [("at", False)],
    "at DESC": [("at", True)],
    "v, at": [("v", False), ("at", False)],
    "v DESC, at": [("v", True), ("at", False)],
}


def place(row: Any, order: list[tuple[str, bool]], keep: str) -> Any:
    """Sorts the row to keep last: NULLs are the weakest, ties go to the later (earlier) value of the other columns."""
    points: list[Any] = []
    for name, down in [*order, ("at", False), ("v", False)]:
        value, sign = row[list(COLUMNS).index(name)], 1 if (keep == "last") != down else -1
        known = [ord(c) * sign for c in value] if isinstance(value, str) else (value or 0) * sign
        points += [value is not None, [] if value is None and name == "v" else known]
    return points


@for_all(ROWS, st.sampled_from(["last", "first"]), st.sampled_from([*ORDERS]), st.randoms(use_true_random=False))
def test_one_row_of_each_key_stays_in_whatever_order_rows_come(
    execute: Any, rows: list[Any], keep: str, order: str, random: Any
) -> None:
    options = {"keys": ["k"], "order_by": order.split(", "), "keep": keep}
    outcome = execute(deduplicate, options, COLUMNS, rows)
    expected = {
        max((row for row in rows if row[0] == key), key=lambda row: place(row, ORDERS[order], keep))
        for key in {row[0] for row in rows}
    }
    assert sorted(outcome.rows, key=repr) == sorted(expected, key=repr)
    assert outcome.dropped["deduplicated"] == len(rows) - len(expected)
    random.shuffle(rows)
    assert sorted(execute(deduplicate, options, COLUMNS, rows).rows, key=repr) == sorted(outcome.rows, key=repr)


@few
@for_all(TABLES, NAMES, st.sampled_from(["last", "first"]))
def test_keys_of_any_types_are_one_if_they_are_equal(
    execute: Any, rows: list[Row], names: list[str], keep: str
) -> None:
    """NULL is a key, NaN is NaN, and -0 is 0."""
    numbered = [(*row, place) for place, row in enumerate(rows)]
    options = {"keys": names, "order_by": "n", "keep": keep}
    outcome = execute(deduplicate, options, {**TYPES, "n": "INTEGER"}, numbered)
    found = dict(zip(keys(rows, names), range(len(rows)), strict=True))
    if keep == "first":
        found = {one: place for place, one in reversed(list(enumerate(keys(rows, names))))}
    assert sorted(row[-1] for row in outcome.rows) == sorted(found.values())
    for *row, place in outcome.rows:
        assert list(map(key, row)) == list(map(key, rows[place]))
    assert outcome.dropped["deduplicated"] == len(rows) - len(found)


def test_the_order_is_the_cursor_unless_said(execute: Any) -> None:
    outcome = execute(deduplicate, {"keys": "k"}, COLUMNS, [(1, 2.0, "b"), (1, 1.0, "c")], cursor="at")
    assert outcome.rows == [(1, 2.0, "b")]


def test_an_order_may_descend_and_be_an_expression(execute: Any) -> None:
    rows = [(1, 2.0, "b"), (1, 1.0, "ccc")]
    assert execute(deduplicate, {"keys": "k", "order_by": "at DESC"}, COLUMNS, rows).rows == [rows[1]]
    assert execute(deduplicate, {"keys": "k", "order_by": ["LENGTH(v)", "at"]}, COLUMNS, rows).rows == [rows[1]]


@pytest.mark.parametrize("name", ["2024", "unit price", "order", "v.x", 'a"b', "at DESC", "current_user"])
def test_an_order_may_name_any_column_as_it_is(execute: Any, name: str) -> None:
    columns, rows = {"k": "INTEGER", "a": "INTEGER", name: "INTEGER"}, [(1, 9, 5), (1, 10, 4)]
    assert execute(deduplicate, {"keys": "k", "order_by": name.upper()}, columns, rows).rows == [rows[0]]
    assert execute(deduplicate, {"keys": "k", "order_by": f"{name} DESC"}, columns, rows).rows == [rows[1]]


@pytest.mark.parametrize(
    "options",
    [
        {"keys": ["k"]},
        {"keys": ["absent"], "order_by": "at"},
        {"keys": ["k"], "order_by": "absent"},
        {"keys": ["k", "K"], "order_by": "at"},
        {"keys": ["k"], "order_by": "10 // k"},
        {"keys": ["k"], "order_by": "2"},
        {"keys": ["k"], "order_by": "'at' DESC"},
    ],
)
def test_without_an_order_that_is_known_for_every_row_it_is_refused(given: Any, options: dict[str, Any]) -> None:
    with pytest.raises(FatalError):
        deduplicate.shapes(deduplicate.Options(type="deduplicate", **options), given(COLUMNS))
