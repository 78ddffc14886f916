from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.quality.limits import possible
from tests.tables import COLUMNS as TYPES
from tests.tables import DAYS, TABLES, Row

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


def keywords(values: Any, **others: Any) -> Any:
    bounds = dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), values)
    listed = {"enum": st.lists(values, min_size=1, max_size=3), "const": values}
    return properties({**bounds, **listed, **others})


def properties(optional: dict[str, Any]) -> Any:
    return st.fixed_dictionaries({}, optional=optional).filter(lambda wanted: possible(schema.Property, **wanted))


WORDS = {
    "minLength": st.integers(0, 2),
    "maxLength": st.integers(0, 2),
    "pattern": st.sampled_from(["^a", "a$", "^.$", "^$", " ", "A|ä"]),
    "enum": st.lists(st.sampled_from(["a", "", "A"]), min_size=1),
    "const": st.sampled_from(["a", "", None]),
    "nullable": st.booleans(),
}
PROPERTIES = st.fixed_dictionaries({}, optional={
    "i": keywords(st.one_of(st.integers(-3, 3), st.just(2**31 - 1), st.just(10**20))),
    "f": keywords(st.sampled_from([0.0, 1.0, -1.5, 1e300])),
    "T": properties(WORDS),
    "day": properties({"minimum": DAYS.filter(bool), "maximum": DAYS.filter(bool)}),
})  # fmt: skip


def keeps(value: Any, wanted: dict[str, Any]) -> bool:
    """The keywords of one property; NULL passes all but ``const``, and NaN is outside of every bound."""
    if value is None:
        return True
    return (
        ("minimum" not in wanted or value >= wanted["minimum"])
        and ("maximum" not in wanted or value <= wanted["maximum"])
        and ("exclusiveMinimum" not in wanted or value > wanted["exclusiveMinimum"])
        and ("exclusiveMaximum" not in wanted or value < wanted["exclusiveMaximum"])
        and ("enum" not in wanted or value in wanted["enum"])
        and ("const" not in wanted or value == wanted["const"])
        and ("minLength" not in wanted or len(value) >= wanted["minLength"])
        and ("maxLength" not in wanted or len(value) <= wanted["maxLength"])
        and ("pattern" not in wanted or re.search(wanted["pattern"], value) is not None)
    )


@few
@for_all(TABLES, PROPERTIES, st.lists(st.sampled_from(["I", "t", "d"]), unique=True))
def test_every_keyword_counts_whatever_stands_beside_it(
    judge: Any, rows: list[Row], properties: dict[str, Any], required: list[str]
) -> None:
    places = {name: place for place, name in enumerate(TYPES)}
    expected = []
    for row in rows:
        good = all(keeps(row[places[name.lower()]], wanted) for name, wanted in properties.items())
        for name in required:
            nullable = name == "t" and properties.get("T", {}).get("nullable", False)
            good = good and (nullable or row[places[name.lower()]] is not None)
        expected.append(good)
    assert (
        judge(schema, {"properties": properties, "required": required or None, "columns": {"i": "BIGINT"}}, TYPES, rows)
        == expected
    )


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


@pytest.mark.parametrize(
    ("type_", "wanted"),
    [
        ("DECIMAL(38, 0)", {"type": "integer", "minimum": 0}),
        ("UUID", {"type": "string", "format": "uuid"}),
        ("DATE", {"type": "string", "format": "date"}),
    ],
)
def test_columns_of_which_every_value_is_what_json_schema_says_pass(judge: Any, type_: str, wanted: Any) -> None:
    assert judge(schema, {"properties": {"x": wanted}}, {"x": type_}, [(None,)]) == [True]


@pytest.mark.parametrize(
    ("type_", "wanted"),
    [
        ("DECIMAL(9, 1)", {"type": "integer"}),
        ("UUID", {"type": "string"}),
        ("DATE", {"type": "string", "format": "date", "pattern": "^2024"}),
    ],
)
def test_what_is_asked_of_texts_is_not_passed_over_for_other_types(judge: Any, type_: str, wanted: Any) -> None:
    with pytest.raises(FatalError, match="Schema validation failed"):
        judge(schema, {"properties": {"x": wanted}}, {"x": type_}, [])


def test_enum_format_and_nullable(judge: Any) -> None:
    options = {"required": ["x"], "properties": {"x": {"enum": ["a@b.de", "c"], "format": "email", "nullable": True}}}
    assert judge(schema, options, {"x": "VARCHAR"}, [("a@b.de",), ("c",), (None,)]) == [True, False, True]


@pytest.mark.parametrize("options", [{}, {"properties": {"x": {"pattern": "("}}}, {"columns": {"x": "INTEGR"}}])
def test_nonsense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema.Options(type="schema", **options)
