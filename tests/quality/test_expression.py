from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from headgate.core.errors import FatalError
from headgate.quality import expression

COLUMNS = {"a": "INTEGER", "b": "INTEGER"}
INTS = st.one_of(st.none(), st.integers(-3, 3))


@for_all(st.lists(st.tuples(INTS, INTS), max_size=6))
def test_null_passes(judge: Any, rows: list[Any]) -> None:
    found = judge(expression, {"condition": "a <= b"}, COLUMNS, rows)
    assert found == [a is None or b is None or a <= b for a, b in rows]


@for_all(st.lists(st.tuples(INTS, INTS), max_size=6))
def test_a_row_for_which_it_cannot_be_computed_does_not_pass(judge: Any, rows: list[Any]) -> None:
    found = judge(expression, {"condition": "a % b = 0 AND a % b < 1"}, COLUMNS, rows)
    assert found == [a is None or b is None or (b != 0 and a % b == 0) for a, b in rows]


def test_the_message_is_the_description_or_the_condition(given: Any) -> None:
    options = expression.Options(type="expression", condition="a > 0")
    assert expression.shapes(options, given(COLUMNS)).message == "a > 0"
    options = expression.Options(type="expression", condition="a > 0", description="a is positive")
    assert expression.shapes(options, given(COLUMNS)).message == "a is positive"


@pytest.mark.parametrize("condition", ["c > 0", "SUM(a) > 0", "a > 0; DROP TABLE t", "", "EXISTS (SELECT 1)"])
def test_what_is_no_condition_on_a_row_is_refused(given: Any, condition: str) -> None:
    with pytest.raises(FatalError):
        expression.shapes(expression.Options(type="expression", condition=condition), given(COLUMNS))
