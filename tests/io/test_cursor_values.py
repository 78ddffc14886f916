"""Positions as texts, and rows by their hashes: exact, whatever kind of value they are of."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.io.cursor_values import Kind, decode, earlier, encode, row_hash

VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**63), 2**64),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "text": st.text(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(timezones=st.just(UTC)),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_positions_are_text_that_comes_back_exactly(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])
    text = json.loads(json.dumps(encode(value, kind, "c")))
    assert decode(text, kind, "c") == value
    assert encode(decode(text, kind, "c"), kind, "c") == text


@given(st.dates() | st.datetimes(), st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_a_lag_goes_back_and_never_before_the_first_day(value: Any, lag: timedelta) -> None:
    start = earlier(value, lag)
    assert start <= value
    assert type(start) is type(value)


ODD = st.one_of(
    st.none(),
    st.integers(),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.floats(allow_nan=False),
    st.dates(),
)


@given(st.lists(ODD, max_size=4), st.lists(ODD, max_size=4))
def test_hashes_are_equal_exactly_where_rows_are(left: list[Any], right: list[Any]) -> None:
    def typed(row: list[Any]) -> list[Any]:
        """Numbers are equal to their text, since a source may deliver either."""
        return [(type(value), value) for value in map(as_text, row)]

    def as_text(value: Any) -> Any:
        return repr(value) if type(value) in (int, float) else value

    assert (row_hash(left) == row_hash(right)) == (typed(left) == typed(right))
    assert row_hash(left) == row_hash(list(left))


def test_equal_numbers_of_other_scale_have_one_hash() -> None:
    assert row_hash([Decimal("1.50")]) == row_hash([Decimal("1.5")])
    assert row_hash([True]) != row_hash([1])
