"""Rules about all rows against what their documentation says, in plain Python over small tables.

Rules about single rows have their oracles beside them (test_range, test_format, test_schema and so on).
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from headgate.quality import aggregate, completeness, freshness, row_count, unique, volume
from headgate.sql.shapes import Measured

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
FLOATS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, -1.5, math.nan, math.inf]))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "ä", "A", "💧", "a "]))
INTS = st.one_of(st.none(), st.integers(-3, 3))
TABLES = st.lists(st.tuples(INTS, FLOATS, TEXTS), max_size=8)
COLUMNS = {"i": "INTEGER", "f": "DOUBLE", "t": "VARCHAR"}
FEW = settings(max_examples=50)
MANY = settings(max_examples=10_000, deadline=None)


def key(value: Any) -> Any:
    """Equal in SQL: NaN is NaN, and -0 is 0."""
    return "nan" if isinstance(value, float) and math.isnan(value) else value + 0.0 if value == 0 else value


def check_unique(judge: Any, rows: list[Any], names: list[str]) -> None:
    places = [list(COLUMNS).index(name) for name in names]
    keys = [tuple(key(row[place]) for place in places) for row in rows if all(row[p] is not None for p in places)]
    repeated = [count for count in Counter(keys).values() if count > 1]
    assert judge(unique, {"columns": names}, COLUMNS, rows)[0] == sum(repeated)


def check_completeness(judge: Any, rows: list[Any], name: str, threshold: float) -> None:
    place = list(COLUMNS).index(name)
    missing = sum(row[place] is None for row in rows)
    broken = bool(rows) and (len(rows) - missing) / len(rows) < threshold
    found, _ = judge(completeness, {"columns": [name], "threshold": threshold}, COLUMNS, rows)
    assert found == (missing if broken else 0)


def check_aggregate(judge: Any, rows: list[Any], limit: int) -> None:
    values = [row[0] for row in rows if row[0] is not None]
    failed, _ = judge(aggregate, {"condition": f"SUM(i) <= {limit} AND COUNT(*) < 7"}, COLUMNS, rows)
    too_many = len(rows) >= 7
    assert failed == int(too_many or (bool(values) and sum(values) > limit))
    groups: dict[Any, list[int]] = {}
    for number, _, text in rows:
        groups.setdefault(text, []).extend([] if number is None else [number])
    found, _ = judge(aggregate, {"condition": f"SUM(i) <= {limit}", "group_by": ["t"]}, COLUMNS, rows)
    assert found == sum(bool(group) and sum(group) > limit for group in groups.values())


def check_freshness(ages: list[int | None], hours: int) -> None:
    options = freshness.Options(type="freshness", column="at", max_age=f"{hours}h")
    known = [NOW - timedelta(minutes=age) for age in ages if age is not None]
    newest = max(known, default=None)
    judged = freshness.verdict(options, Measured(len(ages), {}, (newest,), NOW))
    assert judged.failed == int(newest is None or NOW - newest > timedelta(hours=hours))
    assert judged.score is not None
    assert 0 <= judged.score <= 1


def check_volume(past: list[int], rows: int) -> None:
    options = volume.Options(type="volume", min_runs=3)
    judged = volume.verdict(options, Measured(rows, {}, (), NOW, [{"rows": one} for one in past]))
    assert judged.remember == {"rows": rows}
    assert judged.evaluated == (len(past) >= 3)
    if judged.evaluated:
        middle = median(past)
        scale = max(1.4826 * median(abs(one - middle) for one in past), 0.01 * middle, 1)
        assert judged.failed == int(abs(rows - middle) / scale > 3.5)


def check_row_count(rows: int, equals: int, allowed: int) -> None:
    options = row_count.Options(type="row_count", equals=equals, allowed_difference=f"{allowed}%")
    judged = row_count.verdict(options, Measured(rows, {}, (), NOW))
    assert judged.failed == int(abs(rows - equals) * 100 > allowed * equals)


NAMES = st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=3, unique=True)


@FEW
@for_all(rows=TABLES, names=NAMES, threshold=st.floats(0, 1), limit=st.integers(-5, 5))
def test_rules_about_all_rows_are_as_documented(
    judge: Any, rows: list[Any], names: list[str], threshold: float, limit: int
) -> None:
    check_unique(judge, rows, names)
    check_completeness(judge, rows, names[0], threshold)
    check_aggregate(judge, rows, limit)


@pytest.mark.long
@MANY
@for_all(rows=TABLES, names=NAMES, threshold=st.floats(0, 1), limit=st.integers(-5, 5))
def test_rules_about_all_rows_are_as_documented_often(
    judge: Any, rows: list[Any], names: list[str], threshold: float, limit: int
) -> None:
    check_unique(judge, rows, names)
    check_completeness(judge, rows, names[0], threshold)
    check_aggregate(judge, rows, limit)


HISTORY = st.lists(st.integers(0, 10_000), max_size=12)


@FEW
@for_all(
    ages=st.lists(st.one_of(st.none(), st.integers(-60, 5000)), max_size=5),
    hours=st.integers(1, 72),
    past=HISTORY,
    rows=st.integers(0, 12_000),
    allowed=st.integers(0, 100),
)
def test_rules_about_time_and_history_are_as_documented(
    ages: list[int | None], hours: int, past: list[int], rows: int, allowed: int
) -> None:
    check_freshness(ages, hours)
    check_volume(past, rows)
    check_row_count(rows, past[0] if past else 0, allowed)


@pytest.mark.long
@MANY
@for_all(past=HISTORY, rows=st.integers(0, 12_000), allowed=st.integers(0, 100))
def test_rules_about_history_are_as_documented_often(past: list[int], rows: int, allowed: int) -> None:
    check_volume(past, rows)
    check_row_count(rows, past[0] if past else 0, allowed)
