from __future__ import annotations

import math
from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.plan.projects import SmallProject

from headgate.core.errors import Code, FatalError
from headgate.sql.shapes import Project
from headgate.transforms import cast

FEW = st.integers(min_value=-(10**12), max_value=10**12)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9)
TEXTS = st.one_of(
    st.none(),
    st.text(alphabet="0123456789.+-eE x_", max_size=8),
    NUMBERS.map(lambda number: format(number, "f")),
    FEW.map(str),
    st.text(max_size=4).filter(lambda text: "\0" not in text),
)


def one(execute: Any, value: Any, source: str, target: str, **options: Any) -> Any:
    """The value after the cast, or "held"."""
    outcome = execute(cast, {"columns": {"x": target}, **options}, {"x": source}, [(value,)])
    assert len(outcome.rows) + len(outcome.held) == 1
    return outcome.rows[0][0] if outcome.rows else "held"


def plain_number(text: str) -> Decimal | None:
    """A number of digits, sign and point, with white space around; nothing else is an exact number's text."""
    import re

    return Decimal(text.strip()) if re.fullmatch(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*", text, re.ASCII) else None


@for_all(TEXTS)
@example(str(-(2**31)))
@example(str(-(2**31) - 1))
def test_text_becomes_the_integer_it_spells_or_the_row_is_held(execute: Any, text: str | None) -> None:
    found = one(execute, text, "VARCHAR", "INTEGER")
    number = plain_number(text) if text is not None else None
    if text is None:
        assert found is None
    elif number is None or number != number.to_integral_value() or not -(2**31) <= number < 2**31:
        assert found == "held"
    else:
        assert found == int(number)


def test_a_list_with_an_element_that_does_not_convert_is_held(execute: Any) -> None:
    assert one(execute, ["1", None, "-2"], "VARCHAR[]", "INTEGER[]") == [1, None, -2]
    assert one(execute, ["1", "x"], "VARCHAR[]", "INTEGER[]") == "held"
    assert one(execute, [1.5], "DOUBLE[]", "INTEGER[]") == "held"


@for_all(TEXTS)
def test_text_becomes_a_decimal_only_if_no_digit_is_lost(execute: Any, text: str | None) -> None:
    found = one(execute, text, "VARCHAR", "DECIMAL(8, 2)")
    if text is None:
        assert found is None
        return
    number = plain_number(text)
    if number is None or number != round(number, 2) or abs(number) >= 10**6:
        assert found == "held"
    else:
        assert found == number


DOUBLES = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.text(alphabet="0123456789.+-eE_ ", max_size=7),
    st.sampled_from(
        ["1e400", "-1e999", "1e-400", "inf", "-Infinity", "+-5", "-+5", "1_0", "1.", ".5", " 7 ", "", "1e39"]
    ),
)


@pytest.mark.parametrize(("target", "largest"), [("DOUBLE", 1.7976931348623157e308), ("FLOAT", 3.4028235677973366e38)])
@for_all(DOUBLES)
def test_text_becomes_the_nearest_double_or_the_row_is_held(
    execute: Any, target: str, largest: float, text: str
) -> None:
    """As Python reads it, but for underscores, and for numbers beyond the type's that Python takes for infinity."""
    found = one(execute, text, "VARCHAR", target)
    try:
        number = float(text) if "_" not in text else None
    except ValueError:
        number = None
    named = "inf" in text.lower()
    if number is None or (abs(number) >= largest and abs(number) != 1.7976931348623157e308 and not named):
        assert found == "held"
    elif target == "DOUBLE":
        assert found == number
    elif named or abs(number) < largest:
        assert found == pa.scalar(number, pa.float64()).cast(pa.float32()).as_py()
    else:
        assert found == "held"


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


@for_all(st.lists(st.tuples(st.sampled_from(["1", "x", "", None]), st.sampled_from(["2", "y", None])), max_size=6))
@pytest.mark.parametrize("on_error", ["null", "quarantine"])
def test_a_row_errs_by_the_columns_that_do_not_convert(execute: Any, on_error: str, rows: list[Any]) -> None:
    columns = {name: {"type": "INTEGER", "on_error": on_error} for name in ("a", "b")}
    outcome = execute(cast, {"columns": columns}, {"a": "VARCHAR", "b": "VARCHAR"}, rows)
    read = [tuple(int(text) if text in ("1", "2") else None for text in row) for row in rows]
    wrong = [
        tuple(
            f"cast {name}"
            for name, text, number in zip("ab", row, new, strict=True)
            if text != number and number is None
        )
        for row, new in zip(rows, read, strict=True)
    ]
    if on_error == "null":
        assert (outcome.rows, outcome.held) == (read, [])
        assert outcome.nulled == Counter(name for names in wrong for name in names)
    else:
        assert outcome.rows == [new for new, names in zip(read, wrong, strict=True) if not names]
        assert outcome.held == [(row, names) for row, names in zip(rows, wrong, strict=True) if names]


@for_all(st.one_of(st.none(), st.floats()))
def test_a_double_becomes_an_integer_only_if_it_is_one(execute: Any, value: float | None) -> None:
    found = one(execute, value, "DOUBLE", "BIGINT")
    if value is None:
        assert found is None
    elif math.isfinite(value) and value == int(value) and -(2**63) <= value < 2**63:
        assert found == int(value)
    else:
        assert found == "held"


@for_all(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_an_integer_becomes_a_double_only_if_it_stays_the_same(execute: Any, value: int) -> None:
    found = one(execute, value, "BIGINT", "DOUBLE")
    assert found == (float(value) if int(float(value)) == value and float(value) < 2**63 else "held")


@for_all(NUMBERS)
def test_a_decimal_loses_no_digit_unless_it_is_rounded(execute: Any, value: Decimal) -> None:
    exact = value.quantize(Decimal("0.01"), ROUND_HALF_UP, Context(prec=40))
    assert one(execute, value, "DECIMAL(20, 4)", "DECIMAL(18, 2)") == (exact if exact == value else "held")
    assert one(execute, value, "DECIMAL(20, 4)", "DECIMAL(18, 2)", round=True) == exact


@few
@example("0.005", 8.575)
@example("-0.005", 2.675)
@for_all(TEXTS, st.one_of(st.none(), st.floats(), st.integers(-(10**7), 10**7).map(lambda n: n / 200)))
def test_what_is_rounded_is_the_number_that_is_shown_and_one_that_does_not_fit_is_held(
    execute: Any, text: str | None, value: float | None
) -> None:
    columns = {"i": "INTEGER", "d": "DECIMAL(8, 2)"}
    number = None if text is None else plain_number(text)
    shown = None if value is None or not math.isfinite(value) else Decimal(repr(value))
    for given, its, kind in ((text, number, "VARCHAR"), (value, shown, "DOUBLE")):
        for name, target in columns.items():
            found = one(execute, given, kind, target, round=True)
            if given is None:
                assert found is None
                continue
            unit, limit = (Decimal(1), 2**31) if name == "i" else (Decimal("0.01"), 10**6)
            nearest = None if its is None else its.quantize(unit, ROUND_HALF_UP, Context(prec=400))
            fits = nearest is not None and -limit <= nearest < limit and (name == "i" or abs(nearest) < limit)
            assert found == (nearest if fits else "held"), (given, target)


WORDS = ("epoch", " EPOCH ", "infinity", "-infinity", "inf", "now", "today")
AFTER = ("2024-01-01 24:00:00", "2024-01-01T24:00:00", "2024-01-01 24:00", "9999-12-31 24:00:00Z")
"""Midnight by the name of the day before, which the engine reads as the next day."""


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        ("abc", "VARCHAR", "DOUBLE", "held"),
        ("1e3", "VARCHAR", "DOUBLE", 1000.0),
        ("", "VARCHAR", "INTEGER", "held"),
        ("0x10", "VARCHAR", "INTEGER", "held"),
        ("1_000", "VARCHAR", "INTEGER", "held"),
        ("1_000", "VARCHAR", "DOUBLE", "held"),
        ("1e2", "VARCHAR", "INTEGER", "held"),
        ("1e2", "VARCHAR", "DECIMAL(10, 2)", "held"),
        ("0xFFFFFFFFFF", "VARCHAR", "BIGINT", "held"),
        ("2.0", "VARCHAR", "INTEGER", 2),
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
        ("true", "VARCHAR", "BOOLEAN", True),
        ("maybe", "VARCHAR", "BOOLEAN", "held"),
        (2, "INTEGER", "BOOLEAN", "held"),
        (300, "INTEGER", "TINYINT", "held"),
        (99, "INTEGER", "TINYINT", 99),
        (Decimal("99.9"), "DECIMAL(3, 1)", "INTEGER", "held"),
        (float("nan"), "DOUBLE", "INTEGER", "held"),
        (float("inf"), "DOUBLE", "DECIMAL(38, 2)", "held"),
        (1e300, "DOUBLE", "FLOAT", "held"),
        (0.1, "DOUBLE", "DECIMAL(10, 2)", Decimal("0.10")),
        (0.1 + 0.2, "DOUBLE", "DECIMAL(10, 2)", "held"),
        (datetime(2024, 1, 31, 10), "TIMESTAMP", "DATE", "held"),  # noqa: DTZ001
        (datetime(2024, 1, 31), "TIMESTAMP", "DATE", date(2024, 1, 31)),  # noqa: DTZ001
        (date(2024, 1, 31), "DATE", "TIMESTAMP", datetime(2024, 1, 31)),  # noqa: DTZ001
        (Decimal("9" * 38), "DECIMAL(38, 0)", "DECIMAL(38, 1)", "held"),
        (Decimal("9" * 38), "DECIMAL(38, 0)", "VARCHAR", "9" * 38),
    ],
)
def test_a_value_arrives_as_it_is_or_its_row_is_held(
    execute: Any, value: Any, source: str, target: str, result: Any
) -> None:
    assert one(execute, value, source, target) == result


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (2.5, "DOUBLE", "INTEGER", 3),
        (-2.5, "DOUBLE", "INTEGER", -3),
        ("1.239", "VARCHAR", "DECIMAL(10, 2)", Decimal("1.24")),
        ("abc", "VARCHAR", "DECIMAL(10, 2)", "held"),
        (datetime(2024, 1, 31, 10), "TIMESTAMP", "DATE", date(2024, 1, 31)),  # noqa: DTZ001
        ("2024-01-31 10:00", "VARCHAR", "DATE", date(2024, 1, 31)),
        ("2024-01-31 24:00", "VARCHAR", "DATE", "held"),
        ("epoch", "VARCHAR", "DATE", "held"),
        ("24-01-31", "VARCHAR", "DATE", "held"),
        ("infinity", "VARCHAR", "TIMESTAMP", "held"),
    ],
)
def test_round_rounds_half_away_from_zero_and_cuts_times(
    execute: Any, value: Any, source: str, target: str, result: Any
) -> None:
    assert one(execute, value, source, target, round=True) == result


def test_a_held_row_is_as_it_was_with_every_column_that_failed(execute: Any) -> None:
    columns = {"a": "VARCHAR", "b": "VARCHAR", "c": "VARCHAR"}
    outcome = execute(cast, {"columns": {"a": "INTEGER", "b": "DATE"}}, columns, [("x", "y", "z"), ("1", None, "z")])
    assert outcome.held == [(("x", "y", "z"), ("cast a", "cast b"))]
    assert outcome.rows == [(1, None, "z")]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("INTEGER", "BIGINT"),
        ("INTEGER", "DOUBLE"),
        ("DECIMAL(10, 2)", "DECIMAL(12, 2)"),
        ("BIGINT", "DECIMAL(38, 2)"),
        ("FLOAT", "DOUBLE"),
        ("DATE", "VARCHAR"),
        ("DATE", "date"),
    ],
)
def test_widening_casts_are_not_checked(given: Any, source: str, target: str) -> None:
    (project,) = cast.shapes(cast.Options(type="cast", columns={"x": target}), given({"x": source}))
    assert isinstance(project, Project)
    assert project.flags == ()


def test_unknown_types_and_columns_name_the_nearest(given: Any) -> None:
    for columns, hint in (({"x": "INTEGR"}, "INTEGER"), ({"y": "DATE"}, "known: x")):
        with pytest.raises(FatalError) as caught:
            cast.shapes(cast.Options(type="cast", columns=columns), given({"x": "VARCHAR"}))
        assert hint in str(caught.value)


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


def test_what_becomes_null_is_counted_and_told(project: SmallProject) -> None:
    steps = [{"type": "cast", "columns": {"note": {"type": "INTEGER", "on_error": "null"}}}]
    receipt = project.define(steps=steps).run()
    assert project.out("SELECT id, note FROM out") == [(1, 1), (2, None), (3, 3), (4, None), (5, 5)]
    assert receipt.warnings == ("cast: cast note became NULL in 1 row",)
    assert receipt.rows.quarantined == 0


def test_a_column_may_be_stricter_than_the_pipeline(project: SmallProject) -> None:
    held = [{"type": "cast", "on_error": "quarantine", "columns": {"note": "INTEGER"}}]
    receipt = project.define(steps=held).run()
    assert (receipt.rows.quarantined, receipt.rows.loaded) == (1, 4)
    steps = [{"type": "cast", "columns": {"note": {"type": "INTEGER", "on_error": "fail"}}}]
    failed = project.define(steps=steps, error_handling={"on_row_error": "quarantine"}).attempt()
    assert failed.error_code is Code.ROW_ERROR


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
    ("source", "target"),
    [("INTEGER", "DATE"), ("DOUBLE", "TIMESTAMP"), ("BOOLEAN", "TIME"), ("DATE", "INTEGER"), ("TIME", "DATE"),
     ("BLOB", "INTEGER"), ("TIMESTAMPTZ", "DECIMAL(9, 2)"), ("DECIMAL(9, 2)", "BLOB"), ("TIME", "TIMESTAMP")],
)  # fmt: skip
def test_a_type_that_no_value_is_of_is_refused_and_the_engine_has_no_such_cast(
    database: Any, given: Any, source: str, target: str
) -> None:
    some = {"DATE": "DATE '2020-01-01'", "TIME": "TIME '01:00'", "TIMESTAMPTZ": "TIMESTAMPTZ '2020-01-01'"}
    some["BLOB"] = "'1'::BLOB"
    with pytest.raises(duckdb.ConversionException):
        database.execute(f"SELECT CAST(x AS {target}) FROM (SELECT CAST({some.get(source, '1')} AS {source}) AS x)")
    with pytest.raises(FatalError, match="no value of x, which is"):
        cast.shapes(cast.Options(type="cast", columns={"x": target}), given({"x": source}))
