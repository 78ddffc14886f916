from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.tables import COLUMNS, DAYS, DECIMALS, FLOATS, INTS, TABLES, Row, key, keys

from headgate.core.errors import FatalError
from headgate.quality import accepted_values

TEXTS = st.sampled_from(["a", "A", "ä", "", "o'neil", "{{ ds }}", "💧"])


@for_all(
    st.lists(st.one_of(st.none(), TEXTS), max_size=6), st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=4)
)
def test_texts_are_spelled_alike_and_null_passes(judge: Any, rows: list[Any], values: list[Any]) -> None:
    found = judge(accepted_values, {"column": "x", "values": values}, {"x": "VARCHAR"}, [(row,) for row in rows])
    assert found == [row is None or row in values for row in rows]


ASKED: dict[str, Any] = {"i": INTS, "f": FLOATS, "d": DECIMALS, "day": DAYS}


@few
@for_all(TABLES, st.sampled_from(list(ASKED)), st.data())
def test_values_of_any_type_are_the_ones_that_equal_them(
    judge: Any, rows: list[Row], name: str, data: st.DataObject
) -> None:
    """NaN is NaN, and -0 is 0."""
    values = data.draw(st.lists(ASKED[name], min_size=1, max_size=4))
    known = {key(value) for value in values if value is not None}
    expected = [None in found or found[0] in known for found in keys(rows, [name])]
    assert judge(accepted_values, {"column": name, "values": values}, COLUMNS, rows) == expected


@pytest.mark.parametrize(
    ("type_", "values", "verdicts"),
    [
        ("INTEGER", [1, 2.0, 3.5, 10**20], {1: True, 2: True, 3: False}),
        ("DECIMAL(4, 1)", [0.1, 0.25], {Decimal("0.1"): True, Decimal("0.2"): False, Decimal("0.3"): False}),
        ("FLOAT", [0.1], {0.1: True}),
        ("DOUBLE", [float("nan"), 1], {float("nan"): True, 1.0: True, 2.0: False}),
        ("DATE", ["2024-01-31", "2024-02-01T10:00:00"], {date(2024, 1, 31): True, date(2024, 2, 1): False}),
        ("BOOLEAN", [True], {True: True, False: False}),
        ("INTEGER", [float("inf")], {1: False}),
    ],
)
def test_values_are_of_the_columns_type(judge: Any, type_: str, values: list[Any], verdicts: dict[Any, bool]) -> None:
    rows = [*((value,) for value in verdicts), (None,)]
    assert judge(accepted_values, {"column": "x", "values": values}, {"x": type_}, rows) == [*verdicts.values(), True]


def test_a_list_of_thousands_works_and_is_not_shown_whole(judge: Any, given: Any) -> None:
    options = {"column": "x", "values": list(range(5000))}
    assert judge(accepted_values, options, {"x": "INTEGER"}, [(4999,), (5000,)]) == [True, False]
    made = accepted_values.Options(type="accepted_values", **options)
    assert (
        accepted_values.shapes(made, given({"x": "INTEGER"})).message
        == "x is one of 0, 1, 2, 3, 4, 5, 6, 7 and 4992 more"
    )


@pytest.mark.parametrize(
    ("type_", "value"), [("VARCHAR", 1), ("INTEGER", "one"), ("BOOLEAN", "yes"), ("BLOB", "a"), ("INTEGER", True)]
)
def test_values_of_another_kind_are_refused(given: Any, type_: str, value: Any) -> None:
    with pytest.raises(FatalError):
        accepted_values.shapes(
            accepted_values.Options(type="accepted_values", column="x", values=[value]), given({"x": type_})
        )


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ValidationError):
        accepted_values.Options(type="accepted_values", column="x", values=[])
