"""Fills of a clean step that look at other rows, of any types, in groups of several columns, several at once."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.tables import COLUMNS, ROWS, Row, key

from headgate.transforms import clean

TYPES = {**COLUMNS, "n": "INTEGER"}
SCALES = {"i": 0, "d": 4}
"""Exact numbers, and the digits that a mean of them is rounded to."""
VALUES = {"i": 7, "f": 0.5, "t": "Ω", "d": Decimal("1.25"), "day": date(1, 1, 2)}
FROM_ROWS = {"i": ["mean", "median"], "f": ["mean", "median"], "d": ["mean", "median"]}

Fill = dict[str, Any]


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows that often share values, with a number of their own, in any order."""
    known = draw(st.lists(ROWS, min_size=1, max_size=4))
    mixed = st.tuples(*(st.sampled_from([row[place] for row in known] + [None]) for place in range(len(COLUMNS))))
    rows = draw(st.lists(mixed, max_size=8))
    numbers = draw(st.permutations(range(len(rows))))
    return [(*row, number) for row, number in zip(rows, numbers, strict=True)]


@st.composite
def fills(draw: st.DrawFn) -> dict[str, Fill]:
    """A fill for each of some columns, in any order."""
    chosen: dict[str, Fill] = {}
    for name in draw(st.lists(st.sampled_from([*COLUMNS]), min_size=1, max_size=4, unique=True)):
        zero = ["zero"] if name in FROM_ROWS else []
        kinds = ["value", *zero, *FROM_ROWS.get(name, []), "mode", "forward", "backward"]
        kind = draw(st.sampled_from(kinds))
        chosen[name] = {"value": VALUES[name]} if kind == "value" else {"strategy": kind}
        if kind in ("forward", "backward"):
            chosen[name]["order_by"] = draw(st.sampled_from(["n", "n DESC", ["i", "n"], ["day DESC", "n"]]))
        if kind not in ("value", "zero"):
            chosen[name]["by"] = draw(st.lists(st.sampled_from([*TYPES]), max_size=3, unique=True)) or None
    return chosen


def is_given(fill: Fill) -> bool:
    return "value" in fill or fill["strategy"] == "zero"


def rank(value: Any) -> Any:
    """Sorts as SQL does: NaN above all."""
    return (isinstance(value, float) and math.isnan(value), 0 if value != value else value)


def half_away(number: Fraction, scale: int) -> Decimal:
    units = int(abs(number) * 10**scale + Fraction(1, 2))
    return Decimal((int(number < 0), tuple(map(int, str(units))), -scale))


def middle(values: list[Any]) -> list[Any]:
    inner = sorted(values, key=rank)
    return inner[(len(inner) - 1) // 2 : len(inner) // 2 + 1]


def average(name: str, values: list[Any]) -> Any:
    if name in SCALES:
        found = half_away(Fraction(sum(map(Fraction, values)), len(values)), SCALES[name])
        return int(found) if name == "i" else found
    return statistics.fmean(values) if all(map(math.isfinite, values)) else sum(values)


FROM_VALUES: dict[str, Callable[[str, list[Any]], Any]] = {
    "mean": average,
    "median": lambda name, values: average(name, middle(values)),
    "mode": lambda _, values: min(values, key=lambda value: (-Counter(map(key, values))[key(value)], rank(value))),
}


def by_order(order: list[str]) -> Callable[[dict[str, Any]], Any]:
    """NULL comes last, whether the order ascends or descends."""

    def point(value: Any, *, down: bool) -> Any:
        if value is None:
            return (True, 0)
        number = value.toordinal() if isinstance(value, date) else value
        return (False, -number if down else number)

    return lambda row: [point(row[one.split()[0]], down=one.endswith("DESC")) for one in order]


def filled(row: dict[str, Any], name: str, fill: Fill, rows: list[dict[str, Any]]) -> Any:
    """What replaces NULL in one row, of rows whose values that are given stand there already."""
    same = [other for other in rows if all(key(other[one]) == key(row[one]) for one in fill["by"] or ())]
    if "order_by" not in fill:
        values = [other[name] for other in same if other[name] is not None]
        return FROM_VALUES[fill["strategy"]](name, values) if values else None
    order = [fill["order_by"]] if isinstance(fill["order_by"], str) else fill["order_by"]
    place = by_order(order)
    line = sorted(same, key=place)
    before = [other[name] for other in line if other[name] is not None and place(other) < place(row)]
    after = [other[name] for other in line if other[name] is not None and place(other) > place(row)]
    nearest = before[-1:] if fill["strategy"] == "forward" else after[:1]
    return nearest[0] if nearest else None


def alike(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float) and math.isfinite(wanted) and found is not None:
        return math.isclose(found, wanted, rel_tol=1e-12, abs_tol=1e-12)
    return bool(key(found) == key(wanted))


@few
@for_all(tables(), fills())
def test_fills_see_what_others_are_given_and_not_what_others_find(
    execute: Any, rows: list[Row], chosen: dict[str, Fill]
) -> None:
    """Values and zeros come first, whichever column stands first; what comes from rows is seen by no other fill."""
    outcome = execute(clean, {"fill": chosen}, TYPES, rows)
    given = {name: fill.get("value", 0) for name, fill in chosen.items() if is_given(fill)}
    cleaned: list[dict[str, Any]] = [
        {name: given.get(name) if value is None else value for name, value in zip(TYPES, row, strict=True)}
        for row in rows
    ]
    gaps = [{name: chosen[name] for name in chosen if row[name] is None} for row in cleaned]
    expected = {
        row["n"]: row | {name: filled(row, name, fill, cleaned) for name, fill in gap.items()}
        for row, gap in zip(cleaned, gaps, strict=True)
    }
    found = [dict(zip(TYPES, row, strict=True)) for row in sorted(outcome.rows, key=lambda row: row[-1])]
    assert [one["n"] for one in found] == sorted(expected)
    for one in found:
        wanted = expected[one["n"]]
        assert all(alike(one[name], wanted[name]) for name in TYPES), (one, wanted)
    assert outcome.columns == {**TYPES, "d": "DECIMAL(38,4)"}


@pytest.mark.parametrize("zero", [{"value": 0}, {"strategy": "zero"}])
def test_a_zero_is_seen_by_other_fills_however_it_is_written(execute: Any, zero: Fill) -> None:
    rows = [(0, 4), (None, None)]
    for chosen in (
        {"g": zero, "x": {"strategy": "mean", "by": "g"}},
        {"x": {"strategy": "mean", "by": "g"}, "g": zero},
    ):
        found = execute(clean, {"fill": chosen}, {"g": "INTEGER", "x": "INTEGER"}, rows)
        assert found.rows == [(0, 4), (0, 4)]
