"""Texts as numbers: exactly those that people would read so, told the same by the quick and the slow way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import isinf

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headgate.sql.casts import exact_cast, formatted_cast
from headgate.sql.types import parse_type

WHOLE = {"TINYINT": 7, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
DECIMALS = {"DECIMAL(8,2)": (6, 2), "DECIMAL(18,0)": (18, 0), "DECIMAL(38,10)": (28, 10)}
FLOATS = ("FLOAT", "DOUBLE")

DIGITS = st.text(alphabet="0123456789", min_size=1, max_size=20)
SIGNS = st.sampled_from(["", "", "-", "+"])
EXPONENTS = st.builds("{}{}{}".format, st.sampled_from("eE"), SIGNS, st.integers(0, 20))
NUMBERS = st.builds(
    "{}{}{}{}{}".format, SIGNS, DIGITS, st.sampled_from(["", "", ".", ".0", ".00", ".5", ".25"]),
    st.just(""), st.one_of(st.just(""), EXPONENTS),
)  # fmt: skip
UNDERSCORED = st.builds("{}_{}{}".format, DIGITS, DIGITS, st.sampled_from(["", ".5", "_1", "e2"]))
BASED = st.builds(
    "{}{}{}".format, SIGNS, st.sampled_from(["0x", "0X", "0b", "0o"]), st.text("0123456789abcdefF", max_size=14)
)
SPACED = st.builds("{}{}{}".format, st.sampled_from(["", " ", "\t", "\v"]), NUMBERS, st.sampled_from(["", " ", "\n"]))
ODD = st.one_of(
    st.text(alphabet="0123456789.+-eE x_,'", max_size=10), st.sampled_from(["inf", "nan", "", "1,000", "١٢"])
)
TEXTS = st.lists(st.one_of(NUMBERS, UNDERSCORED, BASED, SPACED, ODD, st.none()), min_size=1, max_size=25)


def spelt(text: str) -> Decimal | None:
    """What the text says, without an exponent."""
    found = re.fullmatch(r"[\s]*([+-]?([0-9]+\.?[0-9]*|\.[0-9]+))\s*", text, re.ASCII)
    return Decimal(found[1]) if found else None


def whole(text: str, bits: int) -> bool:
    number = spelt(text)
    return number is not None and number == int(number) and -(2**bits) <= number < 2**bits


def decimal(text: str, digits: int, scale: int) -> bool:
    number = spelt(text)
    return number is not None and (Fraction(number) * 10**scale).denominator == 1 and abs(number) < 10**digits


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def judged(database: duckdb.DuckDBPyConnection, texts: list[str | None], target: str) -> list[tuple[object, ...]]:
    """(text, value, wrong, clear, plain) of each text."""
    from sqlglot import exp

    cast = exact_cast(exp.column("x"), parse_type("VARCHAR"), parse_type(target))
    parts = [cast.value, cast.wrong, cast.clear, cast.plain]
    shown = ", ".join(part.sql("duckdb") if part is not None else "NULL" for part in parts)
    return database.execute(f"SELECT x, {shown} FROM (SELECT unnest(?::VARCHAR[]) AS x)", [texts]).fetchall()


def check(rows: list[tuple[object, ...]], right: dict[str, bool]) -> None:
    for text, value, wrong, clear, plain in rows:
        if text is None:
            assert (value, bool(wrong)) == (None, False)
            continue
        assert isinstance(text, str)
        assert bool(wrong) is not right[text], (text, value)
        assert not clear or right[text], ("clear", text, value)
        assert not plain or right[text], ("plain", text, value)


@settings(max_examples=150)
@given(TEXTS, st.sampled_from(sorted(WHOLE)))
@example(
    ["1e2", "1E2", "12e2", "+1e3", ".5e4", "1_000", "1_00_0", "0x10", "0xFFFFF", "0xFFFFFFFFFF", "1.5e3"], "BIGINT"
)
@example(
    ["0", "-0", "00", "0.0", ".0", "100", "-100", "+5", "5.", "5.0", " 5 ", "120", "9" * 18, "1" + "0" * 17], "BIGINT"
)
def test_a_whole_number_is_written_with_digits(
    database: duckdb.DuckDBPyConnection, texts: list[str | None], target: str
) -> None:
    right = {text: whole(text, WHOLE[target]) for text in texts if text is not None}
    rows = judged(database, texts, target)
    check(rows, right)
    for text, value, *_ in rows:
        if isinstance(text, str) and right[text]:
            assert value == int(spelt(text) or 0)


@settings(max_examples=150)
@given(TEXTS, st.sampled_from(sorted(DECIMALS)))
@example(["1e2", "1_0.5", "1.5e1", "0.04", "12.5", "1.005", "5.", ".5", "+.5", "1e-2", "0x10"], "DECIMAL(8,2)")
def test_a_decimal_is_written_with_digits_and_a_point(
    database: duckdb.DuckDBPyConnection, texts: list[str | None], target: str
) -> None:
    right = {text: decimal(text, *DECIMALS[target]) for text in texts if text is not None}
    rows = judged(database, texts, target)
    check(rows, right)
    for text, value, *_ in rows:
        if isinstance(text, str) and right[text]:
            assert value == spelt(text)


@settings(max_examples=150)
@given(TEXTS, st.sampled_from(FLOATS))
@example(["1e2", "1_000", "1_0e2", "-1.5E-3", "inf", "nan"], "DOUBLE")
@example(["40000000000000000000e19", "-inf"], "FLOAT")
def test_a_double_may_have_an_exponent_and_no_underscore(
    database: duckdb.DuckDBPyConnection, texts: list[str | None], target: str
) -> None:
    for text, value, wrong, clear, plain in judged(database, texts, target):
        if text is None:
            assert not wrong
            continue
        assert isinstance(text, str)
        beyond = isinstance(value, float) and isinf(value) and "inf" not in text.lower()
        right = value is not None and "_" not in text and not beyond
        assert bool(wrong) is not right, text
        assert bool(clear) is right
        assert bool(plain) is right
        if right and target == "DOUBLE":
            assert value == pytest.approx(float(text), nan_ok=True)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**13) + 1, max_value=10**13 - 1))
def test_what_a_database_writes_as_a_decimal_needs_only_convert(
    database: duckdb.DuckDBPyConnection, value: Decimal
) -> None:
    """Both ways give the value, and hold back what a database says in place of one."""
    from sqlglot import exp

    texts = [f"{value:f}", "NaN", "Infinity", "-Infinity", "1.005 has more than 2 decimal places", None]
    for certain in (True, False):
        cast = exact_cast(exp.column("x"), parse_type("VARCHAR"), parse_type("DECIMAL(15, 2)"), certain=certain)
        assert cast.wrong is not None
        value_sql, wrong_sql = cast.value.sql("duckdb"), cast.wrong.sql("duckdb")
        found = database.execute(
            f"SELECT {value_sql}, coalesce({wrong_sql}, false) FROM (SELECT unnest(?::VARCHAR[]) AS x)", [texts]
        ).fetchall()
        assert found == [(value, False), *[(None, True)] * 4, (None, False)]


@pytest.mark.parametrize(
    ("text", "target", "right"),
    [("1.239", "DECIMAL(10,2)", True), ("2.5", "INTEGER", True), ("1_000", "INTEGER", False), ("0x10", "BIGINT", False),
     ("1e2", "INTEGER", False), ("1e2", "DECIMAL(10,2)", False), ("1_0.5", "DOUBLE", False), ("1e2", "DOUBLE", True)],
)  # fmt: skip
def test_rounding_reads_no_other_texts(
    database: duckdb.DuckDBPyConnection, text: str, target: str, right: bool
) -> None:
    from sqlglot import exp

    cast = exact_cast(exp.column("x"), parse_type("VARCHAR"), parse_type(target), rounded=True)
    assert cast.wrong is not None
    (found,) = database.execute(f"SELECT {cast.wrong.sql('duckdb')} FROM (SELECT ? AS x)", [text]).fetchall()
    assert bool(found[0]) is not right


@pytest.mark.parametrize("target", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
def test_a_moment_is_written_with_digits_and_its_day_has_24_hours(
    database: duckdb.DuckDBPyConnection, target: str
) -> None:
    """The quick tests take none of those for right that the slow one holds."""
    from sqlglot import exp

    wrong = ["epoch", " Epoch", "infinity", "-infinity", "inf", "Infinity ", "2024-01-01 24:00:00", "2024-01-01T24:00"]
    right = ["1970-01-01", "2024-01-31", " 2024-01-31", "-0044-03-15", "2024-01-31 00:00:00", "2024-01-31T00:00Z"]
    cast = exact_cast(exp.column("x"), parse_type("VARCHAR"), parse_type(target))
    shown = ", ".join(f"coalesce({part.sql('duckdb')}, false)" for part in (cast.wrong, cast.clear, cast.plain) if part)
    query = f"SELECT x, {shown} FROM (SELECT unnest(?::VARCHAR[]) AS x)"
    found = database.execute(query, [wrong + right]).fetchall()
    assert [text for text, held, _, _ in found if held] == wrong
    assert [text for text, held, clear, plain in found if held and (clear or plain)] == []
    assert any(plain for _, _, _, plain in found)


@pytest.mark.parametrize("pattern", ["%d.%m.%y", "%d.%m.%Y", "%H:%M"])
def test_no_format_reads_a_word_as_a_moment(database: duckdb.DuckDBPyConnection, pattern: str) -> None:
    from sqlglot import exp

    cast = formatted_cast(exp.column("x"), parse_type("TIMESTAMP"), pattern)
    assert cast.wrong is not None
    words = ["epoch", " EPOCH ", "infinity", "-infinity", "inf"]
    query = f"SELECT bool_and({cast.wrong.sql('duckdb')}) FROM (SELECT unnest(?::VARCHAR[]) AS x)"
    assert database.execute(query, [words]).fetchone() == (True,)
