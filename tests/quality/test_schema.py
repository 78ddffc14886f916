from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError

from headgate.core.errors import Code, FatalError
from headgate.quality import schema

COLUMNS = {"id": "INTEGER", "name": "VARCHAR", "age": "INTEGER", "income": "DOUBLE"}
SAMPLE: dict[str, Any] = {
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "name": {"type": "string", "minLength": 2, "pattern": "^[A-Z]"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "income": {"type": "number", "exclusiveMinimum": 0},
    },
}
ROW = st.tuples(
    st.one_of(st.none(), st.integers(-1, 3)),
    st.one_of(st.none(), st.sampled_from(["Ada", "bob", "C", ""])),
    st.one_of(st.none(), st.sampled_from([-1, 0, 150, 151])),
    st.one_of(st.none(), st.sampled_from([0.0, 0.5, float("nan")])),
)


def passes(row: tuple[Any, ...]) -> bool:
    """The sample by hand."""
    number, name, age, income = row
    if number is None or number < 1 or name is None or len(name) < 2 or not "A" <= name[0] <= "Z":
        return False
    return (age is None or 0 <= age <= 150) and (income is None or income > 0)


@for_all(st.lists(ROW, max_size=6))
def test_a_row_holds_if_every_property_does(judge: Any, rows: list[Any]) -> None:
    assert judge(schema, SAMPLE, COLUMNS, rows) == [passes(row) for row in rows]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"required": ["mail"]}, 'column "mail" not found'),
        ({"properties": {"name": {"type": "integer"}}}, "name is VARCHAR, not integer"),
        ({"properties": {"id": {"pattern": "a"}}}, "not text"),
        ({"columns": {"id": "VARCHAR"}}, "id is INTEGER, not VARCHAR"),
        ({"columns": {"id": "BIGINT"}, "additional": False}, "is not in the schema"),
    ],
)
def test_faults_of_structure_end_the_plan(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FatalError, match="Schema validation failed") as refusal:
        schema.shapes(schema.Options(type="schema", **options), given(COLUMNS))
    assert message in refusal.value.message
    assert refusal.value.code is Code.SCHEMA_MISMATCH


def test_types_are_compared_by_family_not_by_their_letters(given: Any) -> None:
    """int is in uint and in interval."""
    step = given({"a": "UINTEGER", "b": "BIGINT", "c": "INTERVAL"})
    schema.shapes(schema.Options(type="schema", columns={"a": "INTEGER", "b": "SMALLINT"}), step)
    with pytest.raises(FatalError):
        schema.shapes(schema.Options(type="schema", columns={"c": "INTEGER"}), step)


def test_a_property_that_is_not_there_and_not_required_is_no_fault(judge: Any) -> None:
    assert judge(schema, {"properties": {"other": {"type": "string"}}}, {"id": "INTEGER"}, [(1,)]) == [True]


def test_enum_format_and_nullable(judge: Any) -> None:
    options = {"required": ["x"], "properties": {"x": {"enum": ["a@b.de", "c"], "format": "email", "nullable": True}}}
    assert judge(schema, options, {"x": "VARCHAR"}, [("a@b.de",), ("c",), (None,)]) == [True, False, True]


@pytest.mark.parametrize("options", [{}, {"properties": {"x": {"pattern": "("}}}, {"columns": {"x": "INTEGR"}}])
def test_nonsense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema.Options(type="schema", **options)
