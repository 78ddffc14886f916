from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.tables import COLUMNS, TABLES, Row, key

from headgate.quality import aggregate

PLACES = {name: place for place, name in enumerate(COLUMNS)}
HOLDS: dict[str, Any] = {
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
}


def order(value: Any) -> Any:
    """NaN is the largest of numbers."""
    return (1, 0) if isinstance(value, float) and math.isnan(value) else (0, value)


def total(values: list[Any]) -> Any:
    with localcontext(prec=60):
        return sum(values, Decimal(0)) if values else None


ASKED: dict[str, Any] = {
    "COUNT(*)": len,
    "COUNT(t)": lambda rows: sum(row[2] is not None for row in rows),
    "COUNT(DISTINCT f)": lambda rows: len({key(row[1]) for row in rows if row[1] is not None}),
    "SUM(i)": lambda rows: total([row[0] for row in rows if row[0] is not None]),
    "MIN(i)": lambda rows: min((row[0] for row in rows if row[0] is not None), default=None),
    "MAX(f)": lambda rows: max((row[1] for row in rows if row[1] is not None), key=order, default=None),
    "SUM(i) FILTER (WHERE t = 'a')": lambda rows: total(
        [row[0] for row in rows if row[0] is not None and row[2] == "a"]
    ),
    "MEDIAN(i)": lambda rows: middle(sorted(row[0] for row in rows if row[0] is not None)),
}


def middle(values: list[int]) -> float | None:
    half = len(values) // 2
    return (values[half] + values[-half - 1]) / 2 if values else None


def fails(asked: str, sign: str, limit: int, rows: list[Row]) -> bool:
    """NULL passes; NaN is above every number."""
    found = ASKED[asked](rows)
    if found is None:
        return False
    return not (sign == "<>" if isinstance(found, float) and math.isnan(found) else HOLDS[sign](found, limit))


CONDITIONS = st.tuples(st.sampled_from(list(ASKED)), st.sampled_from(list(HOLDS)), st.integers(-3, 8))


@few
@for_all(TABLES, CONDITIONS, st.lists(st.sampled_from(["t", "f", "day"]), min_size=1, max_size=2, unique=True))
def test_a_condition_holds_of_all_rows_or_of_each_group(
    judge: Any, rows: list[Row], condition: tuple[str, str, int], names: list[str]
) -> None:
    asked, sign, limit = condition
    options = {"condition": f"{asked} {sign} {limit}"}
    failed, _ = judge(aggregate, options, COLUMNS, rows)
    assert failed == int(fails(asked, sign, limit, rows))
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(key(row[PLACES[name]]) for name in names), []).append(row)
    wrong = sum(fails(asked, sign, limit, members) for members in groups.values())
    assert judge(aggregate, {**options, "group_by": names}, COLUMNS, rows) == (wrong, f"{wrong} groups")


@few
@for_all(TABLES)
def test_two_conditions_are_one_and_a_failing_one_outweighs_null(judge: Any, rows: list[Row]) -> None:
    """Three-valued logic: NULL and FALSE is FALSE."""
    options = {"condition": "SUM(i) <= 2 AND COUNT(*) < 4"}
    failed, _ = judge(aggregate, options, COLUMNS, rows)
    assert failed == int(len(rows) >= 4 or fails("SUM(i)", "<=", 2, rows))
