from __future__ import annotations

from typing import Any

import pytest

from headgate.core.errors import Code, FatalError
from headgate.transforms import rename

COLUMNS = {"id": "INTEGER", "Name": "VARCHAR"}


def test_a_column_has_its_new_name_and_its_values(execute: Any) -> None:
    outcome = execute(rename, {"columns": {"id": "key"}}, COLUMNS, [(1, "a"), (None, "b")])
    assert outcome.columns == {"key": "INTEGER", "Name": "VARCHAR"}
    assert outcome.rows == [(1, "a"), (None, "b")]


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
