"""Rows and documents judged by jsonschema: what the schema says, with the product's rule about NULL."""

from __future__ import annotations

import json
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.plan.projects import SmallProject, with_orders

from headgate.core.errors import Code, FatalError
from headgate.quality import json_schema

ROW = {
    "type": "object",
    "required": ["id", "kind"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "kind": {"enum": ["a", "b"]},
        "price": {"type": "number", "exclusiveMaximum": 10},
        "note": {"type": ["string", "null"]},
        "day": {"type": "string", "format": "date"},
    },
    "if": {"properties": {"kind": {"const": "b"}}},
    "then": {"required": ["price", "note"]},
}


def judged(root: Path, schema: Any, rows: pa.Table, kind: str = "row") -> list[bool | None]:
    (root / "s.json").write_text(json.dumps(schema))
    return json_schema.judge(f"{kind}:s.json", root)(rows)


def test_rows_are_valid_as_the_schema_says_and_null_is_absent_unless_it_may_be_null(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "id": [1, 0, 3, 4, 5, None],
            "kind": ["a", "a", "b", "b", "c", "a"],
            "price": pa.array([None, None, Decimal("9.99"), None, None, Decimal(10)], pa.decimal128(6, 2)),
            "note": [None] * 6,
            "day": [date(2024, 2, 29)] * 6,
        }
    )
    assert judged(tmp_path, ROW, rows) == [True, False, True, False, False, False]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"minimum": 1.1}, [True, False, True]),
        ({"maximum": 0.3}, [False, True, False]),
        ({"exclusiveMaximum": 1.1}, [False, True, False]),
        ({"enum": [1.10, 0.3]}, [True, True, False]),
        ({"multipleOf": 0.01}, [True, True, True]),
        ({"type": "integer"}, [False, False, True]),
    ],
)
def test_numbers_are_compared_as_they_are_written(tmp_path: Path, schema: Any, expected: list[bool]) -> None:
    rules = {"properties": {"n": schema}}
    written = ["1.10", "0.30", "9007199254740993.00"]
    exact = pa.array([Decimal(text) for text in written], pa.decimal128(38, 2))
    documents = pa.table({"t": [f'{{"n": {text}}}' for text in written]})
    assert judged(tmp_path, rules, pa.table({"n": exact})) == expected
    assert judged(tmp_path, rules, pa.table({"n": pa.array([1.1, 0.3, 9007199254740992.0])})) == expected
    assert judged(tmp_path, rules, documents, "text") == expected


def test_whole_decimals_are_integers_and_the_largest_are_compared_exactly(tmp_path: Path) -> None:
    rows = pa.table({"n": pa.array([Decimal(10**37), Decimal(10**37 + 1)], pa.decimal128(38, 0))})
    rules = {"properties": {"n": {"type": "integer", "multipleOf": 10}}}
    assert judged(tmp_path, rules, rows) == [True, False]


def test_numbers_that_no_arithmetic_reaches_break_the_bounds_of_a_schema(tmp_path: Path) -> None:
    rules = {"properties": {"n": {"maximum": 10, "multipleOf": 0.5}}}
    rows = pa.table({"n": [1.5, float("nan"), float("inf"), None]})
    assert judged(tmp_path, rules, rows) == [True, False, False, True]
    documents = pa.table({"t": ['{"n": 1.5}', '{"n": 1e400}', '{"n": 1e999999999}', f'{{"n": 1e{"9" * 30}}}']})
    assert judged(tmp_path, rules, documents, "text") == [True, False, False, False]


def test_documents_of_a_column_are_valid_and_null_passes(tmp_path: Path) -> None:
    rows = pa.table({"t": ['{"a": [1]}', '{"a": ["x"]}', "{", "", None, "[]"]})
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}}
    assert judged(tmp_path, schema, rows, "text") == [True, False, False, False, None, False]


KINDS: dict[str, Any] = {
    "integer": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v == int(v),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
}
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 2.0, -0.0]), st.sampled_from(["", "a", "ä"])
)
PROPERTY = st.fixed_dictionaries(
    {}, optional={"type": st.sampled_from(list(KINDS)), "minimum": st.integers(-2, 2), "maxLength": st.just(0)}
)
SCHEMAS = st.fixed_dictionaries(
    {"properties": st.dictionaries(st.sampled_from("ab"), PROPERTY)},
    optional={"required": st.lists(st.sampled_from("ab"), unique=True), "additionalProperties": st.just(False)},
)


def fulfils(value: Any, wanted: dict[str, Any]) -> bool:
    """The keywords of one property, as the standard says them."""
    number = KINDS["number"](value)
    return (
        ("type" not in wanted or KINDS[wanted["type"]](value))
        and ("minimum" not in wanted or not number or value >= wanted["minimum"])
        and ("maxLength" not in wanted or not isinstance(value, str) or len(value) <= wanted["maxLength"])
    )


TYPED = st.tuples(
    st.one_of(st.none(), st.integers(-3, 3)), st.sampled_from([None, "", "a", "ä"]), st.sampled_from([None, True])
)


@few
@for_all(SCHEMAS, st.lists(TYPED, max_size=5))
def test_rows_are_judged_without_the_nulls_that_their_properties_do_not_take(
    tmp_path_factory: pytest.TempPathFactory, schema: dict[str, Any], rows: list[Any]
) -> None:
    known = schema["properties"]
    expected = []
    for row in rows:
        given = dict(zip("abc", row, strict=True))
        one = {name: v for name, v in given.items() if v is not None or (name in known and fulfils(None, known[name]))}
        expected.append(valid(one, schema))
    table = pa.table({
        "a": pa.array([row[0] for row in rows], pa.int32()), "b": pa.array([row[1] for row in rows], pa.string()),
        "c": pa.array([row[2] for row in rows], pa.bool_()),
    })  # fmt: skip
    assert judged(tmp_path_factory.getbasetemp(), schema, table) == expected


def valid(one: dict[str, Any], schema: dict[str, Any]) -> bool:
    known = schema["properties"]
    return (
        all(name in one for name in schema.get("required", ()))
        and all(fulfils(value, known[name]) for name, value in one.items() if name in known)
        and ("additionalProperties" not in schema or one.keys() <= known.keys())
    )


@for_all(SCHEMAS, st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=5))
def test_documents_are_judged_as_the_standard_says(
    tmp_path_factory: pytest.TempPathFactory, schema: dict[str, Any], documents: list[dict[str, Any]]
) -> None:
    expected = [valid(one, schema) for one in documents]
    rows = pa.table({"t": pa.array([json.dumps(one) for one in documents], pa.string())})
    assert judged(tmp_path_factory.getbasetemp(), schema, rows, "text") == expected


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_a_number_that_is_none_is_no_json(tmp_path: Path, text: str) -> None:
    assert judged(tmp_path, {}, pa.table({"t": [text, "1"]}), "text") == [False, True]


def defined(root: Path, schema: str, **rule: Any) -> SmallProject:
    (root / "s.json").write_text(schema)
    return with_orders(root).define(rules=[{"type": "json_schema", "file": "s.json", "name": "valid", **rule}])


def test_a_run_tells_which_rows_are_not_valid(tmp_path: Path) -> None:
    project = defined(tmp_path, '{"properties": {"total": {"minimum": 0}}}', on_fail="warn")
    (check,) = project.run().checks
    assert (check.rule, check.failed_rows, check.passed, dict(check.sample[0])["total"]) == ("valid", 1, False, -5)


def test_a_column_of_type_json_holds_documents_too(tmp_path: Path) -> None:
    project = defined(tmp_path, '{"minimum": 2}', column="document", severity="warning")
    project.change(transformations=[{"type": "calculate", "columns": {"document": "CAST(id AS VARCHAR)::JSON"}}])
    (check,) = project.run().checks
    assert (check.passed, check.failed_rows) == (False, 1)


def test_another_schema_is_another_plan(tmp_path: Path) -> None:
    before = defined(tmp_path, "{}").plan().hash
    assert defined(tmp_path, '{"maxProperties": 9}').plan().hash != before


@pytest.mark.parametrize(
    ("schema", "rule", "message"),
    [
        ('{"type": "nonsense"}', {}, "it is no JSON Schema: 'nonsense' is not valid"),
        ("{", {}, "it is no JSON Schema"),
        ("{}", {"file": "absent.json"}, "there is no such file in the project"),
        ("{}", {"file": "../s.json"}, "there is no such file in the project"),
        ("{}", {"column": "absent"}, 'column "absent" not found'),
        ('{"required": ["City"]}', {}, 's.json requires "City", which is no column; did you mean "city"'),
        ("{}", {"column": "id"}, "it is about JSON texts, and id is"),
        (
            "{}",
            {"on_fail": "quarantine"},
            "headgate.yml:.*Python judges rows after the pass, and cannot hold them back",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_read(
    tmp_path: Path, schema: str, rule: dict[str, Any], message: str
) -> None:
    with pytest.raises(FatalError, match=message):
        defined(tmp_path, schema, **rule).plan()


def test_without_the_library_the_hint_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    result = defined(tmp_path, "{}").attempt()
    assert result.error_code == Code.DRIVER_MISSING
    assert result.failure is not None
    assert result.failure.hint == "pip install 'headgate[jsonschema]'"
