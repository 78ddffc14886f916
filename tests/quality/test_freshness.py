from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.plan.projects import FILES, SmallProject
from tests.quality.conftest import NOW

from headgate.quality import freshness

FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001 - without a zone
AGES = st.one_of(
    st.timedeltas(timedelta(hours=-3), timedelta(days=4)),
    st.sampled_from([timedelta(hours=1), timedelta(days=1), timedelta(0), timedelta(hours=1, microseconds=1)]),
)
MOMENTS = st.one_of(st.none(), AGES.map(lambda age: (NOW - age).replace(tzinfo=None)), st.sampled_from([FIRST, LAST]))
BEYOND = ["infinity", "-infinity", "20000-01-01", "0044-03-15 (BC)"]
"""Days that the engine has, and Python has not."""


def judged(judge: Any, hours: int, kind: str, values: list[Any]) -> Any:
    options = freshness.Options(type="freshness", column="at", max_age=f"{hours}h")
    return judge.judged(freshness, options, {"at": kind}, [(value,) for value in values])


@pytest.mark.parametrize("kind", ["TIMESTAMP", "DATE", "TIMESTAMPTZ"])
@few
@for_all(st.lists(MOMENTS, max_size=5), st.integers(1, 72))
def test_the_newest_value_is_not_older_than_that(
    judge: Any, kind: str, values: list[datetime | None], hours: int
) -> None:
    """Times without a zone are in UTC, and a day ends at midnight; without values it fails."""
    days = [value.date() for value in values if value is not None]
    last = max(days, default=None) if kind == "DATE" else max((v for v in values if v is not None), default=None)
    given: list[Any] = [v.date() if v is not None and kind == "DATE" else v for v in values]
    if kind == "TIMESTAMPTZ":
        given = [None if v is None else f"{v}+00" for v in values]
    found = judged(judge, hours, kind, given)
    if last is None:
        assert (found.failed, found.observed, found.score) == (1, "no value", 0)
        return
    if isinstance(last, datetime):
        end = last
    else:
        end = datetime.combine(last + timedelta(days=1), time()) if last < date.max else LAST
    age = max(NOW - end.replace(tzinfo=UTC), timedelta(0))
    assert found.failed == int(age > timedelta(hours=hours))
    assert found.score == pytest.approx(min(timedelta(hours=hours) / age, 1) if age else 1, rel=1e-5)


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=119, seconds=59), "120m"),
        (timedelta(hours=47, minutes=30), "47.5h"),
        (timedelta(days=99, hours=23, minutes=59), "100d"),
        (timedelta(days=1004, hours=13), "1005d"),
        (timedelta(days=700_000), "700000d"),
    ],
)
def test_an_age_is_told_in_plain_numbers(judge: Any, age: timedelta, told: str) -> None:
    found = judged(judge, 1, "TIMESTAMP", [(NOW - age).replace(tzinfo=None)])
    assert found.observed.endswith(f", {told} old")


@pytest.mark.parametrize(
    ("kind", "value"), [("TIMESTAMP", LAST), ("DATE", date(9999, 12, 31)), ("DATE", date(2024, 3, 2))]
)
def test_a_value_in_the_future_passes_and_is_told(judge: Any, kind: str, value: date) -> None:
    """An open end among the values would make a table fresh for ever, unseen."""
    found = judged(judge, 1, kind, [value])
    assert (found.failed, found.observed.rpartition(", ")[2]) == (0, "in the future")
    assert judged(judge, 1, "DATE", [NOW.date()]).observed == "2024-03-01, 0s old"


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize("text", BEYOND)
def test_what_python_lacks_is_new_or_old(judge: Any, kind: str, text: str) -> None:
    assert judged(judge, 1, kind, [None, text]).failed == int(text in ("-infinity", "0044-03-15 (BC)"))


@pytest.mark.parametrize("text", BEYOND)
def test_a_run_shows_rows_with_what_python_lacks(tmp_path: Path, text: str) -> None:
    (tmp_path / "inbox").mkdir()
    rows = f"SELECT 1 AS id, TIMESTAMP '{text}' AS at, [DATE '{text}'] AS days"
    duckdb.sql(f"COPY ({rows}) TO '{tmp_path / 'inbox' / 'a.parquet'}'")
    bounds = {"min": "2024-01-01", "max": "2025-01-01"}
    rules = [{"type": "date_range", "column": "at", **bounds, "on_fail": "quarantine"}]
    target = {"connection": "inbox", "table": "out"}
    project = SmallProject(tmp_path).define(source={**FILES, "path": "*.parquet"}, rules=rules, target=target)
    (known,) = project.run().checks
    wanted = {"20000-01-01": "20000-01-01 00:00:00.000000", "0044-03-15 (BC)": "-0043-03-15 00:00:00.000000"}.get(
        text, text
    )
    assert [dict(row) for row in known.sample] == [{"at": wanted}]
    (entry,) = project.entries()
    assert [(row["id"], row["at"]) for row in project.held(entry["id"])] == [(1, wanted)]
