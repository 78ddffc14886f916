from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from headgate.core.errors import FatalError
from headgate.sql.shapes import Call
from headgate.transforms import python


def test_a_call_says_what_runs_on_what_and_gives_what(given: Any) -> None:
    options = python.Options(type="python", function="transforms:score", columns={"id": "int", "score": "numeric(6,2)"})
    call = Call("transforms:score", "batch", {"id": "INTEGER", "score": "DECIMAL(6, 2)"})
    assert python.shapes(options, given({"id": "INTEGER"})) == [call]


def test_the_whole_table_is_asked_for(given: Any) -> None:
    options = python.Options(type="python", function="a.b:c", scope="table")
    assert python.shapes(options, given({})) == [Call("a.b:c", "table", None)]


@pytest.mark.parametrize("function", ["score", "a:b:c", "a:b()", "a b:c", ":c", "a:", "../a:b", "a:b.c", "1a:b", ""])
def test_a_function_is_named_by_module_and_name(function: str) -> None:
    with pytest.raises(ValidationError):
        python.Options(type="python", function=function)


@pytest.mark.parametrize("columns", [{"a": "NUMBR"}, {"a": "INT", "A": "INT"}, {"": "INT"}])
def test_declared_columns_have_names_and_types(given: Any, columns: dict[str, str]) -> None:
    with pytest.raises(FatalError):
        python.shapes(python.Options(type="python", function="a:b", columns=columns), given({}))
