from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.quality.limits import in_order

from headgate.core.errors import FatalError
from headgate.quality import range as range_

WIDE = st.one_of(
    st.none(),
    st.integers(-(10**40), 10**40),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False),
)


def inside(value: Any, low: Any, high: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, float) and math.isnan(value):
        return False
    return (low is None or value >= low) and (high is None or value <= high)


def exact(bound: Any) -> Any:
    """A float in YAML means the decimal that was written."""
    return Decimal(repr(bound)) if isinstance(bound, float) else bound


@for_all(st.lists(st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)), max_size=4), WIDE, WIDE)
def test_integers(judge: Any, values: list[Any], low: Any, high: Any) -> None:
    if low is None and high is None:
        return
    low, high = in_order(range_.Options, low, high, type="range", column="x")
    found = judge(range_, {"column": "x", "min": low, "max": high}, {"x": "INTEGER"}, [(value,) for value in values])
    assert found == [inside(value, exact(low), exact(high)) for value in values]


@for_all(
    st.lists(st.one_of(st.none(), st.decimals(-(10**6), 10**6, places=2, allow_nan=False)), max_size=4), WIDE, WIDE
)
def test_decimals_never_pass_through_a_float(judge: Any, values: list[Any], low: Any, high: Any) -> None:
    if low is None and high is None:
        return
    low, high = in_order(range_.Options, low, high, type="range", column="x")
    found = judge(range_, {"column": "x", "min": low, "max": high}, {"x": "DECIMAL(10, 2)"}, [(v,) for v in values])
    assert found == [inside(value, exact(low), exact(high)) for value in values]


@for_all(
    st.lists(st.one_of(st.none(), st.floats()), max_size=4), st.floats(allow_nan=False), st.floats(allow_nan=False)
)
def test_doubles_and_nan_is_outside(judge: Any, values: list[Any], low: float, high: float) -> None:
    low, high = in_order(range_.Options, low, high, type="range", column="x")
    rows = [(value,) for value in values]
    assert judge(range_, {"column": "x", "min": low, "max": high}, {"x": "DOUBLE"}, rows) == [
        inside(v, low, high) for v in values
    ]
    assert judge(range_, {"column": "x", "min": low}, {"x": "DOUBLE"}, rows) == [inside(v, low, None) for v in values]


KINDS: dict[str, Any] = {
    "VARCHAR": st.text("aAä'💧\uffff ", max_size=3),
    "DATE": st.one_of(st.dates(), st.sampled_from([date.min, date.max, date(1970, 1, 1)])),
    "TIME": st.one_of(st.times(), st.sampled_from([time(0), time(23, 59, 59, 999999)])),
    "TIMESTAMP": st.one_of(st.datetimes(), st.sampled_from([datetime(1969, 12, 31, 23, 59, 59, 999999)])),  # noqa: DTZ001
}


@few
@for_all(st.sampled_from(list(KINDS)), st.data(), st.booleans())
def test_texts_and_times_lie_between_bounds_that_may_be_written_as_text(
    judge: Any, kind: str, data: st.DataObject, written: bool
) -> None:
    values = data.draw(st.lists(st.one_of(st.none(), KINDS[kind]), max_size=4))
    known = st.sampled_from([value for value in values if value is not None] or [data.draw(KINDS[kind])])
    low, high = (data.draw(st.one_of(st.none(), KINDS[kind], known)) for _ in range(2))
    if low is None and high is None:
        low = data.draw(KINDS[kind])
    low, high = in_order(range_.Options, low, high, type="range", column="x")
    options: dict[str, Any] = {"column": "x", "min": low, "max": high}
    if written and kind != "VARCHAR":
        options |= {end: options[end].isoformat() for end in ("min", "max") if options[end] is not None}
    found = judge(range_, options, {"x": kind}, [(value,) for value in values])
    assert found == [inside(value, low, high) for value in values]


@pytest.mark.parametrize(
    ("type_", "low", "high", "verdicts"),
    [
        ("INTEGER", 0, 5, {0: True, 5: True, 6: False, -1: False}),
        ("INTEGER", 0.5, 5.5, {0: False, 1: True, 5: True, 6: False}),
        ("DECIMAL(12, 2)", 0, 1000000, {Decimal("1000000.00"): True, Decimal("1000000.01"): False, Decimal("0"): True}),
        ("DECIMAL(4, 1)", None, 0.15, {Decimal("0.1"): True, Decimal("0.2"): False}),
        ("DECIMAL(38, 0)", 0.5, None, {Decimal("9" * 38): True, Decimal(0): False, Decimal(1): True}),
        ("DECIMAL(38, 0)", "1e400", None, {Decimal("9" * 38): False}),
        ("FLOAT", None, 0.1, {0.1: True}),
        (
            "DATE",
            date(2020, 1, 1),
            "2024-01-31",
            {date(2020, 1, 1): True, date(2024, 1, 31): True, date(2024, 2, 1): False},
        ),
        ("DATE", datetime(2020, 1, 1, 12), None, {date(2020, 1, 1): False, date(2020, 1, 2): True}),  # noqa: DTZ001
        ("DATE", None, "2020-01-01T12:00:00", {date(2020, 1, 1): True, date(2020, 1, 2): False}),
        ("DATE", datetime(9999, 12, 31, 1), None, {date(9999, 12, 31): False}),  # noqa: DTZ001
        ("DATE", date(1, 1, 1), date(9999, 12, 31), {date(1, 1, 1): True, date(9999, 12, 31): True}),
        ("TIMESTAMP", date(2020, 1, 1), None, {datetime(2020, 1, 1): True, datetime(2019, 12, 31, 23): False}),  # noqa: DTZ001
        (
            "TIMESTAMPTZ",
            "2020-01-01T01:00:00+01:00",
            None,
            {"2020-01-01 00:00:00+00": True, "2019-12-31 23:59:59+00": False},
        ),
        ("TIME", "08:00", time(18), {time(8): True, time(18, 0, 1): False}),
        ("VARCHAR", "b", "d", {"a": False, "b": True, "cä": True, "da": False}),
        ("BIGINT", -(10**30), 10**30, {2**63 - 1: True}),
        ("UTINYINT", -1, 300, {0: True, 255: True}),
    ],
)
def test_bounds_pass_and_are_of_the_columns_type(
    judge: Any, type_: str, low: Any, high: Any, verdicts: dict[Any, bool]
) -> None:
    options = {"column": "x", "min": low, "max": high}
    rows = [(value,) for value in verdicts]
    assert judge(range_, options, {"x": type_}, [*rows, (None,)]) == [*verdicts.values(), True]


@pytest.mark.parametrize(
    ("type_", "bound"),
    [
        ("INTEGER", "many"),
        ("INTEGER", date(2020, 1, 1)),
        ("VARCHAR", 5),
        ("DATE", 5),
        ("DATE", "soon"),
        ("TIMESTAMP", "2020-01-01T00:00:00Z"),
        ("TIME", "25:00"),
        ("TIME", "10:00+01:00"),
        ("BOOLEAN", 1),
        ("BLOB", "a"),
        ("INTEGER[]", 1),
        ("DOUBLE", "x"),
        ("VARCHAR", "a\0"),
    ],
)
def test_bounds_of_another_kind_are_refused(given: Any, type_: str, bound: Any) -> None:
    with pytest.raises(FatalError):
        range_.shapes(range_.Options(type="range", column="x", min=bound), given({"x": type_}))


def test_a_range_without_bounds_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs min or max"):
        range_.Options(type="range", column="x")


def test_the_message_says_what_was_expected(given: Any) -> None:
    step = given({"total": "INTEGER"})
    for bounds, message in (
        ({"min": 0, "max": 1000000}, "between 0 and 1000000"),
        ({"min": 0}, "at least 0"),
        ({"max": 9}, "at most 9"),
    ):
        assert range_.shapes(range_.Options(type="range", column="Total", **bounds), step).message == f"total {message}"
