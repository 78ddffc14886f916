from __future__ import annotations

import pytest

from headgate.execute.remembered import comparable, remembered

DAY = 86_400.0


@pytest.mark.parametrize(
    ("reads", "alike"),
    [
        ("everything", ["everything"]),
        ("news", ["news"]),
        (DAY, [DAY, 23 * 3600.0, 25 * 3600.0]),
        (30 * DAY, [28 * DAY, 31 * DAY]),
        (7 * DAY, []),
    ],
)
def test_runs_that_read_more_or_less_are_others(reads: str | float, alike: list[str | float]) -> None:
    every: list[str | float] = ["everything", "news", DAY, 23 * 3600.0, 25 * 3600.0, 28 * DAY, 31 * DAY]
    past = [remembered({"rows": 100}, "", other) for other in every]
    assert [one["reads"] for one in comparable(past, "", reads)] == alike


def test_what_was_remembered_of_other_columns_is_not_compared() -> None:
    past = [remembered({"rows": rows}, about, "news") for rows, about in enumerate(["drift a", "drift b", "drift a"])]
    assert [one["rows"] for one in comparable(past, "drift a", "news")] == [0, 2]
    assert comparable([{"rows": 1, "reads": "news"}], "drift a", "news"), "a receipt that does not tell"
    assert remembered({}, "drift a", "news") == {}
