"""What a cast does with rows, whatever the type; those of numbers and times are beside."""

from __future__ import annotations

from collections import Counter
from typing import Any

import duckdb
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.plan.projects import SmallProject
from tests.transforms.casting import one

from headgate.core.errors import Code, FatalError
from headgate.sql.shapes import Project
from headgate.transforms import cast


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        ("true", "VARCHAR", "BOOLEAN", True),
        ("maybe", "VARCHAR", "BOOLEAN", "held"),
        (2, "INTEGER", "BOOLEAN", "held"),
    ],
)
def test_a_truth_value_arrives_as_it_is_or_its_row_is_held(
    execute: Any, value: Any, source: str, target: str, result: Any
) -> None:
    assert one(execute, value, source, target) == result


def test_a_list_with_an_element_that_does_not_convert_is_held(execute: Any) -> None:
    assert one(execute, ["1", None, "-2"], "VARCHAR[]", "INTEGER[]") == [1, None, -2]
    assert one(execute, ["1", "x"], "VARCHAR[]", "INTEGER[]") == "held"
    assert one(execute, [1.5], "DOUBLE[]", "INTEGER[]") == "held"


@for_all(st.lists(st.tuples(st.sampled_from(["1", "x", "", None]), st.sampled_from(["2", "y", None])), max_size=6))
@pytest.mark.parametrize("on_error", ["null", "quarantine"])
def test_a_row_errs_by_the_columns_that_do_not_convert(execute: Any, on_error: str, rows: list[Any]) -> None:
    columns = {name: {"type": "INTEGER", "on_error": on_error} for name in ("a", "b")}
    outcome = execute(cast, {"columns": columns}, {"a": "VARCHAR", "b": "VARCHAR"}, rows)
    read = [tuple(int(text) if text in ("1", "2") else None for text in row) for row in rows]
    wrong = [
        tuple(
            f"cast {name}"
            for name, text, number in zip("ab", row, new, strict=True)
            if text != number and number is None
        )
        for row, new in zip(rows, read, strict=True)
    ]
    if on_error == "null":
        assert (outcome.rows, outcome.held) == (read, [])
        assert outcome.nulled == Counter(name for names in wrong for name in names)
    else:
        assert outcome.rows == [new for new, names in zip(read, wrong, strict=True) if not names]
        assert outcome.held == [(row, names) for row, names in zip(rows, wrong, strict=True) if names]


def test_a_held_row_is_as_it_was_with_every_column_that_failed(execute: Any) -> None:
    columns = {"a": "VARCHAR", "b": "VARCHAR", "c": "VARCHAR"}
    outcome = execute(cast, {"columns": {"a": "INTEGER", "b": "DATE"}}, columns, [("x", "y", "z"), ("1", None, "z")])
    assert outcome.held == [(("x", "y", "z"), ("cast a", "cast b"))]
    assert outcome.rows == [(1, None, "z")]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("INTEGER", "BIGINT"),
        ("INTEGER", "DOUBLE"),
        ("DECIMAL(10, 2)", "DECIMAL(12, 2)"),
        ("BIGINT", "DECIMAL(38, 2)"),
        ("FLOAT", "DOUBLE"),
        ("DATE", "VARCHAR"),
        ("DATE", "date"),
    ],
)
def test_widening_casts_are_not_checked(given: Any, source: str, target: str) -> None:
    (project,) = cast.shapes(cast.Options(type="cast", columns={"x": target}), given({"x": source}))
    assert isinstance(project, Project)
    assert project.flags == ()


def test_unknown_types_and_columns_name_the_nearest(given: Any) -> None:
    for columns, hint in (({"x": "INTEGR"}, "INTEGER"), ({"y": "DATE"}, "existing columns: x")):
        with pytest.raises(FatalError) as caught:
            cast.shapes(cast.Options(type="cast", columns=columns), given({"x": "VARCHAR"}))
        assert hint in str(caught.value)


def test_what_becomes_null_is_counted_and_told(project: SmallProject) -> None:
    steps = [{"type": "cast", "columns": {"note": {"type": "INTEGER", "on_error": "null"}}}]
    receipt = project.define(steps=steps).run()
    assert project.out("SELECT id, note FROM out") == [(1, 1), (2, None), (3, 3), (4, None), (5, 5)]
    assert receipt.warnings == ("cast: cast note became NULL in 1 row",)
    assert receipt.rows.quarantined == 0


def test_a_column_may_be_stricter_than_the_pipeline(project: SmallProject) -> None:
    held = [{"type": "cast", "on_error": "quarantine", "columns": {"note": "INTEGER"}}]
    receipt = project.define(steps=held).run()
    assert (receipt.rows.quarantined, receipt.rows.loaded) == (1, 4)
    steps = [{"type": "cast", "columns": {"note": {"type": "INTEGER", "on_error": "fail"}}}]
    failed = project.define(steps=steps, error_handling={"on_row_error": "quarantine"}).attempt()
    assert failed.error_code is Code.ROW_ERROR


@pytest.mark.parametrize(
    ("source", "target"),
    [("INTEGER", "DATE"), ("DOUBLE", "TIMESTAMP"), ("BOOLEAN", "TIME"), ("DATE", "INTEGER"), ("TIME", "DATE"),
     ("BLOB", "INTEGER"), ("TIMESTAMPTZ", "DECIMAL(9, 2)"), ("DECIMAL(9, 2)", "BLOB"), ("TIME", "TIMESTAMP")],
)  # fmt: skip
def test_a_type_that_no_value_is_of_is_refused_and_the_engine_has_no_such_cast(
    database: Any, given: Any, source: str, target: str
) -> None:
    some = {"DATE": "DATE '2020-01-01'", "TIME": "TIME '01:00'", "TIMESTAMPTZ": "TIMESTAMPTZ '2020-01-01'"}
    some["BLOB"] = "'1'::BLOB"
    with pytest.raises(duckdb.ConversionException):
        database.execute(f"SELECT CAST(x AS {target}) FROM (SELECT CAST({some.get(source, '1')} AS {source}) AS x)")
    with pytest.raises(FatalError, match="no value of x, which is"):
        cast.shapes(cast.Options(type="cast", columns={"x": target}), given({"x": source}))
