"""Schedules in plain words say what cron does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.config.cron_words import in_words
from headgate.config.schedules import check_schedule


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 2 * * *", "2 AM Daily"),
        ("30 14 * * *", "2:30 PM Daily"),
        ("0 0 * * *", "12 AM Daily"),
        ("0 12 * * *", "12 PM Daily"),
        ("0 6,18 * * *", "6 AM and 6 PM Daily"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("* * * * *", "Every minute"),
        ("0 * * * *", "Every hour"),
        ("5 * * * *", "Every hour at minute 5"),
        ("0 */2 * * *", "Every 2 hours"),
        ("30 */6 * * *", "Every 6 hours at minute 30"),
        ("0 9-17 * * 1-5", "Every hour from 9 AM to 5 PM Monday to Friday"),
        ("*/10 9-17 * * mon-fri", "Every 10 minutes, every hour from 9 AM to 5 PM Monday to Friday"),
        ("0 3 * * 0", "3 AM every Sunday"),
        ("0 3 * * 7", "3 AM every Sunday"),
        ("0 3 * * mon,wed,fri", "3 AM on Monday, Wednesday and Friday"),
        ("0 3 * * 1-3,5", "3 AM on Monday to Wednesday and Friday"),
        ("0 0 1 * *", "12 AM on the 1st of the month"),
        ("0 0 1,15 * *", "12 AM on the 1st and 15th of the month"),
        ("0 0 13 * 5", "12 AM on the 13th of the month or every Friday"),
        ("0 0 1 1 *", "12 AM on the 1st of the month in January"),
        ("0 0 1 */3 *", "12 AM on the 1st of the month every 3 months"),
        ("0 0 */2 * *", "12 AM every 2 days"),
        ("7,37 * * * *", "Every hour at minute 7 and 37"),
        ("1-5 * * * *", "At minutes 1 to 5 of every hour"),
        ("*/7 * * * *", "At minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour"),
        ("0 0 * * */2", "12 AM on Sunday, Tuesday, Thursday and Saturday"),
        ("0 0 1 jan-mar,jun *", "12 AM on the 1st of the month in January to March and June"),
        ("@daily", "12 AM Daily"),
        ("@hourly", "Every hour"),
        ("@weekly", "12 AM every Sunday"),
    ],
)
def test_words(cron: str, words: str) -> None:
    assert in_words(cron) == words


@pytest.mark.parametrize(
    "text", ["@once", "", "0 2 * *", "0 2 * * * *", "0 99 * * *", "every day", "0 2 L * *", "{{ x }}"]
)
def test_what_is_no_cron_text_is_given_back(text: str) -> None:
    assert in_words(text) == text


item = st.sampled_from(["*", "0", "5", "1-5", "*/5", "1,3", "2-4/2", "3/2", "0-5,7"])


@given(st.lists(item, min_size=5, max_size=5).map(" ".join))
def test_every_schedule_that_is_accepted_has_words(cron: str) -> None:
    try:
        check_schedule(cron)
    except ValueError:
        return
    words = in_words(cron)
    assert words != cron
    assert words[0].isupper() or words[0].isdigit()
