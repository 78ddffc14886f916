from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from headgate.sql.orders import compared, refuse_empty, refuse_unordered

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (1, 2.5, "below"),
        (Decimal("0.1"), 0.5, "below"),
        (0.1, Decimal("0.1"), "equal"),
        (-0.0, 0, "equal"),
        (float("inf"), 1, "above"),
        (date(2024, 1, 1), date(2023, 1, 1), "above"),
        (NOON, NOON, "equal"),
        (NOON, NOON.replace(tzinfo=None), None),
        (date(2024, 1, 1), NOON, None),
        ("10", "9", None),
        (1, "9", None),
        (True, 0, None),
        (None, 1, None),
    ],
)
def test_limits_of_one_kind_are_compared_and_others_left_to_their_column(one: Any, other: Any, found: Any) -> None:
    assert compared(one, other) == found


def test_limits_that_meet_hold_a_value_unless_one_is_exclusive() -> None:
    refuse_empty(("min", "max"), 1, 1)
    with pytest.raises(ValueError, match="no value lies between min 1 and below 1"):
        refuse_empty(("min", "below"), 1, 1, strict=True)


def test_edges_grow() -> None:
    refuse_unordered((float("-inf"), 0, float("inf")), "bins")
    with pytest.raises(ValueError, match="bins grow, but 1 does not lie above 2"):
        refuse_unordered((0, 2, 1), "bins")
