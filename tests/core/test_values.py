"""Values become plain JSON without losing anything."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.values import column_values, plain, row_values

ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30))])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(), st.binary(), st.dates(), st.times(),
    st.datetimes(timezones=ZONES), st.timedeltas(), st.uuids(),
)  # fmt: skip
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(values)
def test_every_value_is_strict_json(value: Any) -> None:
    json.dumps(plain(value), allow_nan=False)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()))
def test_what_json_has_stays_what_it_is(value: Any) -> None:
    assert json.loads(json.dumps(plain(value))) == value


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_no_digit_of_a_decimal_is_lost(value: Decimal) -> None:
    text = plain(value)
    assert Decimal(text) == value
    assert "E" not in text


@given(st.binary())
def test_bytes_come_back(value: bytes) -> None:
    assert base64.b64decode(plain(value)) == value


@given(st.dates(), st.times(), st.datetimes(timezones=st.none() | st.just(UTC)))
def test_dates_and_times_are_iso_text(day: date, clock: time, moment: datetime) -> None:
    assert date.fromisoformat(plain(day)) == day
    assert time.fromisoformat(plain(clock)) == clock
    assert datetime.fromisoformat(plain(moment)) == moment


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (timedelta(days=1, seconds=2, microseconds=500000), "P1DT2.5S"),
        (timedelta(0), "PT0S"),
        (timedelta(seconds=-1), "P-1DT86399S"),
        (datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00Z"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_that_json_lacks_are_text(value: Any, text: str) -> None:
    assert plain(value) == text


def test_intervals_keep_months_days_and_seconds_apart() -> None:
    values = pa.array([(14, 3, 1_500_000_000), (0, 0, -1), (1, 0, 0)], pa.month_day_nano_interval()).to_pylist()
    assert [plain(value) for value in values] == ["P14M3DT1.5S", "PT-0.000000001S", "P1M"]


def test_lists_and_maps_are_plain_all_the_way_down() -> None:
    assert plain({"a": [Decimal("1.10"), {"b": b"x"}]}) == {"a": ["1.10", {"b": "eA=="}]}


def test_moments_that_python_lacks_are_text_wherever_they_stand() -> None:
    days = [date(2024, 2, 29), None]
    assert column_values(pa.array(days)) == days
    beyond = pa.array([0, 2**31 - 1, -(2**31) + 1, 6585442, None], pa.int32()).cast(pa.date32())
    texts = [date(1970, 1, 1), "infinity", "-infinity", "20000-04-30", None]
    assert column_values(beyond) == texts
    moments = pa.array([2**63 - 1, -(10**17)], pa.int64()).cast(pa.timestamp("us", "UTC"))
    assert column_values(pa.chunked_array([moments])) == ["infinity", "-1199-02-15 14:13:20.000000Z"]
    nested = pa.StructArray.from_arrays([pa.ListArray.from_arrays([0, 2, 5], beyond)], ["l"])
    assert row_values(pa.table({"n": nested})) == [{"n": {"l": texts[:2]}}, {"n": {"l": texts[2:]}}]
