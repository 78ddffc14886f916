from __future__ import annotations

import json
import math
import statistics
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.plan.projects import FILES, SmallProject

from headgate.core.errors import Code, FatalError
from headgate.transforms import normalize

NESTED = {"id": "INTEGER", "c": "STRUCT(_name VARCHAR, geo STRUCT(lat DOUBLE, tags VARCHAR[]))", "l": "INTEGER[]"}
ITEMS = {"id": "INTEGER", "items": "STRUCT(sku VARCHAR, price STRUCT(net INTEGER))[]"}


def test_nested_fields_are_called_by_their_path(execute: Any) -> None:
    rows = [(1, {"_name": "a", "geo": {"lat": 1.5, "tags": ["x"]}}, [1]), (2, None, None)]
    outcome = execute(normalize, {"flatten": True}, NESTED, rows)
    assert list(outcome.columns) == ["id", "c__name", "c_geo_lat", "c_geo_tags", "l"]
    assert outcome.rows == [(1, "a", 1.5, ["x"], [1]), (2, None, None, None, None)]
    shallow = execute(normalize, {"flatten": "c", "depth": 1, "separator": "."}, NESTED, rows)
    assert list(shallow.columns) == ["id", "c._name", "c.geo", "l"]


def test_a_list_becomes_a_table_that_finds_its_parents(execute: Any) -> None:
    rows = [
        (1, [{"sku": "a", "price": {"net": 5}}, {"sku": "b", "price": None}, None]),
        (2, []),
        (3, None),
    ]
    options = {"explode": {"items": {"name": "lines", "keys": ["id"]}}}
    outcome = execute(normalize, options, ITEMS, rows)
    assert (outcome.columns, outcome.rows) == ({"id": "INTEGER"}, [(1,), (2,), (3,)])
    lines = outcome.branches["lines"]
    assert list(lines.columns) == ["id", "position", "sku", "price_net"]
    assert lines.rows == [(1, 1, "a", 5), (1, 2, "b", None), (1, 3, None, None)]


PARTS = st.one_of(
    st.none(),
    st.fixed_dictionaries({
        "sku": st.one_of(st.none(), st.text("aä", max_size=2)),
        "price": st.one_of(st.none(), st.fixed_dictionaries({"net": st.one_of(st.none(), st.integers(-9, 9))})),
    }),
)  # fmt: skip
PARENTS = st.lists(st.one_of(st.none(), st.lists(PARTS, max_size=3)), max_size=4)


@for_all(PARENTS)
def test_every_item_finds_its_parent_and_its_place(execute: Any, lists: list[Any]) -> None:
    rows = list(enumerate(lists))
    outcome = execute(normalize, {"explode": {"items": {"name": "lines", "keys": ["id"]}}}, ITEMS, rows)
    assert outcome.rows == [(number,) for number, _ in rows]
    assert outcome.branches["lines"].rows == [
        (number, place, (item or {}).get("sku"), ((item or {}).get("price") or {}).get("net"))
        for number, items in rows
        for place, item in enumerate(items or (), 1)
    ]


@for_all(st.lists(PARTS, max_size=5))
def test_every_field_stands_in_a_column_of_its_own(execute: Any, items: list[Any]) -> None:
    columns = {"i": "STRUCT(sku VARCHAR, price STRUCT(net INTEGER))"}
    outcome = execute(normalize, {"flatten": True}, columns, [(item,) for item in items])
    assert list(outcome.columns) == ["i_sku", "i_price_net"]
    assert outcome.rows == [((i or {}).get("sku"), ((i or {}).get("price") or {}).get("net")) for i in items]


DEEP = {
    "id": "INTEGER",
    "a": "STRUCT(x INTEGER, _b STRUCT(c STRUCT(d VARCHAR), e INTEGER[]))",
    "z": "STRUCT(x INTEGER)",
}
LEAF = st.one_of(st.none(), st.integers(-9, 9))


def maybe(**fields: Any) -> Any:
    return st.one_of(st.none(), st.fixed_dictionaries(fields))


DEEP_ROWS = st.lists(
    st.tuples(
        LEAF,
        maybe(x=LEAF, _b=maybe(c=maybe(d=st.sampled_from([None, "", "ä"])), e=st.one_of(st.none(), st.lists(LEAF)))),
        maybe(x=LEAF),
    ),
    max_size=5,
)
TREE: dict[str, Any] = {"id": None, "a": {"x": None, "_b": {"c": {"d": None}, "e": None}}, "z": {"x": None}}


def opened(name: str, value: Any, inside: Any, levels: int, sign: str) -> dict[str, Any]:
    """The columns that a value becomes, by the path of each; a field of nothing is NULL."""
    if not inside or not levels:
        return {name: value}
    found: dict[str, Any] = {}
    for field, deeper in inside.items():
        found |= opened(f"{name}{sign}{field}", (value or {}).get(field), deeper, levels - 1, sign)
    return found


@few
@for_all(
    DEEP_ROWS, st.sampled_from([True, ["a"], ["Z", "a"], "z"]), st.sampled_from(["_", ".", "__", ""]),
    st.sampled_from([None, 1, 2, 5]),
)  # fmt: skip
def test_structs_are_taken_apart_as_deep_as_is_said(
    execute: Any, rows: list[Any], chosen: Any, sign: str, depth: int | None
) -> None:
    options = {"flatten": chosen, "separator": sign, **({"depth": depth} if depth else {})}
    outcome = execute(normalize, options, DEEP, rows)
    taken = DEEP.keys() if chosen is True else {name.lower() for name in chosen}
    expected: list[dict[str, Any]] = []
    for row in [*rows, (None, None, None)]:
        made: dict[str, Any] = {}
        for name, value in zip(DEEP, row, strict=True):
            made |= opened(name, value, TREE[name], (depth or 9) if name in taken else 0, sign)
        expected.append(made)
    assert list(outcome.columns) == list(expected[-1])
    assert outcome.rows == [tuple(made.values()) for made in expected[:-1]]


LISTS = {"id": "INTEGER", "g": "VARCHAR", "l": "INTEGER[]", "j": "VARCHAR[]"}
ELEMENTS = st.lists(
    st.tuples(
        LEAF, st.sampled_from([None, "a"]), st.one_of(st.none(), st.lists(LEAF, max_size=3)),
        st.one_of(st.none(), st.lists(st.sampled_from([None, '{"n": 1}', '{"n": null}', "{}"]), max_size=3)),
    ),
    max_size=4,
)  # fmt: skip


@few
@for_all(ELEMENTS, st.sampled_from([["id"], ["G", "id"]]))
def test_elements_and_documents_of_a_list_become_rows_with_the_keys(
    execute: Any, rows: list[Any], names: list[str]
) -> None:
    numbers = {"name": "numbers", "keys": names, "position": "at", "value": "n"}
    documents = {"name": "documents", "keys": names, "fields": {"n": "INTEGER"}}
    outcome = execute(normalize, {"explode": {"l": numbers, "J": documents}}, LISTS, rows)
    keyed = [tuple(row[list(LISTS).index(name.lower())] for name in names) for row in rows]
    read = {None: None, '{"n": 1}': 1, '{"n": null}': None, "{}": None}
    assert (list(outcome.columns), outcome.rows) == (["id", "g"], [row[:2] for row in rows])
    assert outcome.branches["numbers"].rows == [
        (*mine, place, value)
        for mine, row in zip(keyed, rows, strict=True)
        for place, value in enumerate(row[2] or (), 1)
    ]
    assert outcome.branches["documents"].rows == [
        (*mine, place, read[value])
        for mine, row in zip(keyed, rows, strict=True)
        for place, value in enumerate(row[3] or (), 1)
    ]
    assert list(outcome.branches["numbers"].columns) == [*(name.lower() for name in names), "at", "n"]


DOCUMENTS = st.lists(
    st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {}, optional={"n": st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)), "t": st.text(max_size=3)}
        ).map(json.dumps),
    ),
    max_size=5,
)


@for_all(DOCUMENTS)
def test_json_documents_give_the_fields_that_are_said(execute: Any, documents: list[str | None]) -> None:
    options = {"fields": {"j": {"n": "INTEGER", "t": "VARCHAR", "x.y": "DATE"}}}
    outcome = execute(normalize, options, {"j": "VARCHAR"}, [(text,) for text in documents])
    assert list(outcome.columns) == ["j_n", "j_t", "j_x_y"]
    read = [json.loads(text) if text is not None else {} for text in documents]
    assert outcome.rows == [(found.get("n"), found.get("t"), None) for found in read]
    assert outcome.held == []


def test_a_document_that_is_none_and_a_field_of_another_type_are_row_errors(execute: Any) -> None:
    rows = [('{"n": 1.50, "d": "2024-02-29"}',), ('{"n": "x"}',), ("{",), ('{"n": 1, "d": "2024-02-30"}',)]
    outcome = execute(normalize, {"fields": {"j": {"n": "DECIMAL(6, 2)", "d": "DATE"}}}, {"j": "VARCHAR"}, rows)
    assert [row[0] for row in outcome.rows] == [Decimal("1.50")]
    assert [flags for _, flags in outcome.held] == [("normalize j_n",), ("normalize j_n",), ("normalize j_d",)]


SCALED = st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.one_of(st.none(), st.integers(-50, 50))), max_size=12)


@for_all(SCALED, st.sampled_from(["INTEGER", "DECIMAL(6, 2)", "DOUBLE"]), st.booleans())
def test_numbers_come_to_one_scale(execute: Any, given_rows: list[Any], kind: str, grouped: bool) -> None:
    """Over all rows, or those of each group; in halves where the type has them."""
    unit = 1 if kind == "INTEGER" else 2
    numbers = [number if number is None or unit == 1 else Decimal(number) / unit for _, number in given_rows]
    rows = [(place, group, *[n] * 3) for place, ((group, _), n) in enumerate(zip(given_rows, numbers, strict=True))]
    columns = {"id": "INTEGER", "g": "VARCHAR", "s": kind, "m": kind, "r": kind}
    by = {"by": "G"} if grouped else {}
    methods = {"s": "standard", "m": "min_max", "r": "robust"}
    options = {"scale": {name: {"method": method, **by} for name, method in methods.items()}}
    outcome = execute(normalize, options, columns, rows)
    assert [row[0] for row in outcome.rows] == list(range(len(rows)))
    for place, group, *found in outcome.rows:
        if numbers[place] is None:
            assert found == [None] * 3
            continue
        members = [n for n, row in zip(numbers, rows, strict=True) if not grouped or row[1] == group]
        assert found == pytest.approx(scaled(float(numbers[place]), members), abs=1e-9)


def scaled(number: float, members: list[Any]) -> list[float]:
    known = [float(one) for one in members if one is not None]
    quarters = statistics.quantiles(known, n=4, method="inclusive") if len(known) > 1 else [number] * 3
    return [
        share(number - statistics.fmean(known), statistics.pstdev(known)),
        share(number - min(known), max(known) - min(known)),
        share(number - statistics.median(known), quarters[2] - quarters[0]),
    ]


SIZES = st.sampled_from([-1074, -1000, -600, -500, 0, 500, 600, 1000, 1019])


@for_all(st.lists(st.one_of(st.none(), st.integers(-9, 9)), max_size=8), SIZES)
def test_doubles_of_any_size_come_to_one_scale(execute: Any, numbers: list[int | None], size: int) -> None:
    """Numbers that are 2 ** size times as large stand as far apart: no square of them overflows or vanishes."""
    columns = {"s": "DOUBLE", "m": "DOUBLE", "r": "DOUBLE"}
    options = {"scale": {"s": "standard", "m": "min_max", "r": "robust"}}
    small, large = (
        execute(normalize, options, columns, [(value,) * 3 for value in values])
        for values in (numbers, [None if n is None else math.ldexp(float(n), size) for n in numbers])
    )
    assert list(large.columns) == ["s", "m", "r"]
    for found, expected in zip(large.rows, small.rows, strict=True):
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("method", "low", "high"), [("standard", -1, 1), ("min_max", 0, 1), ("robust", -1, 1)])
@pytest.mark.parametrize("large", [5e-324, 1e-200, 1e300, 1.7976931348623157e308])
def test_the_largest_and_smallest_doubles_are_told_apart(
    execute: Any, method: str, low: int, high: int, large: float
) -> None:
    rows = [("a", -large), ("a", large), ("b", None), ("b", 0.0), ("b", 1.0), ("b", 1.0)]
    outcome = execute(normalize, {"scale": {"x": {"method": method, "by": "g"}}}, {"g": "VARCHAR", "x": "DOUBLE"}, rows)
    assert [value for group, value in outcome.rows if group == "a"] == pytest.approx([low, high])


def share(distance: float, width: float) -> float:
    return 0.0 if math.isclose(width, 0) else distance / width


def orders(project: SmallProject) -> SmallProject:
    lines = [
        {"id": 1, "customer": {"city": "Bonn"}, "items": [{"sku": "a", "n": 2}, {"sku": "b", "n": 1}]},
        {"id": 2, "customer": {"city": "Ulm"}, "items": []},
        {"id": 3, "customer": {"city": "Ulm"}, "items": [{"sku": "a", "n": "many"}]},
    ]
    return project.file("orders.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


STEP: dict[str, Any] = {
    "type": "normalize",
    "fields": {"customer": {"city": "VARCHAR"}},
    "explode": {"items": {"name": "lines", "keys": "id", "fields": {"sku": "VARCHAR", "n": "INTEGER"}}},
}
TARGETS = [{"table": "orders"}, {"table": "order_lines", "from": "lines"}]


def test_parents_and_children_are_published_in_one_commit_and_counted(project: SmallProject) -> None:
    orders(project).define(
        source={**FILES, "path": "*.jsonl"},
        steps=[STEP],
        targets=TARGETS,
        rules=[{"type": "range", "column": "n", "min": 2, "step": "lines", "on_fail": "quarantine"}],
        error_handling={"on_row_error": "quarantine"},
    )
    receipt = project.run()
    assert project.out("SELECT * FROM orders") == [(1, "Bonn"), (2, "Ulm"), (3, "Ulm")]
    assert project.out("SELECT * FROM order_lines") == [(1, 1, "a", 2)]
    rows = receipt.rows
    assert (rows.extracted, rows.expanded, rows.quarantined, rows.loaded) == (3, 3, 2, 4)
    assert {entry["rule"] for entry in project.entries()} == {"normalize n", "range"}
    assert all(project.replay(entry["id"]).is_failure for entry in project.entries())


def test_a_child_in_error_fails_the_run_and_touches_no_target(project: SmallProject) -> None:
    orders(project).define(source={**FILES, "path": "*.jsonl"}, steps=[STEP], targets=TARGETS)
    failed = project.attempt()
    assert failed.error_code is Code.ROW_ERROR
    assert "n is a value" in str(failed.failure) or "has n as INTEGER" in str(failed.failure)
    assert (
        not project.root.joinpath("goal.db").exists()
        or project.out("SELECT name FROM sqlite_master WHERE name LIKE 'order%'") == []
    )


def test_a_target_may_only_name_outputs_that_are_there(project: SmallProject) -> None:
    orders(project).define(
        source={**FILES, "path": "*.jsonl"}, steps=[STEP], targets=[{"table": "t", "from": "liness"}]
    )
    failed = project.attempt()
    assert 'there is no step "liness"' in str(failed.failure)
    assert "lines" in str(failed.failure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flatten": "id"}, "not a struct"),
        ({"flatten": "absent"}, 'column "absent" not found'),
        ({"explode": {"id": {"name": "x", "keys": "l"}}}, "not a list"),
        ({"explode": {"l": {"name": "x", "keys": "l"}}}, "is the list itself"),
        ({"explode": {"l": {"name": "x", "keys": "id", "position": "ID"}}}, "two columns would be called"),
        ({"fields": {"id": {"a": "INTEGER"}}}, "not JSON"),
        ({"explode": {"l": {"name": "x", "keys": "id", "fields": {"a": "DATE"}}}}, "an element of l is INT, not JSON"),
        ({"scale": {"c": "standard"}}, "not a number"),
        ({"flatten": "c", "scale": {"c": "standard"}}, "is taken apart"),
    ],
)
def test_what_is_not_nested_is_refused(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FatalError, match=message):
        normalize.shapes(normalize.Options(type="normalize", **options), given(NESTED))


@pytest.mark.parametrize("path", ["", "a..b", 'a."b', "a."])
def test_a_path_with_an_empty_part_is_refused(given: Any, path: str) -> None:
    with pytest.raises(FatalError, match="is no path"):
        normalize.shapes(normalize.Options(type="normalize", fields={"j": {path: "INTEGER"}}), given({"j": "JSON"}))


def test_names_that_would_meet_are_refused(given: Any) -> None:
    columns = {"a": "STRUCT(b INTEGER)", "a_b": "INTEGER"}
    with pytest.raises(FatalError, match="two columns would be called"):
        normalize.shapes(normalize.Options(type="normalize", flatten=True), given(columns))
    with pytest.raises(ValidationError):
        normalize.Options(type="normalize")
