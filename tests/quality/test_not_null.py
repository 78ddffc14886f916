from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from headgate.core.errors import FatalError
from headgate.quality import not_null

VALUES = st.one_of(st.none(), st.floats())


@for_all(st.lists(st.tuples(VALUES, st.one_of(st.none(), st.text(alphabet=" aé", max_size=2))), max_size=8))
def test_only_null_is_missing(judge: Any, rows: list[Any]) -> None:
    found = judge(not_null, {"columns": ["n", "t"]}, {"n": "DOUBLE", "t": "VARCHAR"}, rows)
    assert found == [n is not None and t is not None for n, t in rows]


def test_zero_empty_and_nan_are_values(judge: Any) -> None:
    assert judge(not_null, {"columns": "n"}, {"n": "DOUBLE"}, [(0.0,), (float("nan"),), (None,)]) == [True, True, False]


def test_the_message_names_the_columns(given: Any) -> None:
    step = given({"a": "INTEGER", "B": "INTEGER"})
    assert not_null.shapes(not_null.Options(type="not_null", columns="a"), step).message == "a is not null"
    assert (
        not_null.shapes(not_null.Options(type="not_null", columns=["a", "b", "A"]), step).message == "a, B are not null"
    )


def test_an_unknown_column_names_the_nearest(given: Any) -> None:
    with pytest.raises(FatalError, match='did you mean "amount"'):
        not_null.shapes(not_null.Options(type="not_null", columns="amout"), given({"amount": "INTEGER"}))
