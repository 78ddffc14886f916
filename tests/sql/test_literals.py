from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from headgate.core.errors import FatalError
from headgate.sql.literals import literal, quote_name

TEXTS = st.text().filter(lambda text: "\0" not in text)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**127) + 1, 2**127 - 1),
    st.floats(allow_nan=False),
    st.decimals(-(10**18), 10**18, places=6),
    st.dates(),
    st.times(),
    st.datetimes(min_value=datetime(1600, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 - naive is a type
    st.timedeltas(timedelta(-(10**4)), timedelta(10**4)),
    TEXTS,
)


@pytest.fixture(scope="module")
def database() -> Any:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@for_all(VALUES)
def test_a_value_comes_back_as_it_was(database: Any, value: Any) -> None:
    (found,) = database.execute(f"SELECT {literal(value)}").fetchone()
    assert found == value
    if isinstance(value, float) and value == 0:
        assert math.copysign(1, found) == math.copysign(1, value)


def test_not_a_number_and_zones(database: Any) -> None:
    assert math.isnan(database.execute(f"SELECT {literal(float('nan'))}").fetchone()[0])
    moment = datetime(2024, 1, 31, 10, tzinfo=UTC)
    (same,) = database.execute(f"SELECT {literal(moment)} = TIMESTAMPTZ '2024-01-31 10:00:00+00'").fetchone()
    assert same


@for_all(TEXTS.filter(bool))
def test_a_name_is_one_name(database: Any, name: str) -> None:
    assert database.execute(f"SELECT 1 AS {quote_name(name)}").description[0][0] == name


@pytest.mark.parametrize("value", ["a\0b", Decimal("NaN"), Decimal("Infinity"), object(), [1], {"a": 1}, b"x"])
def test_what_no_literal_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(FatalError):
        literal(value)


@pytest.mark.parametrize("name", ["", "a\0"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(FatalError):
        quote_name(name)


def test_dates_and_times_are_typed() -> None:
    assert literal(date(2024, 1, 31)) == "CAST('2024-01-31' AS DATE)"
    assert literal(time(10, 20)) == "CAST('10:20:00' AS TIME)"
    assert literal(timedelta(microseconds=-1)) == "INTERVAL '-0.000001' SECOND"
