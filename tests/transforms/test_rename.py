from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from headgate.core.errors import Code, FatalError
from headgate.transforms import rename

COLUMNS = {"id": "INTEGER", "Name": "VARCHAR"}


def test_a_column_has_its_new_name_and_its_values(execute: Any) -> None:
    outcome = execute(rename, {"columns": {"id": "key"}}, COLUMNS, [(1, "a"), (None, "b")])
    assert outcome.columns == {"key": "INTEGER", "Name": "VARCHAR"}
    assert outcome.rows == [(1, "a"), (None, "b")]


NAMES = st.text(min_size=1, max_size=3).filter(lambda name: name.strip() and "\0" not in name)


@for_all(
    chosen=st.dictionaries(st.sampled_from("abcd"), NAMES, min_size=1),
    rows=st.lists(st.tuples(*[st.one_of(st.none(), st.integers(-9, 9))] * 4), max_size=4),
)
def test_values_and_order_stay_under_any_names(execute: Any, chosen: dict[str, str], rows: list[Any]) -> None:
    expected = [chosen.get(name, name) for name in "abcd"]
    columns = dict.fromkeys("abcd", "INTEGER")
    if len({name.lower() for name in expected}) < 4:
        with pytest.raises(FatalError):
            execute(rename, {"columns": chosen}, columns, rows)
        return
    outcome = execute(rename, {"columns": chosen}, columns, rows)
    assert (list(outcome.columns), outcome.rows) == (expected, rows)


def test_names_can_be_swapped_and_change_case_only(execute: Any) -> None:
    outcome = execute(rename, {"columns": {"id": "NAME", "name": "ID"}}, COLUMNS, [(1, "a")])
    assert outcome.columns == {"NAME": "INTEGER", "ID": "VARCHAR"}
    assert list(execute(rename, {"columns": {"NAME": "name"}}, COLUMNS, []).columns) == ["id", "name"]


def test_names_may_hold_anything_but_nul(execute: Any) -> None:
    hostile = 'a"; DROP TABLE input; --'
    outcome = execute(rename, {"columns": {"id": hostile, "Name": "größe 💧"}}, COLUMNS, [(1, "a")])
    assert list(outcome.columns) == [hostile, "größe 💧"]


@pytest.mark.parametrize(
    "columns", [{"id": "name"}, {"id": "x", "Name": "X"}, {"id": "a", "ID": "b"}, {"id": " "}, {"id": "a\0"}]
)
def test_two_columns_of_one_name_are_refused(given: Any, columns: dict[str, str]) -> None:
    with pytest.raises(FatalError) as caught:
        rename.shapes(rename.Options(type="rename", columns=columns), given(COLUMNS))
    assert caught.value.code is Code.PLAN_INVALID


def test_an_unknown_column_names_the_nearest(given: Any) -> None:
    with pytest.raises(FatalError, match='column "Nam" not found; did you mean "Name"'):
        rename.shapes(rename.Options(type="rename", columns={"Nam": "x"}), given(COLUMNS))
