"""Cron texts and time zones are checked when they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.config.schedules import check_schedule, check_timezone

GOOD = [
    "0 2 * * *",
    "*/15 * * * *",
    "0 0 1 jan-mar MON,fri",
    "5,10-20/5 0-23 * * 7",
    "0 0 29 2 *",
    "0 0 31 2 1",
    "1/2 * * * *",
]
BAD = [
    "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "@daily",
    "a * * * *", "5-1 * * * *", "*/0 * * * *", "*/60 * * * *", "1,,2 * * * *", "- * * * *", "0 0 31 2 *", "0 0 30 2 *",
    "٣ * * * *",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_texts_that_come_true(text: str) -> None:
    assert check_schedule(text) == text


@pytest.mark.parametrize("text", BAD)
def test_texts_that_never_do(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_schedule(text)


@given(st.text(max_size=40))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    try:
        check_schedule(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/New_York"])
def test_zones_that_exist(name: str) -> None:
    assert check_timezone(name) == name


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "America", "/etc/localtime", "a\x00b"])
def test_zones_that_do_not(name: str) -> None:
    with pytest.raises(ValueError, match="not a time zone"):
        check_timezone(name)
