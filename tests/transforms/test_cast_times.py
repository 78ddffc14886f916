"""Casts to and from dates, times and moments."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.transforms.casting import one

from headgate.core.errors import FatalError
from headgate.sql.shapes import Project
from headgate.transforms import cast


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, datetime | None, time | None, timedelta | None]:
    """A text, and what it says: day with time, or time alone (None: neither), and its zone's distance to UTC."""
    year, month, day = draw(st.sampled_from([24, 999, 1000, 1969, 2024, 9999])), draw(st.integers(1, 12)), 28
    hour, minute, second = (draw(st.sampled_from([0, 24]) | st.integers(0, last)) for last in (25, 60, 60))
    fraction = draw(st.sampled_from(["", ".5", ".123456", ".1234560", ".1234567"]))
    zone = draw(st.sampled_from(["", "", "Z", "+00:00", " UTC", "+02:00", "-11:30", "-02"]))
    day_text = draw(st.sampled_from(["", f"{year:04}-{month:02}-{day}", f"{year}-{month}-{day}"]))
    text = (
        f"{day_text}{draw(st.sampled_from('T ')) if day_text else ''}{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
    )
    digits = len(day_text.partition("-")[0])
    if hour > 23 or minute > 59 or second > 59 or fraction == ".1234567" or (day_text and digits < 4):
        return text, None, None, None
    clock = time(hour, minute, second, int(fraction[1:7].ljust(6, "0")))
    apart = {"+02:00": timedelta(hours=2), "-11:30": -timedelta(hours=11, minutes=30), "-02": -timedelta(hours=2)}
    zoned = apart.get(zone, timedelta(0))
    if day_text:
        return text, datetime.combine(date(year, month, day), clock), None, zoned
    return text, None, clock if zone == "" else None, zoned


@few
@for_all(moments())
def test_a_text_is_a_moment_or_time_only_if_nothing_of_it_is_lost(execute: Any, moment: Any) -> None:
    """A zone other than UTC is more than a TIMESTAMP holds, and a day or zone more than a TIME does."""
    text, whole, clock, apart = moment
    assert one(execute, text, "VARCHAR", "TIMESTAMP") == (whole if whole is not None and not apart else "held")
    assert one(execute, text, "VARCHAR", "TIME") == (clock if clock is not None else "held")
    midnight = whole is not None and whole.time() == time() and not apart
    assert one(execute, text, "VARCHAR", "DATE") == (whole.date() if midnight else "held")


WORDS = ("epoch", " EPOCH ", "infinity", "-infinity", "inf", "now", "today")
AFTER = ("2024-01-01 24:00:00", "2024-01-01T24:00:00", "2024-01-01 24:00", "9999-12-31 24:00:00Z")
"""Midnight by the name of the day before, which the engine reads as the next day."""


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        ("2024-01-31", "VARCHAR", "DATE", date(2024, 1, 31)),
        ("2024-02-30", "VARCHAR", "DATE", "held"),
        ("2024-01-31 00:00:00", "VARCHAR", "DATE", date(2024, 1, 31)),
        ("2024-01-31 10:00:00", "VARCHAR", "DATE", "held"),
        ("2024-01-31T10:00:00", "VARCHAR", "TIMESTAMP", datetime(2024, 1, 31, 10)),  # noqa: DTZ001
        ("2024-01-31T10:00:00.1234560", "VARCHAR", "TIMESTAMP", datetime(2024, 1, 31, 10, 0, 0, 123456)),  # noqa: DTZ001
        ("2024-01-31T10:00:00.1234567", "VARCHAR", "TIMESTAMP", "held"),
        ("2024-01-31 10:00:00+02:00", "VARCHAR", "TIMESTAMP", "held"),
        ("2024-01-31 10:00:00 Europe/Berlin", "VARCHAR", "TIMESTAMP", "held"),
        ("2024-01-31T10:00:00Z", "VARCHAR", "TIMESTAMP", datetime(2024, 1, 31, 10)),  # noqa: DTZ001
        ("24-01-31", "VARCHAR", "DATE", "held"),
        ("24-01-31 10:00", "VARCHAR", "TIMESTAMP", "held"),
        ("0024-01-31", "VARCHAR", "DATE", date(24, 1, 31)),
        *((word, "VARCHAR", kind, "held") for word in WORDS for kind in ("DATE", "TIMESTAMP", "TIME")),
        *((midnight, "VARCHAR", kind, "held") for midnight in AFTER for kind in ("DATE", "TIMESTAMP")),
        ("2024-01-31T10:24:00", "VARCHAR", "TIMESTAMP", datetime(2024, 1, 31, 10, 24)),  # noqa: DTZ001
        ("1970-01-01", "VARCHAR", "DATE", date(1970, 1, 1)),
        ("2024-01-31T00:00:00+02:00", "VARCHAR", "DATE", "held"),
        ("2024-01-31T00:00:00Z", "VARCHAR", "DATE", date(2024, 1, 31)),
        (" 2024-01-31\n", "VARCHAR", "DATE", date(2024, 1, 31)),
        ("2024-01-31", "VARCHAR", "TIME", "held"),
        ("10:00:00+02", "VARCHAR", "TIME", "held"),
        ("24:00:00", "VARCHAR", "TIME", "held"),
        ("10:00", "VARCHAR", "TIME", time(10)),
        (datetime(2024, 1, 31, 10), "TIMESTAMP", "DATE", "held"),  # noqa: DTZ001
        (datetime(2024, 1, 31), "TIMESTAMP", "DATE", date(2024, 1, 31)),  # noqa: DTZ001
        (date(2024, 1, 31), "DATE", "TIMESTAMP", datetime(2024, 1, 31)),  # noqa: DTZ001
    ],
)
def test_a_time_arrives_as_it_is_or_its_row_is_held(
    execute: Any, value: Any, source: str, target: str, result: Any
) -> None:
    assert one(execute, value, source, target) == result


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (datetime(2024, 1, 31, 10), "TIMESTAMP", "DATE", date(2024, 1, 31)),  # noqa: DTZ001
        ("2024-01-31 10:00", "VARCHAR", "DATE", date(2024, 1, 31)),
        ("2024-01-31 24:00", "VARCHAR", "DATE", "held"),
        ("epoch", "VARCHAR", "DATE", "held"),
        ("24-01-31", "VARCHAR", "DATE", "held"),
        ("infinity", "VARCHAR", "TIMESTAMP", "held"),
    ],
)
def test_round_cuts_times_and_takes_no_other_texts_for_them(
    execute: Any, value: Any, source: str, target: str, result: Any
) -> None:
    assert one(execute, value, source, target, round=True) == result


DAYS = st.dates().map(lambda day: f"{day.day:02}.{day.month:02}.{day.year:04}")


@for_all(
    st.lists(
        st.one_of(
            st.none(), DAYS, st.sampled_from(["", "soon", "epoch", "infinity", "30.02.2024", "29.02.2024", "1.1.24"])
        ),
        max_size=6,
    )
)
def test_dates_are_read_as_they_are_written(execute: Any, texts: list[str | None]) -> None:
    options = {"columns": {"d": {"type": "DATE", "format": "DD.MM.YYYY", "on_error": "null"}}}
    outcome = execute(cast, options, {"d": "VARCHAR"}, [(text,) for text in texts])
    expected = [day_of(text) for text in texts]
    assert outcome.rows == [(day,) for day in expected]
    assert outcome.nulled["cast d"] == sum(
        day is None and text is not None for day, text in zip(expected, texts, strict=True)
    )
    assert outcome.held == []


def day_of(text: str | None) -> date | None:
    try:
        return datetime.strptime(text or "", "%d.%m.%Y").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None


def test_a_time_of_day_does_not_vanish_in_a_date(execute: Any) -> None:
    rows = [("2024-01-31 00:00",), ("2024-01-31 10:20",)]
    options = {"columns": {"d": {"type": "DATE", "format": "YYYY-MM-DD HH24:MI"}}}
    outcome = execute(cast, options, {"d": "VARCHAR"}, rows)
    assert outcome.rows == [(date(2024, 1, 31),)]
    assert [row for row, _ in outcome.held] == [rows[1]]
    assert execute(cast, {**options, "round": True}, {"d": "VARCHAR"}, rows).rows == [(date(2024, 1, 31),)] * 2


def test_times_and_moments_have_formats_too_and_dates_are_written_by_them(execute: Any) -> None:
    columns = {"t": "VARCHAR", "d": "DATE", "u": "TIME"}
    options = {
        "columns": {
            "t": {"type": "TIME", "format": "HH24:MI"},
            "d": {"type": "VARCHAR", "format": "DD.MM.YYYY"},
            "u": {"type": "VARCHAR", "format": "HH24.MI"},
        }
    }
    rows = [("10:20", date(2024, 1, 31), time(10, 20))]
    assert execute(cast, options, columns, rows).rows == [(time(10, 20), "31.01.2024", "10.20")]


def test_a_moment_with_a_zone_is_that_moment(database: Any, given: Any) -> None:
    options = cast.Options(type="cast", columns={"z": {"type": "TIMESTAMPTZ", "format": "%Y-%m-%d %H:%M %z"}})
    [project] = cast.shapes(options, given({"z": "VARCHAR"}))
    assert isinstance(project, Project)
    value = project.columns[0][1].sql("duckdb")
    found = database.execute(f"SELECT CAST({value} AS VARCHAR) FROM (SELECT '2024-01-31 10:20 +0200' AS z)").fetchone()
    assert found == ("2024-01-31 08:20:00+00",)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"n": {"type": "DATE", "format": "YYYY"}}, "a format is about dates and times as text"),
        ({"t": {"type": "INTEGER", "format": "YYYY"}}, "a format is about dates and times as text"),
    ],
)
def test_a_format_where_there_is_no_date_is_refused(given: Any, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(FatalError, match=message):
        cast.shapes(cast.Options(type="cast", columns=columns), given({"n": "INTEGER", "t": "VARCHAR"}))


@pytest.mark.parametrize(
    ("pattern", "text", "moment"),
    [
        ("%d.%m.%Y %H:%M:%S.%f", "1.2.24 10:00:00.123456", None),
        ("%d.%m.%Y %H:%M:%S.%f", "1.2.2024 10:00:00.123456", "2024-02-01 10:00:00.123456"),
        ("DD.MM.YYYY HH24MI", "01.02.24 1234", None),
        ("DD.MM.YYYY HH24MI", "01.02.2024 1234", "2024-02-01 12:34:00"),
        ("DD.MM.YYYY", "01.02.0024", "0024-02-01 00:00:00"),
        ("DD.MM.YYYY", "infinity", None),
    ],
)
def test_digits_beside_a_short_year_do_not_make_it_a_long_one(
    execute: Any, pattern: str, text: str, moment: str | None
) -> None:
    outcome = execute(cast, {"columns": {"x": {"type": "TIMESTAMP", "format": pattern}}}, {"x": "VARCHAR"}, [(text,)])
    assert [str(row[0]) for row in outcome.rows] == ([moment] if moment else [])
    assert len(outcome.held) == (0 if moment else 1)
