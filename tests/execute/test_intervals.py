"""The time that a run is for, as the flags name it, and what its source may know."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan.projects import SmallProject

from headgate.core.contracts import Interval
from headgate.core.errors import Code, FatalError
from headgate.execute.intervals import interval_of, parse_time, read_context, work_folder
from headgate.execute.workspace import Workspace

TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 - times without a zone are UTC here


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_a_date_is_the_day_until_the_next(day: date) -> None:
    assert interval_of(day.isoformat(), None, None) == Interval(day.isoformat(), (day + timedelta(days=1)).isoformat())


@given(TIMES, TIMES)
def test_an_interval_has_a_start_before_its_end(low: datetime, high: datetime) -> None:
    if low < high:
        found = interval_of(None, low.isoformat(), high.isoformat())
        assert found is not None
        assert (parse_time(found.start), parse_time(found.end)) == (low, high)
    else:
        with pytest.raises(FatalError, match="the start is not before the end"):
            interval_of(None, low.isoformat(), high.isoformat())


@given(TIMES, st.integers(-14 * 60, 14 * 60))
def test_a_time_with_a_zone_is_turned_into_utc(moment: datetime, minutes: int) -> None:
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    assert parse_time(f"{moment.isoformat()}{sign}{hours:02}:{rest:02}") == moment - timedelta(minutes=minutes)


def test_equal_times_are_one_interval_however_they_are_written() -> None:
    day = interval_of("2024-01-31", None, None)
    assert day == interval_of(None, "2024-01-31T00:00", "2024-02-01")
    assert day == interval_of(None, "2024-01-31T01:00+01:00", "2024-02-01T00:00:00Z")


def test_no_flag_is_no_interval() -> None:
    assert interval_of(None, None, None) is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("2024-01-31", "2024-01-01", None), "--date stands alone"),
        (("2024-01-31", None, "2024-01-01"), "--date stands alone"),
        ((None, "2024-01-01", None), "--start and --end go together"),
        ((None, None, "2024-01-01"), "--start and --end go together"),
        (("31.01.2024", None, None), '"31.01.2024" is not a date'),
        ((None, "2024-01-01", "2024-13-01"), '"2024-13-01" is not a date'),
    ],
)
def test_other_flags_name_no_interval(flags: tuple[str | None, str | None, str | None], message: str) -> None:
    with pytest.raises(FatalError, match=message) as caught:
        interval_of(*flags)
    assert caught.value.code is Code.USAGE


def test_a_source_knows_variables_run_and_interval(project: SmallProject, tmp_path: Path) -> None:
    project.defaults = {"batch_size": 7}
    project.define()
    with Workspace.load(tmp_path) as workspace:
        interval = Interval("2024-01-31", "2024-01-31T06:00:00")
        context = read_context(workspace, "r1", interval, {"low": "5"})
        assert context.variables == {
            "var.low": "5",
            "run_id": "r1",
            "ds": date(2024, 1, 31),
            "interval_start": datetime(2024, 1, 31),  # noqa: DTZ001
            "interval_end": datetime(2024, 1, 31, 6),  # noqa: DTZ001
        }
        assert (context.root, context.interval, context.batch_size) == (tmp_path, interval, 7)
        assert read_context(workspace, "r1", None, {}).variables == {"run_id": "r1"}
        assert work_folder(workspace, "r1") == tmp_path / ".headgate" / "work" / "r1"
