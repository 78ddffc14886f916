from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.quality.conftest import NOW

from headgate.quality import row_count
from headgate.sql.shapes import Measured

BOUND = st.one_of(st.none(), st.integers(0, 5))


@for_all(st.integers(0, 6), BOUND, BOUND)
def test_the_bounds_pass(judge: Any, rows: int, low: int | None, high: int | None) -> None:
    if (low is None and high is None) or (low is not None and high is not None and low > high):
        return
    found = judge(row_count, {"min": low, "max": high}, {"x": "INTEGER"}, [(1,)] * rows)
    passes = (low is None or rows >= low) and (high is None or rows <= high)
    assert found == (0 if passes else 1, f"{rows} rows")


ALLOWED = st.one_of(
    st.none(), st.integers(0, 9), st.decimals(0, 100, places=2).map(lambda share: f"{share}%"), st.just("0.5 %")
)


@for_all(st.integers(0, 12_000), st.integers(0, 10_000), ALLOWED)
def test_a_number_is_hit_give_or_take_rows_or_a_share_of_it(rows: int, equals: int, allowed: int | str | None) -> None:
    options = row_count.Options(type="row_count", equals=equals, allowed_difference=allowed)
    judged = row_count.verdict(options, Measured(rows, {}, (), NOW))
    most: Any = allowed or 0
    if isinstance(most, str):
        most = Fraction(most.rstrip("% ")) * equals / 100
    assert judged.failed == int(abs(rows - equals) > most)


def test_the_message_says_what_was_expected(given: Any) -> None:
    step = given({"x": "INTEGER"})
    for bounds, message in (
        ({"min": 1}, "at least 1 rows"),
        ({"max": 2}, "at most 2 rows"),
        ({"min": 1, "max": 2}, "between 1 and 2 rows"),
    ):
        assert row_count.shapes(row_count.Options(type="row_count", **bounds), step).message == message


@pytest.mark.parametrize("options", [{}, {"min": -1}, {"min": 3, "max": 2}, {"min": 1, "on_fail": "quarantine"}])
def test_bounds_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        row_count.Options(type="row_count", **options)
