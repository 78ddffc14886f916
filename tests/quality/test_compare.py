from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.tables import COLUMNS, NAMES, ROWS, TABLES, Row, keys

from headgate.quality import compare


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Tables that are the same but for their order, or but for one row, or of which one has nothing of the other."""
    rows = draw(TABLES)
    match draw(st.sampled_from(["same", "one", "other"])):
        case "same":
            return rows, draw(st.permutations(rows))
        case "one" if rows:
            return rows, [*rows[1:], draw(st.one_of(ROWS, st.sampled_from(rows)))]
        case _:
            return rows, draw(TABLES)


@few
@for_all(pairs(), NAMES)
def test_both_sides_have_the_same_rows_as_often_in_any_order(
    judge: Any, sides: tuple[list[Row], list[Row]], names: list[str]
) -> None:
    rows, other = sides
    failed, observed = judge(compare, {"table": "k", "columns": names}, COLUMNS, rows, others={"k": (COLUMNS, other)})
    apart = abs(len(rows) - len(other))
    same = Counter(keys(rows, names)) == Counter(keys(other, names))
    assert failed == (0 if same else max(apart, 1))
    differ = "" if same or apart else ", values differ"
    assert observed == f"{len(rows)} rows here, {len(other)} there{differ}"


@few
@for_all(st.integers(0, 8), st.integers(0, 8), st.one_of(st.integers(0, 9), st.integers(0, 100).map("{}%".format)))
def test_as_many_rows_give_or_take_some_or_a_share_of_the_other_side(
    judge: Any, here: int, there: int, allowed: int | str
) -> None:
    options = {"table": "k", "method": "count", "allowed_difference": allowed}
    failed, _ = judge(
        compare, options, {"x": "INTEGER"}, [(1,)] * here, others={"k": ({"y": "DATE"}, [(None,)] * there)}
    )
    apart = abs(here - there)
    holds = apart * 100 <= int(allowed[:-1]) * there if isinstance(allowed, str) else apart <= allowed
    assert failed == (0 if holds else apart)


NOON = datetime(2024, 2, 29, 12)  # noqa: DTZ001 - without a zone


@pytest.mark.parametrize(
    ("kind", "here", "other", "there", "same"),
    [
        ("INTEGER", 1, "DOUBLE", 1.0, True),
        ("INTEGER", 1, "DOUBLE", 1.4, False),
        ("INTEGER", 1, "DOUBLE", 1e10, False),
        ("INTEGER", 1, "DECIMAL(9, 2)", Decimal("1.25"), False),
        ("DECIMAL(9, 2)", Decimal("0.1"), "DOUBLE", 0.1, True),
        ("DECIMAL(9, 2)", Decimal("0.3"), "DOUBLE", 0.1 + 0.2, False),
        ("DATE", date(2024, 2, 29), "TIMESTAMP", NOON, False),
        ("DATE", date(2024, 2, 29), "TIMESTAMP", NOON - timedelta(hours=12), True),
        ("FLOAT", 0.5, "DOUBLE", 0.5 + 2**-40, True),
        ("INTEGER", 7, "VARCHAR", "7", True),
        ("INTEGER", 7, "VARCHAR", "seven", False),
        ("INTEGER", None, "VARCHAR", "seven", False),
        ("VARCHAR", "7", "INTEGER", 7, True),
        ("INTEGER", None, "DOUBLE", None, True),
    ],
)
def test_a_value_of_another_type_is_the_same_only_if_nothing_of_it_is_lost(
    judge: Any, kind: str, here: Any, other: str, there: Any, same: bool
) -> None:
    failed, _ = judge(compare, {"table": "k"}, {"x": kind}, [(here,)], others={"k": ({"x": other}, [(there,)])})
    assert failed == int(not same)
