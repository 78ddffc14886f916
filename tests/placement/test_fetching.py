"""Groups that a server makes for a target of any kind: the same groups, counts and receipt as the engine's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.placement.shops import Shop, make_shop

from headgate.plan.stages import Fetch
from headgate.queries.stages import words

ROWS = """
(1, 'a', 1.10, '2024-01-31', 2.5), (2, 'a', 2.20, '2024-02-29', 'NaN'), (3, 'A', -0.01, NULL, NULL),
(4, NULL, NULL, '0001-01-01', -0.0), (5, 'a ', 99999999.99, '9999-12-31', 1), (6, 'b', 0, '2024-01-31', 0)
"""
GROUPED: dict[str, Any] = {
    "type": "aggregate",
    "group_by": ["name"],
    "metrics": {"rows": "COUNT(*)", "paid": "SUM(price)", "ids": "SUM(id)", "last": "MAX(day)", "least": "MIN(price)"},
}
FILTER = {"type": "filter", "condition": "id <> 6"}
HAVING = {**GROUPED, "having": "SUM(id) > 3"}
MORE = {"type": "calculate", "columns": {"mean": "paid / rows"}}
RENAME = {"type": "rename", "columns": {"ids": "n"}}
WINDOW = {"type": "deduplicate", "keys": ["rows"], "order_by": "name"}


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    made = make_shop("postgres", request, tmp_path)
    made.execute(
        "CREATE TABLE t (id bigint, name text, price numeric(10,2), day date, weight float8)",
        f"INSERT INTO t VALUES {ROWS}",
    )
    return made


@pytest.fixture
def fetched(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No run of the test had the engine make the groups after all."""
    with caplog.at_level(logging.INFO, "headgate.fetch"):
        yield
    assert not caplog.get_records("call")


@pytest.mark.parametrize(
    "steps",
    [
        [GROUPED],
        [FILTER, GROUPED],
        [FILTER, HAVING, MORE],
        [GROUPED, MORE, WINDOW, RENAME],
    ],
    ids=["groups", "a filter, groups", "a filter, having, more", "groups, and steps over all of them"],
)
@pytest.mark.usefixtures("fetched")
def test_groups_come_in_place_of_the_rows(shop: Shop, steps: list[Any]) -> None:
    plan = shop.define(steps).plan()
    stage = next(stage for stage in plan.stages if isinstance(stage, Fetch))
    assert (plan.placement.place, plan.scans) == ("source", 1)
    assert "made by the source's server" in words(stage)
    assert shop.same()["rows"]["extracted"] == 6


@pytest.mark.usefixtures("fetched")
def test_rules_about_groups_are_the_engines(shop: Shop) -> None:
    rules = [
        {"type": "range", "column": "rows", "max": 1, "on_fail": "quarantine"},
        {"type": "unique", "columns": ["name"], "severity": "warning"},
    ]
    shop.define([FILTER, GROUPED], quality_rules=rules)
    assert shop.same()["rows"]["quarantined"] == 1


@pytest.mark.usefixtures("fetched")
def test_all_rows_are_one_group_also_when_there_are_none(shop: Shop) -> None:
    shop.define([FILTER, {**GROUPED, "group_by": []}])
    assert shop.same()["rows"]["loaded"] == 1
    shop.execute("DELETE FROM t")
    assert shop.same()["rows"]["loaded"] == 1


@pytest.mark.parametrize("change", ["price = 'NaN'", "day = 'infinity'", "id = 9223372036854775807"])
def test_what_the_engine_could_not_hold_ends_as_it_does_there(shop: Shop, change: str) -> None:
    shop.execute(f"UPDATE t SET {change} WHERE name = 'a'")
    shop.define([FILTER, GROUPED], error_handling={"on_row_error": "quarantine"})
    shop.same()


@pytest.mark.parametrize(
    ("steps", "others", "reason"),
    [
        ([{**GROUPED, "metrics": {"m": "AVG(price)"}}], {}, "AVG(price) is the engine's work"),
        ([{**GROUPED, "metrics": {"m": "SUM(weight)"}}], {}, "a sum of DOUBLE is the engine's work"),
        ([WINDOW | {"keys": ["name"]}, GROUPED], {}, "deduplication is the engine's work"),
        ([GROUPED], {"quality_rules": [{"type": "not_null", "column": "id", "stage": "extract"}]}, "a rule"),
    ],
)
def test_the_plan_says_why_the_engine_makes_the_groups(
    shop: Shop, steps: list[Any], others: dict[str, Any], reason: str
) -> None:
    placement = shop.define(steps, **others).plan().placement
    assert placement.place == "duckdb"
    assert reason in placement.reason.replace('"', "")


def test_a_trial_of_some_rows_makes_groups_of_these(shop: Shop) -> None:
    shop.define([GROUPED])
    assert shop.outcome("duckdb", limit=2)[0] == shop.outcome("auto", limit=2)[0]
