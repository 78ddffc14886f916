"""Casts to numbers: no digit is lost unless it is rounded."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.transforms.casting import one

FEW = st.integers(min_value=-(10**12), max_value=10**12)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9)
TEXTS = st.one_of(
    st.none(),
    st.text(alphabet="0123456789.+-eE x_", max_size=8),
    NUMBERS.map(lambda number: format(number, "f")),
    FEW.map(str),
    st.text(max_size=4).filter(lambda text: "\0" not in text),
)


def plain_number(text: str) -> Decimal | None:
    """A number of digits, sign and point, with white space around; nothing else is an exact number's text."""
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
        (300, "INTEGER", "TINYINT", "held"),
        (99, "INTEGER", "TINYINT", 99),
        (Decimal("99.9"), "DECIMAL(3, 1)", "INTEGER", "held"),
        (float("nan"), "DOUBLE", "INTEGER", "held"),
        (float("inf"), "DOUBLE", "DECIMAL(38, 2)", "held"),
        (1e300, "DOUBLE", "FLOAT", "held"),
        (0.1, "DOUBLE", "DECIMAL(10, 2)", Decimal("0.10")),
        (0.1 + 0.2, "DOUBLE", "DECIMAL(10, 2)", "held"),
        (Decimal("9" * 38), "DECIMAL(38, 0)", "DECIMAL(38, 1)", "held"),
        (Decimal("9" * 38), "DECIMAL(38, 0)", "VARCHAR", "9" * 38),
    ],
)
def test_a_number_arrives_as_it_is_or_its_row_is_held(
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
    ],
)
def test_round_rounds_half_away_from_zero(execute: Any, value: Any, source: str, target: str, result: Any) -> None:
    assert one(execute, value, source, target, round=True) == result
