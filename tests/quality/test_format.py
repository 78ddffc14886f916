"""Formats against Python's own readers, and by example."""

from __future__ import annotations

import ipaddress
import re
import uuid
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few

from headgate.core.errors import FatalError
from headgate.quality import format as format_

ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda ip: ip.exploded),
    st.text("0123456789abcdef:.", max_size=20),
    st.lists(st.sampled_from(["", "0", "ffff", "1.2.3.4", "12345", "a"]), min_size=1, max_size=9).map(":".join),
)


def asked(judge: Any, name: str, values: list[Any], **more: Any) -> list[bool]:
    found: list[bool] = judge(
        format_, {"column": "x", "format": name, **more}, {"x": "VARCHAR"}, [(v,) for v in values]
    )
    return found


def readable(read: Any, value: Any) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


@for_all(st.lists(ADDRESSES, max_size=6))
def test_addresses_are_those_that_python_reads(judge: Any, values: list[str]) -> None:
    v4, v6 = asked(judge, "ipv4", values), asked(judge, "ipv6", values)
    assert v4 == [readable(ipaddress.IPv4Address, value) for value in values]
    assert v6 == [readable(ipaddress.IPv6Address, value) for value in values]
    assert asked(judge, "ip", values) == [a or b for a, b in zip(v4, v6, strict=True)]


@for_all(st.lists(st.one_of(st.uuids().map(str), st.none(), st.text("0123456789abcdefg-", max_size=36)), max_size=5))
def test_uuids(judge: Any, values: list[str | None]) -> None:
    expected = [v is None or (readable(uuid.UUID, v) and str(uuid.UUID(v)) == v.lower()) for v in values]
    assert asked(judge, "uuid", values) == expected


@for_all(
    st.lists(
        st.one_of(st.dates().map(str), st.text("0123456789-", max_size=10), st.sampled_from(["2023-02-29"])), max_size=6
    )
)
@pytest.mark.parametrize("spelling", ["YYYY-MM-DD", "%Y-%m-%d", "yyyy-MM-dd"])
def test_dates_of_a_format_exist_and_have_every_digit(judge: Any, spelling: str, values: list[str]) -> None:
    expected = [readable(lambda v: datetime.strptime(v, "%Y-%m-%d"), v) and len(v) == 10 for v in values]  # noqa: DTZ007
    assert asked(judge, "date_format", values, date_format=spelling) == expected
    assert asked(judge, "date", values) == expected


WRITTEN = {
    "DD.MM.YYYY HH:mm": r"\d\d\.\d\d\.\d{4} \d\d:\d\d",
    "%d.%m.%Y %H:%M": r"\d\d\.\d\d\.\d{4} \d\d:\d\d",
    "YYYYMMDD": r"\d{8}",
}
READ = {"YYYYMMDD": "%Y%m%d"}
PARTS = st.tuples(*(st.integers(first, last) for first, last in ((0, 32), (0, 13), (1, 2030), (0, 25), (0, 61))))


@few
@for_all(st.lists(PARTS, max_size=6), st.sampled_from([*WRITTEN]), st.sampled_from(["", " ", "0", "x"]))
def test_days_with_times_are_as_their_format_says(judge: Any, cases: list[Any], spelling: str, behind: str) -> None:
    values = [
        (f"{y:04}{m:02}{d:02}" if spelling == "YYYYMMDD" else f"{d:02}.{m:02}.{y:04} {hour:02}:{minute:02}") + behind
        for d, m, y, hour, minute in cases
    ]
    pattern = READ.get(spelling, "%d.%m.%Y %H:%M")
    expected = [
        readable(lambda v: datetime.strptime(v, pattern), v)  # noqa: DTZ007
        and re.fullmatch(WRITTEN[spelling], v) is not None
        for v in values
    ]
    assert asked(judge, "date_format", values, date_format=spelling) == expected


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, bool]:
    """A text in the form of a moment, and whether there is such a moment."""
    year, month, day = (
        draw(st.integers(1, 9999)),
        draw(st.integers(0, 13)),
        draw(st.sampled_from([0, 1, 28, 29, 30, 31, 32])),
    )
    clock = draw(st.tuples(st.integers(0, 25), st.integers(0, 60), st.integers(0, 60)))
    fraction = draw(st.sampled_from(["", ".5", ".123456789", "."]))
    zone = draw(st.sampled_from(["", "Z", "z", "+02:00", "-23:59", "+24:00", "+01:60", "+2:00", "x"]))
    text = f"{year:04}-{month:02}-{day:02}{draw(st.sampled_from('Tt _'))}{':'.join(f'{n:02}' for n in clock)}"
    there = readable(lambda parts: date(*parts), (year, month, day)) and clock <= (23, 59, 59) and max(clock[1:]) < 60
    good = "_" not in text and fraction != "." and zone not in ("+24:00", "+01:60", "+2:00", "x")
    return text + fraction + zone, there and good


@for_all(st.lists(moments(), max_size=6))
def test_moments_exist_and_have_a_time_of_day(judge: Any, cases: list[tuple[str, bool]]) -> None:
    assert asked(judge, "date-time", [text for text, _ in cases]) == [there for _, there in cases]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "email",
            ["a@b.de", "first.last+tag@sub.example.org", "o'neil@x.io"],
            ["a", "a@b", "@b.de", "a b@c.de", "a@b..de", ""],
        ),
        (
            "url",
            ["https://x.org/a?b#c", "http://1.2.3.4:80", "ftp://[::1]/"],
            ["x.org", "https://", "https://a b", "javascript:1"],
        ),
        ("phone", ["+4930123456"], ["030 123", "+0123456", "+49"]),
        (
            "date-time",
            ["2024-02-29T12:00:00Z", "2024-01-01 00:00:00.5+02:00"],
            ["2024-02-30T12:00:00Z", "2024-01-01", "2024-01-01T24:00:00Z"],
        ),
        ("hostname", ["a", "a-b.c"], ["-a", "a..b", "a_b"]),
        ("number", ["1", "-1.5e3", ".5"], ["", "1,5", "e5"]),
        ("time", ["23:59", "00:00:00.1"], ["24:00", "1:00"]),
    ],
)
def test_examples(judge: Any, name: str, good: list[str], bad: list[str]) -> None:
    assert asked(judge, name, [*good, *bad, None]) == [True] * len(good) + [False] * len(bad) + [True]


def test_values_of_a_type_that_has_the_format_pass(given: Any) -> None:
    for type_, name in (("DATE", "date"), ("UUID", "uuid"), ("INTEGER", "number")):
        options = format_.Options(type="format", column="x", format=name)
        assert format_.shapes(options, given({"x": type_})).holds.sql() == "TRUE"
    with pytest.raises(FatalError, match="about text"):
        format_.shapes(format_.Options(type="format", column="x", format="email"), given({"x": "INTEGER"}))


@pytest.mark.parametrize(
    "more", [{"format": "emial"}, {"format": "date_format"}, {"format": "date_format", "date_format": "Q"}]
)
def test_unknown_formats_are_refused(more: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        format_.Options(type="format", column="x", **more)
