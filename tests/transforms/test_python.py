from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError

from headgate.core.errors import FatalError
from headgate.execute.calls import run_call
from headgate.sql.shapes import Call
from headgate.transforms import python


def test_a_call_says_what_runs_on_what_and_gives_what(given: Any) -> None:
    options = python.Options(type="python", function="transforms:score", columns={"id": "int", "score": "numeric(6,2)"})
    call = Call("transforms:score", "batch", {"id": "INTEGER", "score": "DECIMAL(6, 2)"})
    assert python.shapes(options, given({"id": "INTEGER"})) == [call]


def test_the_whole_table_is_asked_for(given: Any) -> None:
    options = python.Options(type="python", function="a.b:c", scope="table")
    assert python.shapes(options, given({})) == [Call("a.b:c", "table", None)]


FUNCTIONS = """
import pyarrow as pa

def odd(rows):
    places = [n for n, x in enumerate(rows["x"].to_pylist()) if x is not None and x % 2 == 1]
    return rows.take(pa.array(places, pa.int64()))

def totalled(rows):
    known = [x for x in rows["x"].to_pylist() if x is not None]
    return pa.table({"n": [rows.num_rows], "s": [sum(known)]})
"""


@for_all(values=st.lists(st.one_of(st.none(), st.integers(-9, 9)), max_size=12), cuts=st.lists(st.integers(1, 5)))
def test_functions_are_given_all_rows_however_they_come(folder: Path, values: list[Any], cuts: list[int]) -> None:
    if not (folder / "mine.py").exists():
        (folder / "mine.py").write_text(FUNCTIONS)
    schema, rest, batches = pa.schema({"x": pa.int64()}), list(values), []
    for cut in [*cuts, len(values)]:
        batches.append(pa.RecordBatch.from_pydict({"x": rest[:cut]}, schema))
        rest = rest[cut:]

    def called(function: str, scope: Any, given: pa.Schema) -> list[Any]:
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        table = run_call(Call(f"mine:{function}", scope), reader, given, folder).read_all()
        return [tuple(row.values()) for row in table.to_pylist()]

    known = [value for value in values if value is not None]
    assert called("odd", "batch", schema) == [(value,) for value in known if value % 2 == 1]
    both = pa.schema({"n": pa.int64(), "s": pa.int64()})
    assert called("totalled", "table", both) == [(len(values), sum(known))]


@pytest.mark.parametrize("function", ["score", "a:b:c", "a:b()", "a b:c", ":c", "a:", "../a:b", "a:b.c", "1a:b", ""])
def test_a_function_is_named_by_module_and_name(function: str) -> None:
    with pytest.raises(ValidationError):
        python.Options(type="python", function=function)


@pytest.mark.parametrize("columns", [{"a": "NUMBR"}, {"a": "INT", "A": "INT"}, {"": "INT"}])
def test_declared_columns_have_names_and_types(given: Any, columns: dict[str, str]) -> None:
    with pytest.raises(FatalError):
        python.shapes(python.Options(type="python", function="a:b", columns=columns), given({}))
