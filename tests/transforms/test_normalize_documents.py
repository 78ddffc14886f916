"""Documents that say less than they seem to: nothing in them is lost, rounded or delivered twice in silence."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.plan.projects import FILES, SmallProject

from headgate.commands.handle import handle
from headgate.commands.models import MendQuarantine
from headgate.execute.workspace import Workspace
from headgate.transforms import normalize

LINES = {"lines": {"name": "lines", "keys": ["id"]}}
HOLD = {"on_row_error": "quarantine"}


def test_a_document_that_is_no_list_is_a_row_error_and_not_a_list_of_nothing(execute: Any) -> None:
    rows = [(1, "[1, 2]"), (2, "[1, 2"), (3, '{"a": 1}'), (4, "null"), (5, None), (6, '"x"'), (7, "[]")]
    outcome = execute(normalize, {"explode": LINES}, {"id": "INTEGER", "lines": "VARCHAR"}, rows)
    assert outcome.rows == [(1,), (4,), (5,), (7,)]
    assert [(row[0], flags) for row, flags in outcome.held] == [(number, ("normalize lines",)) for number in (2, 3, 6)]
    assert outcome.branches["lines"].rows == [(1, 1, "1"), (1, 2, "2")]


@pytest.mark.parametrize("type_", ["DECIMAL(38, 2)", "VARCHAR"])
def test_a_number_that_the_engine_would_round_is_a_row_error(execute: Any, type_: str) -> None:
    rows = [
        (1, '{"a": {"n": 1234567890123456.78}}'),
        (2, '{"a": {"n": 12.50}, "n": 1e2}'),
        (3, '{"lat": 52.520006599999999, "a": {"n": 7.25}}'),
        (4, '{"a": {"n": "1234567890123456.78"}}'),
        (5, '{"a": {"n": 12345678901234567890}}'),
    ]
    outcome = execute(normalize, {"fields": {"j": {"a.n": type_}}}, {"id": "INTEGER", "j": "VARCHAR"}, rows)
    assert [(row[0], flags) for row, flags in outcome.held] == [(1, ("normalize j_a_n",))]
    exact = [Decimal("12.5"), Decimal("7.25"), Decimal("1234567890123456.78"), Decimal(12345678901234567890)]
    assert [Decimal(value) for _, value in outcome.rows] == exact


def test_a_double_is_the_nearest_one_as_everywhere(execute: Any) -> None:
    rows = [('{"n": 0.1234567890123456789}',)]
    outcome = execute(normalize, {"fields": {"j": {"n": "DOUBLE"}}}, {"j": "VARCHAR"}, rows)
    assert (outcome.rows, outcome.held) == ([(0.12345678901234568,)], [])


def test_elements_whose_numbers_would_be_rounded_hold_their_row(execute: Any) -> None:
    explode = {"lines": {"name": "lines", "keys": ["id"], "fields": {"n": "DECIMAL(38, 2)"}}}
    rows = [(1, '[{"n": 1.5}]'), (2, '[{"n": 2}, {"n": 1234567890123456.78}]')]
    outcome = execute(normalize, {"explode": explode}, {"id": "INTEGER", "lines": "VARCHAR"}, rows)
    assert outcome.rows == [(1,)]
    assert outcome.branches["lines"].rows == [(1, 1, Decimal("1.5"))]


def test_elements_that_are_taken_whole_keep_their_digits_or_hold_their_row(execute: Any) -> None:
    """What stands in a text of theirs, quotes and all, is no number."""
    explode = {"lines": {"name": "lines", "keys": ["id"]}}
    whole = ['"at: 48.13743000000000001, 11.5"', r'"\"[0.1234567890123456789"', "12345678901234567890", "[0.5]"]
    rounded = ["0.1234567890123456789", '[{"a": -0.1234567890123456789}]', '"\\\\", 1234567890123456.78']
    rows = [(number, f"[1, {one}]") for number, one in enumerate([*whole, *rounded])]
    outcome = execute(normalize, {"explode": explode}, {"id": "INTEGER", "lines": "VARCHAR"}, rows)
    assert [row[0] for row in outcome.rows] == list(range(len(whole)))
    assert [flags for _, flags in outcome.held] == [("normalize lines",)] * len(rounded)
    assert [value for _, place, value in outcome.branches["lines"].rows if place == 2] == whole


def orders(project: SmallProject) -> SmallProject:
    lines = [
        {"id": 1, "note": '{"n": 1}', "lines": [{"sku": "a", "n": 2}, {"sku": "b", "n": "many"}]},
        {"id": 2, "note": '{"n": "x"}', "lines": [{"sku": "c", "n": 1}]},
    ]
    step = {
        "type": "normalize",
        "fields": {"note": {"n": "INTEGER"}},
        "explode": {"lines": {"name": "lines", "keys": "id", "fields": {"sku": "VARCHAR", "n": "INTEGER"}}},
    }
    return project.file("orders.jsonl", "".join(json.dumps(line) + "\n" for line in lines)).define(
        source={**FILES, "path": "*.jsonl"},
        steps=[step],
        targets=[{"table": "orders"}, {"table": "order_lines", "from": "lines"}],
        error_handling=HOLD,
    )


def test_the_rows_of_a_list_wait_with_the_row_that_is_held_back(project: SmallProject) -> None:
    orders(project).run()
    assert project.out("SELECT id, sku FROM order_lines") == [(1, "a")]
    (entry,) = [entry["id"] for entry in project.entries() if entry["rule"] == "normalize note_n"]
    with Workspace.load(project.root) as workspace:
        handle(MendQuarantine(entry_id=entry, values={"note": "'{\"n\": 7}'"}), workspace).unwrap()
    assert project.out("SELECT * FROM orders") == [(1, 1), (2, 7)]
    assert project.out("SELECT id, sku FROM order_lines") == [(1, "a"), (2, "c")]


def test_an_element_that_is_held_back_is_kept_whole(project: SmallProject) -> None:
    orders(project).run()
    (entry,) = [entry["id"] for entry in project.entries() if entry["rule"] == "normalize n"]
    (held,) = project.held(entry)
    assert (held["id"], held["position"], json.loads(held["lines"])) == (1, 2, {"sku": "b", "n": "many"})
