from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import assume
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.quality.limits import in_order

from headgate.core.errors import FatalError
from headgate.quality import date_range

EDGES = [date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2000, 2, 29), date(2024, 3, 31), date(9999, 12, 31)]
DAYS = st.one_of(st.sampled_from(EDGES), st.dates())
MOMENTS = st.one_of(DAYS.map(lambda day: datetime.combine(day, time())), st.datetimes())
BOUNDS = st.one_of(st.none(), DAYS, MOMENTS, DAYS.map(str), MOMENTS.map(str))
ZONES = st.integers(-14, 14).map(lambda hours: f"{hours:+03d}:00")


def moment(value: Any) -> datetime:
    """A date is its midnight."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def inside(value: datetime | None, low: Any, high: Any) -> bool:
    return value is None or ((low is None or moment(low) <= value) and (high is None or value <= moment(high)))


@for_all(st.lists(st.one_of(st.none(), DAYS), max_size=5), BOUNDS, BOUNDS)
def test_days_lie_between_moments(judge: Any, days: list[date | None], low: Any, high: Any) -> None:
    assume(low is not None or high is not None)
    low, high = in_order(date_range.Options, low, high, type="date_range", column="x")
    found = judge(date_range, {"column": "x", "min": low, "max": high}, {"x": "DATE"}, [(day,) for day in days])
    assert found == [inside(None if day is None else moment(day), low, high) for day in days]


@for_all(st.lists(st.one_of(st.none(), MOMENTS), max_size=5), BOUNDS, BOUNDS)
def test_moments_lie_between_moments(judge: Any, values: list[datetime | None], low: Any, high: Any) -> None:
    assume(low is not None or high is not None)
    low, high = in_order(date_range.Options, low, high, type="date_range", column="x")
    rows = [(value,) for value in values]
    found = judge(date_range, {"column": "x", "min": low, "max": high}, {"x": "TIMESTAMP"}, rows)
    assert found == [inside(value, low, high) for value in values]


INNER = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1))  # noqa: DTZ001 - the zone comes with each


@for_all(st.lists(st.tuples(INNER, ZONES), max_size=4), INNER, ZONES)
def test_a_moment_with_a_zone_is_that_moment(judge: Any, values: list[Any], low: datetime, zone: str) -> None:
    texts = [f"{value}{its}" for value, its in values]
    last = low + timedelta(days=500_000) if low.year < 8000 else None
    options = {"column": "x", "min": f"{low}{zone}", "max": last}
    found = judge(date_range, options, {"x": "TIMESTAMPTZ"}, [(text,) for text in texts])
    first = datetime.fromisoformat(f"{low}{zone}")
    known = [datetime.fromisoformat(text) for text in texts]
    assert found == [first <= one and (last is None or one <= last.replace(tzinfo=UTC)) for one in known]


@for_all(st.integers(-100, 100), st.integers(0, 90), st.sampled_from(["TIMESTAMP", "TIMESTAMPTZ"]))
def test_now_is_when_rows_are_read_and_slack_reaches_beyond(judge: Any, minutes: int, slack: int, type_: str) -> None:
    assume(abs(minutes - slack) > 1)
    assume(abs(minutes + slack) > 1)
    value = datetime.now(UTC) + timedelta(minutes=minutes)
    for side, passes in (("max", minutes < slack), ("min", minutes > -slack)):
        options = {"column": "x", side: "now", "slack": f"{slack}m"}
        rows = [(value if type_ == "TIMESTAMPTZ" else value.replace(tzinfo=None),)]
        assert judge(date_range, options, {"x": type_}, rows) == [passes]


def test_only_dates_and_times_have_a_range_of_dates(given: Any) -> None:
    options = date_range.Options(type="date_range", column="x", max="now")
    with pytest.raises(FatalError, match="a date_range is about dates and times, but x is VARCHAR"):
        date_range.shapes(options, given({"x": "VARCHAR"}))


def test_a_range_without_bounds_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs min or max"):
        date_range.Options(type="date_range", column="x")
