"""A row in error is found wherever the work is done: also one that leaves, and one that nothing else is asked of."""

from __future__ import annotations

from typing import Any

import pytest
from tests.movers import Movers
from tests.placement.test_parity import same

from headgate.plan.placement import FETCHED

SQUARES: dict[str, Any] = {"type": "calculate", "columns": {"square": "small * small"}}
WITHOUT: dict[str, Any] = {"type": "filter", "condition": "id <> 2"}
COUNT: dict[str, Any] = {"type": "aggregate", "metrics": {"rows": "COUNT(*)"}}
QUARANTINE = {"on_row_error": "quarantine"}


@pytest.fixture
def squared(movers: Movers) -> Movers:
    """The second row's squares are no numbers of their types."""
    movers.shop(
        "CREATE TABLE t (id int, small smallint, big bigint, price numeric(10,2), wide numeric(38,0), flag boolean)",
        "INSERT INTO t VALUES (1, 1, 1, 1.10, 1, true), (3, NULL, NULL, NULL, NULL, NULL)",
        f"INSERT INTO t VALUES (2, 32767, {2**63 - 1}, NULL, {10**38 - 1}, false)",
    )
    return movers


@pytest.mark.parametrize(
    "steps",
    [
        [SQUARES, WITHOUT],
        [SQUARES, {"type": "map", "columns": {"id": "id"}}],
        [SQUARES, {"type": "calculate", "columns": {"square": "CASE WHEN flag THEN square END"}}],
        [SQUARES, WITHOUT, COUNT],
    ],
    ids=["a filter drops it", "its column goes nowhere", "its value is not looked at", "it is in no group"],
)
def test_a_row_that_cannot_be_computed_is_held_back_whatever_follows(squared: Movers, steps: list[Any]) -> None:
    squared.define(steps, error_handling=QUARANTINE)
    assert squared.plan().placement.place == "source"
    assert same(squared, ["source"]).receipt["rows"]["quarantined"] == 1


def test_so_it_is_where_groups_are_fetched(squared: Movers) -> None:
    more = {"type": "calculate", "columns": {"half": "rows / 2"}}
    squared.define([SQUARES, COUNT, more], error_handling=QUARANTINE)
    assert squared.plan().placement.reason == FETCHED
    assert same(squared, ["source"]).receipt["rows"]["quarantined"] == 1


def test_a_row_that_was_dropped_before_is_not_computed(squared: Movers) -> None:
    squared.define([WITHOUT, SQUARES, COUNT])
    assert same(squared, ["source"]).receipt["rows"]["filtered"] == 1


@pytest.mark.parametrize(
    "condition",
    [
        "big < 100 AND big * big > 0",
        "NOT (big < 100 OR big * big > 0)",
        "1000 NOT BETWEEN big AND big * big",
        "big IN (big, big * big)",
        "price - wide < 0",
    ],
)
def test_a_condition_is_computed_whole_though_a_part_of_it_decides(squared: Movers, condition: str) -> None:
    squared.define([{"type": "filter", "condition": condition}], error_handling=QUARANTINE)
    assert squared.plan().placement.place == "source"
    assert same(squared, ["source"]).receipt["rows"]["quarantined"] == 1


def test_a_rule_whose_condition_cannot_be_computed_is_broken(squared: Movers) -> None:
    rule = {"type": "expression", "condition": "big > 100 OR big * big > 0", "severity": "warning"}
    squared.define([], [rule])
    (check,) = same(squared, ["source"]).receipt["checks"]
    assert check["failed_rows"] == 1, check
