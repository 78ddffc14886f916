from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError

from headgate.core.errors import FatalError
from headgate.sql.shapes import Deduplicate, Drop, Project
from headgate.transforms import clean

SPELLINGS = ["", "NULL", "null", "N/A", "nan"]
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["  a ", "N/A", " N/A\t", "ß", "\u00a0x\u3000", "nan", "", " "]),
    st.text(alphabet=" \tabÄ", max_size=5),
)
SPACE = " \t\n\r\v\f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


@for_all(st.lists(st.tuples(TEXTS), max_size=6))
def test_white_space_goes_before_spellings_of_null(execute: Any, rows: list[Any]) -> None:
    outcome = execute(clean, {"trim": True, "null_values": SPELLINGS}, {"t": "VARCHAR"}, rows)
    stripped = [text if text is None else text.strip(SPACE) for (text,) in rows]
    assert outcome.rows == [(None if text in SPELLINGS else text,) for text in stripped]


def test_numbers_are_left_alone(execute: Any) -> None:
    columns = {"t": "VARCHAR", "n": "DOUBLE"}
    outcome = execute(clean, {"trim": True, "null_values": ["0", "nan"]}, columns, [(" 0 ", 0.0)])
    assert outcome.rows == [(None, 0.0)]


def test_the_order_is_trim_null_case_convert_fill_drop_deduplicate(execute: Any) -> None:
    columns = {"id": "VARCHAR", "country": "VARCHAR", "amount": "VARCHAR"}
    rows = [
        (" 1", "de ", "10"),
        ("1", " DE", "10"),
        ("2", "N/A", " N/A "),
        ("3", "", "x"),
        ("N/A", "fr", "5"),
        ("4", "", "7"),
    ]
    options = {
        "trim": True,
        "null_values": SPELLINGS,
        "case": {"country": "upper"},
        "convert": {"amount": "INTEGER"},
        "fill": {"country": "Unknown", "amount": 0},
        "remove_nulls": ["id"],
        "deduplicate": True,
    }
    outcome = execute(clean, options, columns, rows)
    assert sorted(outcome.rows) == [("1", "DE", 10), ("2", "Unknown", 0), ("4", "Unknown", 7)]
    assert outcome.held == [(("3", "", "x"), ("clean amount",))]
    assert outcome.dropped == {"filtered": 1, "deduplicated": 1}


@pytest.mark.parametrize(
    ("case", "text", "result"),
    [
        ("lower", "ÄB c", "äb c"),
        ("upper", "äb c", "ÄB C"),
        ("title", "jOHN  o'neil\tsMITH", "John  O'neil\tSmith"),
        ("title", "", ""),
        ("title", " ", " "),
    ],
)
def test_case(execute: Any, case: str, text: str, result: str) -> None:
    assert execute(clean, {"case": {"t": case}}, {"t": "VARCHAR"}, [(text,), (None,)]).rows == [(result,), (None,)]


def test_only_named_columns_are_trimmed(execute: Any) -> None:
    assert execute(clean, {"trim": ["A"]}, {"a": "VARCHAR", "b": "VARCHAR"}, [(" x ", " y ")]).rows == [("x", " y ")]


def test_rows_lacking_a_value_are_filtered(execute: Any) -> None:
    outcome = execute(
        clean, {"remove_nulls": ["a", "b"]}, {"a": "INTEGER", "b": "INTEGER"}, [(0, 0), (None, 1), (1, None)]
    )
    assert outcome.rows == [(0, 0)]
    assert outcome.dropped["filtered"] == 2


def test_of_one_key_the_last_row_stays(execute: Any) -> None:
    columns = {"k": "INTEGER", "at": "DATE"}
    rows = [(1, date(2024, 1, 2)), (1, date(2024, 1, 3)), (1, date(2024, 1, 1))]
    assert execute(clean, {"deduplicate": ["k"], "order_by": "at"}, columns, rows).rows == [rows[1]]
    assert execute(clean, {"deduplicate": ["k"], "order_by": "at", "keep": "first"}, columns, rows).rows == [rows[2]]


def test_fill_keeps_the_type(execute: Any) -> None:
    outcome = execute(clean, {"fill": {"n": 1.5}}, {"n": "DECIMAL(10, 2)"}, [(None,)])
    assert outcome.columns == {"n": "DECIMAL(10,2)"}


@pytest.mark.parametrize(
    "options",
    [
        {"trim": ["absent"]},
        {"trim": ["n"]},
        {"case": {"n": "lower"}},
        {"fill": {"n": "Unknown"}},
        {"fill": {"n": 1.5}},
        {"remove_nulls": ["absent"]},
        {"deduplicate": ["n"]},
        {"convert": {"n": "NUMBR"}},
    ],
)
def test_columns_that_are_absent_or_of_another_type_are_refused(given: Any, options: dict[str, Any]) -> None:
    with pytest.raises(FatalError):
        clean.shapes(clean.Options(type="clean", **options), given({"n": "INTEGER", "t": "VARCHAR"}))


def test_a_step_without_work_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs something to do"):
        clean.Options(type="clean")


def test_nothing_is_computed_that_was_not_asked_for(given: Any) -> None:
    found = clean.shapes(clean.Options(type="clean", remove_nulls=["a"], deduplicate=True), given({"a": "INTEGER"}))
    assert [type(shape) for shape in found] == [Drop, Deduplicate]
    assert isinstance(clean.shapes(clean.Options(type="clean", trim=True), given({"t": "VARCHAR"}))[0], Project)
