from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.plan.projects import SmallProject

from headgate.core.errors import FatalError
from headgate.sql.failures import can_fail
from headgate.transforms import calculate

INTS = st.one_of(st.none(), st.integers(min_value=-(2**31), max_value=2**31 - 1))
AB = {"a": "INTEGER", "b": "INTEGER"}


def added(a: int | None, b: int | None) -> int | str | None:
    if a is None or b is None:
        return None
    return a + b if -(2**31) <= a + b < 2**31 else "held"


def quotient(a: int | None, b: int | None) -> int | str | None:
    if a is None or b is None:
        return None
    if b == 0:
        return "held"
    found = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return found if found < 2**31 else "held"


@for_all(st.lists(st.tuples(INTS, st.one_of(INTS, st.sampled_from([0, 1, -1]))), max_size=8))
def test_a_row_whose_expression_raises_is_held_and_null_is_not_an_error(execute: Any, rows: list[Any]) -> None:
    outcome = execute(calculate, {"columns": {"s": "a + b", "q": "a // b"}}, AB, rows)
    good, held = [], []
    for row in rows:
        results = {"calculate s": added(*row), "calculate q": quotient(*row)}
        wrong = tuple(name for name, value in results.items() if value == "held")
        if wrong:
            held.append((row, wrong))
        else:
            good.append((*row, *results.values()))
    assert outcome.rows == good
    assert outcome.held == held


CONDITIONS: dict[str, Any] = {
    "b <> 0": lambda _, b: b is not None and b != 0,
    "a > b": lambda a, b: None not in (a, b) and a > b,
    "a IS NULL OR b < 2": lambda a, b: a is None or (b is not None and b < 2),
}


@few
@for_all(
    st.lists(st.tuples(INTS, st.one_of(INTS, st.sampled_from([0, 1, -1]))), max_size=8), st.sampled_from([*CONDITIONS])
)
def test_where_the_condition_is_not_true_columns_stay_and_new_ones_are_null(
    execute: Any, rows: list[Any], condition: str
) -> None:
    """It is asked of the row as it came; what was calculated before is used, and a row errs where that raised."""
    options = {"columns": {"a": "a + b", "q": "a // b", "back": "a - b"}, "condition": condition}
    outcome = execute(calculate, options, AB, rows)
    good: list[Any] = []
    held = []
    for a, b in rows:
        if not CONDITIONS[condition](a, b):
            good.append((a, b, None, None))
        elif (total := added(a, b)) == "held":
            held.append(((a, b), ("calculate a",)))
        else:
            assert not isinstance(total, str)
            if (share := quotient(total, b)) == "held":
                held.append(((a, b), ("calculate q",)))
            else:
                good.append((total, b, share, None if total is None else a))
    assert outcome.rows == good
    assert outcome.held == held


def test_an_expression_that_occurs_twice_still_fails_for_its_row_only(execute: Any) -> None:
    """DuckDB computes a repeated expression once, outside TRY; the run must not end with it."""
    columns = {"x": "a // b", "y": "a // b + 1", "z": "(a // b) * (a // b)"}
    outcome = execute(calculate, {"columns": columns}, AB, [(4, 2), (1, 0), (None, 0)])
    assert outcome.rows == [(4, 2, 2, 3, 4), (None, 0, None, None, None)]
    assert outcome.held == [((1, 0), ("calculate x", "calculate y", "calculate z"))]


def test_later_expressions_use_earlier_ones(execute: Any) -> None:
    columns = {"total": "a * b", "a": "a + 100", "more": "total + a"}
    outcome = execute(calculate, {"columns": columns}, AB, [(2, 3)])
    assert outcome.columns == {"a": "INTEGER", "b": "INTEGER", "total": "INTEGER", "more": "INTEGER"}
    assert outcome.rows == [(102, 3, 6, 108)]


def test_an_error_is_that_of_the_expression_that_raised(execute: Any) -> None:
    outcome = execute(calculate, {"columns": {"q": "a // b", "next": "q + 1"}}, AB, [(1, 0)])
    assert outcome.held == [((1, 0), ("calculate q",))]


def test_a_replaced_column_keeps_its_place_and_takes_the_new_spelling(execute: Any) -> None:
    outcome = execute(calculate, {"columns": {"A": "b"}}, AB, [(1, 2)])
    assert list(outcome.columns) == ["A", "b"]
    assert outcome.rows == [(2, 2)]


def test_money_is_exact_to_the_cent(execute: Any) -> None:
    columns = {"quantity": "INTEGER", "unit_price": "DECIMAL(10, 2)", "discount_rate": "DECIMAL(4, 3)"}
    steps = {"order_total": "quantity * unit_price", "final": "order_total - order_total * discount_rate"}
    outcome = execute(calculate, {"columns": steps}, columns, [(3, Decimal("19.99"), Decimal("0.150"))])
    assert outcome.rows[0][-2:] == (Decimal("59.97"), Decimal("50.9745"))


def test_a_conversion_that_fails_holds_its_row(execute: Any) -> None:
    outcome = execute(calculate, {"columns": {"n": "CAST(t AS INTEGER)"}}, {"t": "VARCHAR"}, [("7",), ("x",), (None,)])
    assert outcome.rows == [("7", 7), (None, None)]
    assert outcome.held == [(("x",), ("calculate n",))]


def test_constants_and_numbers_in_yaml_are_expressions(execute: Any) -> None:
    outcome = execute(calculate, {"columns": {"one": 1, "text": "'x'"}}, {"a": "INTEGER"}, [(5,)])
    assert outcome.rows == [(5, 1, "x")]


def test_variables_are_values(execute: Any) -> None:
    variables = {"var.who": "O'Neil; DROP TABLE input"}
    outcome = execute(calculate, {"columns": {"w": "{{ var.who }}"}}, {"a": "INTEGER"}, [(1,)], variables=variables)
    assert outcome.rows == [(1, "O'Neil; DROP TABLE input")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": "amout * 2"}, 'column "amout" not found; did you mean "amount"'),
        ({"x": "y + 1", "y": "amount"}, "used before it is calculated"),
        ({"x": "1", "X": "2"}, "two columns would be called"),
        ({"x": "SUM(amount)"}, "aggregate"),
        ({"x": "amount; DROP TABLE t"}, "more than one expression"),
        ({"": "amount"}, "cannot be a column's name"),
    ],
)
def test_what_cannot_be_computed_is_refused(given: Any, columns: dict[str, str], message: str) -> None:
    with pytest.raises(FatalError, match=message):
        calculate.shapes(calculate.Options(type="calculate", columns=columns), given({"amount": "INTEGER"}))


def test_a_text_in_double_quotes_is_told_to_be_a_name(given: Any) -> None:
    """As another language, or a person, would write ``status == "active"``."""
    step = given({"status": "VARCHAR"})
    for asked in (
        lambda: step.condition('status == "active"'),
        lambda: calculate.shapes(calculate.Options(type="calculate", columns={"x": 'status = "active"'}), step),
    ):
        with pytest.raises(FatalError, match='column "active" not found') as raised:
            asked()
        assert raised.value.hint.startswith("a text stands in single quotes: 'active'")
    with pytest.raises(FatalError) as raised:
        step.condition("status = active")
    assert "quotes" not in raised.value.hint


def test_a_chain_that_doubles_at_each_link_is_refused(given: Any) -> None:
    columns = {"c0": "a + a"} | {f"c{n}": f"c{n - 1} + c{n - 1}" for n in range(1, 30)}
    with pytest.raises(FatalError, match="too large"):
        calculate.shapes(calculate.Options(type="calculate", columns=columns), given(AB))


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("d * 2 + d / 0", False),
        ("d > 1 AND t = 'x'", False),
        ("UPPER(t) || 'x'", False),
        ("p > 0", False),
        ("a + b", True),
        ("p * p", True),
        ("t > 5", True),
        ("CAST(t AS DATE)", True),
        ("a % b", True),
        ("wide > 0.5", True),
    ],
)
def test_only_expressions_that_can_raise_are_watched(given: Any, text: str, fails: bool) -> None:
    step = given({**AB, "d": "DOUBLE", "t": "VARCHAR", "p": "DECIMAL(15, 2)", "wide": "DECIMAL(38, 0)"})
    assert can_fail(step.expression(text), step.columns) is fails


def test_where_the_condition_is_not_met_a_number_is_not_rounded_to_a_double(project: SmallProject) -> None:
    large = 2**53 + 1
    project.table("orders", {"id": "INTEGER", "half": "INTEGER"}, [(large, 0), (4, 1)])
    step: dict[str, Any] = {"type": "calculate", "columns": {"id": "id / 2"}, "condition": "half = 1"}
    with pytest.raises(
        FatalError, match="id is BIGINT, and id / 2 is DOUBLE, which does not hold every value"
    ) as refused:
        project.define(steps=[step]).plan()
    assert "CAST(id / 2 AS BIGINT)" in refused.value.hint
    project.define(steps=[{**step, "columns": {"id": "CAST(id / 2 AS BIGINT)", "x": "id / 2"}}]).run()
    assert project.out() == [(2, 1, 1.0), (large, 0, None)]


def test_a_date_cut_to_hours_is_compared_as_the_midnight_that_it_is(execute: Any) -> None:
    columns = {"same": "DATE_TRUNC('hour', day) = '2024-02-29'"}
    rows = [(date(2024, 2, 29),), (date(2024, 3, 1),)]
    outcome = execute(calculate, {"columns": columns}, {"day": "DATE"}, rows)
    assert [same for _, same in outcome.rows] == [True, False]
