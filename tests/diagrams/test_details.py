"""Times and counts in pictures are those that people say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headgate.diagrams.pipelines.words import rows, seconds, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (0.0139, "14 ms"),
        (0.0001, "1 ms"),
        (1.4834, "1.48 s"),
        (90, "90 s"),
        (60, "1 min"),
        (300, "5 min"),
        (1234.5, "20 min 34 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (timedelta(days=7), "7 d"),
        (timedelta(minutes=30), "30 min"),
    ],
)
def test_times(value: float | timedelta, text: str) -> None:
    assert seconds(value) == text


def test_rows() -> None:
    assert [rows(0), rows(1), rows(1234567)] == ["0 rows", "1 row", "1,234,567 rows"]


def test_long_texts_are_cut_and_stay_on_one_line() -> None:
    assert short("SELECT a\n  FROM t") == "SELECT a FROM t"
    assert short("x" * 100, 10) == "xxxxxxxxx…"
