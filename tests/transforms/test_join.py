from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.plan.projects import SmallProject
from tests.tables import COLUMNS as TYPES
from tests.tables import NAMES, TABLES, Row, keys

from headgate.core.errors import Code, FatalError
from headgate.sql.shapes import Lookup, SideRead
from headgate.transforms import join

LEFT = {"id": "INTEGER", "k": "INTEGER", "m": "VARCHAR"}
RIGHT = {"k": "INTEGER", "m": "VARCHAR", "name": "VARCHAR"}
KEYS = st.one_of(st.none(), st.integers(0, 2))
WORDS = st.one_of(st.none(), st.sampled_from("ab"))
LEFT_ROWS = st.lists(st.tuples(st.integers(0, 9), KEYS, WORDS), max_size=6)
RIGHT_ROWS = st.lists(st.tuples(KEYS, WORDS, st.sampled_from("xyz")), max_size=6)


def run(execute: Any, options: dict[str, Any], left: list[Any], right: list[Any]) -> Any:
    name = join.side(join.Options(type="join", **options)).name
    return execute(join, options, LEFT, left, relations={name: (RIGHT, right)})


def matches(row: Any, right: list[Any], keys: int) -> list[Any]:
    wanted = row[1 : 1 + keys]
    return [] if None in wanted else [other for other in right if other[:keys] == wanted]


@for_all(LEFT_ROWS, RIGHT_ROWS, st.sampled_from(["left", "inner"]), st.sampled_from([1, 2]))
def test_many_matches_give_many_rows_and_null_matches_nothing(
    execute: Any, left: list[Any], right: list[Any], how: str, keys: int
) -> None:
    options = {"table": "dim", "on": ["k", "m"][:keys], "columns": ["name"], "how": how, "many": True}
    outcome = run(execute, options, left, right)
    expected = []
    for row in left:
        found = [(*row, other[2]) for other in matches(row, right, keys)]
        expected += found or ([(*row, None)] if how == "left" else [])
    assert sorted(outcome.rows, key=repr) == sorted(expected, key=repr)
    unmatched = sum(not matches(row, right, keys) for row in left)
    assert outcome.dropped["unmatched"] == (unmatched if how == "inner" else 0)
    assert outcome.told["no match"] == (unmatched if how == "left" else 0)


@for_all(LEFT_ROWS, st.dictionaries(st.integers(0, 2), st.sampled_from("xyz")), st.sampled_from(["left", "inner"]))
def test_a_lookup_adds_the_columns_of_the_one_match(
    execute: Any, left: list[Any], right: dict[int, str], how: str
) -> None:
    rows = [(key, "m", name) for key, name in right.items()]
    outcome = run(execute, {"table": "dim", "on": "k", "columns": ["name"], "how": how}, left, rows)
    expected = [(*row, right.get(row[1])) for row in left if how == "left" or row[1] in right]
    assert sorted(outcome.rows, key=repr) == sorted(expected, key=repr)


@for_all(LEFT_ROWS, RIGHT_ROWS, st.sampled_from(["right", "outer"]), st.sampled_from([1, 2]))
def test_rows_of_the_other_side_alone_come_in_with_their_keys(
    execute: Any, left: list[Any], right: list[Any], how: str, keys: int
) -> None:
    options = {"table": "dim", "on": ["k", "m"][:keys], "columns": ["name"], "how": how, "many": True}
    outcome = run(execute, options, left, right)
    expected, met = [], []
    for row in left:
        found = matches(row, right, keys)
        met += found
        expected += [(*row, other[2]) for other in found] or ([(*row, None)] if how == "outer" else [])
    alone = [other for other in right if other not in met]
    expected += [(None, other[0], other[1] if keys == 2 else None, other[2]) for other in alone]
    assert sorted(outcome.rows, key=repr) == sorted(expected, key=repr)
    assert outcome.dropped["unmatched"] == (sum(not matches(row, right, keys) for row in left) if how == "right" else 0)


@for_all(LEFT_ROWS, RIGHT_ROWS, st.sampled_from([1, 2]))
def test_semi_keeps_rows_with_a_match_and_anti_those_without(
    execute: Any, left: list[Any], right: list[Any], keys: int
) -> None:
    on = ["k", "m"][:keys]
    met = [row for row in left if matches(row, right, keys)]
    semi = run(execute, {"table": "dim", "on": on, "how": "semi"}, left, right)
    anti = run(execute, {"table": "dim", "on": on, "how": "anti"}, left, right)
    assert (semi.rows, semi.dropped["unmatched"]) == (met, len(left) - len(met))
    assert (anti.rows, anti.dropped["filtered"]) == ([row for row in left if row not in met], len(met))


@few
@for_all(TABLES, TABLES, NAMES)
def test_keys_of_any_types_match_if_they_are_equal(
    execute: Any, left: list[Row], right: list[Row], names: list[str]
) -> None:
    """NULL matches nothing, NaN matches NaN, and -0 is 0."""
    sides = [[(*row, number) for number, row in enumerate(rows)] for rows in (left, right)]
    columns = {**TYPES, "n": "INTEGER"}
    options = {"table": "dim", "on": names, "columns": ["n"], "how": "inner", "many": True, "suffix": "_there"}
    name = join.side(join.Options(type="join", **options)).name
    outcome = execute(join, options, columns, sides[0], relations={name: (columns, sides[1])})
    others = list(enumerate(keys(right, names)))
    pairs = [
        (here, there)
        for here, mine in enumerate(keys(left, names))
        for there, theirs in others
        if None not in mine and mine == theirs
    ]
    assert sorted(row[-2:] for row in outcome.rows) == sorted(pairs)
    assert outcome.dropped["unmatched"] == len(left) - len({here for here, _ in pairs})


HOWS = st.sampled_from(["left", "inner", "right", "outer", "semi", "anti"])


@for_all(LEFT_ROWS, RIGHT_ROWS, HOWS)
def test_a_key_may_be_calculated_and_leaves_no_column(
    execute: Any, left: list[Any], right: list[Any], how: str
) -> None:
    adds = {} if how in ("semi", "anti") else {"many": True, "suffix": "_r"}
    outcome = run(execute, {"table": "dim", "on": {"k + 1": "k", "UPPER(m)": "m"}, "how": how, **adds}, left, right)
    keyed = [(None if row[1] is None else row[1] + 1, None if row[2] is None else row[2].upper()) for row in left]
    found = [[other for other in right if None not in key and other[:2] == key] for key in keyed]
    expected: list[Any] = []
    for row, others in zip(left, found, strict=True):
        if how in ("semi", "anti"):
            expected += [row] if bool(others) == (how == "semi") else []
        elif how in ("right", "outer"):
            none = [(*row, None, None, None)] if how == "outer" else []
            expected += [(*row, *other) for other in others] or none
        else:
            expected += [(*row, other[2]) for other in others] or ([(*row, None)] if how == "left" else [])
    if how in ("right", "outer"):
        met = [other for others in found for other in others]
        expected += [(None, None, None, *other) for other in right if other not in met]
    assert sorted(outcome.rows, key=repr) == sorted(expected, key=repr)
    names = {"left": ["name"], "inner": ["name"], "right": ["k_r", "m_r", "name"], "outer": ["k_r", "m_r", "name"]}
    assert list(outcome.columns) == [*LEFT, *names.get(how, [])]


def test_a_key_that_cannot_be_calculated_is_a_row_error(project: SmallProject) -> None:
    project.table("dim", {"k": "INTEGER", "name": "TEXT"}, [(1, "one"), (3, "three")])
    step = {"type": "join", "table": "dim", "connection": "shop", "on": {"CAST(note AS INTEGER)": "k"}}
    receipt = project.define(steps=[step], error_handling={"on_row_error": "quarantine"}).run()
    assert project.out("SELECT id, name FROM out") == [(1, "one"), (3, "three"), (4, None), (5, None)]
    (entry,) = receipt.quarantine
    (row,) = project.held(entry)
    assert (row["id"], row["_reasons"]) == (
        2,
        ["join on CAST(note AS INTEGER): expected CAST(note AS INTEGER) can be computed"],
    )
    assert set(row) == {"id", "city", "total", "note", "_reasons"}


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ({"kk": "k"}, 'column "kk" not found'),
        ({"k +": "k"}, "does not parse"),
        ({"SUM(k)": "k"}, "SUM"),
        ({"UPPER(absent)": "m"}, 'column "absent" not found'),
        ({"k || ''": "k"}, r"the key k \|\| '' is VARCHAR, but k is BIGINT"),
        ({"k": "LOWER(m)"}, r'column "LOWER\(m\)" not found'),
    ],
)
def test_keys_that_cannot_be_compared_are_refused(project: SmallProject, on: dict[str, str], message: str) -> None:
    project.table("dim", {"k": "INTEGER", "m": "TEXT"}, []).table("orders", {"k": "INTEGER", "m": "TEXT"}, [])
    step = {"type": "join", "table": "dim", "connection": "shop", "on": on, "suffix": "_r"}
    with pytest.raises(FatalError, match=message):
        project.define(steps=[step]).plan()


@pytest.mark.parametrize(
    ("how", "counts", "expected"),
    [
        ("left", (0, 0, 0), [(1, "b"), (2, "b"), (3, None), (4, None), (5, None)]),
        ("inner", (3, 0, 0), [(1, "b"), (2, "b")]),
        ("right", (3, 1, 0), [(1, "b"), (2, "b"), (None, "k")]),
        ("outer", (0, 1, 0), [(1, "b"), (2, "b"), (3, None), (4, None), (5, None), (None, "k")]),
        ("semi", (3, 0, 0), [(1,), (2,)]),
        ("anti", (0, 0, 2), [(3,), (4,), (5,)]),
    ],
)
def test_every_kind_accounts_for_every_row(
    project: SmallProject, how: str, counts: tuple[int, int, int], expected: list[Any]
) -> None:
    project.table("towns", {"city": "TEXT", "land": "TEXT"}, [("Bonn", "b"), ("Kiel", "k")])
    step: dict[str, Any] = {"type": "join", "table": "towns", "connection": "shop", "on": "city", "how": how}
    receipt = project.define(steps=[step]).run()
    assert (receipt.rows.unmatched, receipt.rows.expanded, receipt.rows.filtered) == counts
    query = "SELECT id, land FROM out" if len(expected[0]) == 2 else "SELECT id FROM out"
    assert project.out(query) == sorted(expected, key=repr)
    assert receipt.warnings == (("join: no match in 3 rows",) if how == "left" else ())
    if how in ("right", "outer"):
        assert (None, "Kiel") in project.out("SELECT id, city FROM out")


def test_a_row_without_a_match_that_is_held_back_is_held_for_its_rule_only(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "land": "TEXT"}, [("Bonn", "b")])
    step = {"type": "join", "table": "towns", "connection": "shop", "on": "city"}
    rule = {"type": "range", "column": "id", "max": 3, "on_fail": "quarantine"}
    project.define(steps=[step], rules=[rule]).run()
    [entry] = project.entries()
    reasons = [row["_reasons"] for row in project.held(entry["id"])]
    assert len(reasons) == 2
    assert all(len(found) == 1 and found[0].startswith("range: ") for found in reasons)


def test_repeated_keys_of_the_other_side_are_refused_before_a_row_is_read(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "land": "TEXT"}, [("Bonn", "b"), ("Bonn", "c")])
    step = {"type": "join", "table": "towns", "connection": "shop", "on": "city", "how": "outer"}
    failed = project.define(steps=[step]).attempt()
    assert "rows would multiply" in str(failed.failure)
    many = {**step, "how": "inner", "many": True}
    assert project.define(steps=[many]).run().rows.expanded == 2


def test_a_left_join_with_many_matches_tells_how_many_rows_found_none(project: SmallProject) -> None:
    """Also by a key that is an expression, and whatever becomes of the rows afterwards."""
    project.table("towns", {"town": "TEXT", "land": "TEXT"}, [("BONN", "b"), ("BONN", None)])
    step = {"type": "join", "table": "towns", "connection": "shop", "on": {"UPPER(city)": "town"}, "many": True}
    receipt = project.define(steps=[step, {"type": "filter", "condition": "id <> 5"}]).run()
    assert receipt.warnings == ("join: no match in 3 rows",)
    assert (receipt.rows.expanded, receipt.rows.filtered, receipt.rows.loaded) == (2, 1, 6)
    assert project.out("SELECT id, land FROM out WHERE id IN (1, 3)") == [(1, "b"), (1, None), (3, None)]


def test_every_column_but_the_keys_is_added_unless_said(execute: Any) -> None:
    outcome = run(execute, {"table": "dim", "on": {"K": "k"}, "suffix": "_dim"}, [(1, 1, "a")], [(1, "b", "n")])
    assert list(outcome.columns) == ["id", "k", "m", "m_dim", "name"]
    assert outcome.rows == [(1, 1, "a", "b", "n")]


def test_the_plan_reads_only_what_the_step_needs() -> None:
    options = join.Options(type="join", table="public.dim", connection="dw", on={"id": "key"}, columns=["name"])
    side = join.side(options)
    assert side == SideRead(side.name, "dw", "public.dim", None, ("key", "name"), ("key",))
    assert side.name.startswith("join_public_dim_")
    assert join.side(options.model_copy(update={"many": True})).unique == ()
    assert join.side(options.model_copy(update={"columns": None})).columns == ()


def test_reads_that_differ_have_names_that_differ() -> None:
    sides = [
        join.side(join.Options(type="join", **options))
        for options in (
            {"table": "a.b", "on": "k"},
            {"table": "a_b", "on": "k"},
            {"table": "a.b", "on": "j"},
            {"table": "a.b", "on": "k", "connection": "c"},
            {"path": "a.b", "on": "k"},
        )
    ]
    assert len({side.name for side in sides}) == len(sides)
    assert join.side(join.Options(type="join", table="a.b", on="k", how="inner")).name == sides[0].name


@pytest.mark.parametrize("mine", ["INTEGER", "BIGINT", "DECIMAL(10, 0)", "DOUBLE"])
def test_numbers_match_numbers(given: Any, mine: str) -> None:
    options = join.Options(type="join", table="dim", on="k", columns=["name"])
    step = given({"k": mine}, relations={join.side(options).name: RIGHT})
    assert isinstance(join.shapes(options, step)[0], Lookup)


@pytest.mark.parametrize(
    ("options", "columns", "message"),
    [
        ({}, {"k": "VARCHAR"}, "the key k is VARCHAR, but k is INTEGER"),
        ({}, {"k": "INTEGER", "NAME": "VARCHAR"}, 'both sides have "name"'),
        ({"suffix": "_2"}, {"k": "INTEGER", "name": "VARCHAR", "NAME_2": "VARCHAR"}, "two columns would be called"),
        ({"on": "absent"}, {"k": "INTEGER"}, 'column "absent" not found'),
        ({"on": {"k": "kk"}}, {"k": "INTEGER"}, 'column "kk" not found'),
        ({"columns": ["nam"]}, {"k": "INTEGER"}, 'did you mean "name"'),
        ({"columns": ["name", "NAME"]}, {"k": "INTEGER"}, "two columns would be called"),
    ],
)
def test_what_would_be_ambiguous_is_refused(
    given: Any, options: dict[str, Any], columns: dict[str, str], message: str
) -> None:
    made = join.Options(type="join", **{"table": "dim", "on": "k", "columns": ["name"], **options})
    with pytest.raises(FatalError, match=message):
        join.shapes(made, given(columns, relations={join.side(made).name: RIGHT}))


def test_a_side_that_was_not_read_is_refused(given: Any) -> None:
    options = join.Options(type="join", table="dim", on="k")
    with pytest.raises(FatalError) as caught:
        join.shapes(options, given(LEFT))
    assert caught.value.code is Code.SOURCE_NOT_FOUND


@pytest.mark.parametrize(
    "options",
    [
        {"on": "k"},
        {"table": "a", "path": "b", "on": "k"},
        {"table": "a"},
        {"table": "a", "on": {}},
        {"table": "a", "on": []},
        {"table": "a", "on": ["k", "k"]},
        {"table": "a", "on": "k", "suffix": " "},
        {"table": "a", "on": "k", "how": "anti", "columns": ["name"]},
        {"table": "a", "on": "k", "how": "semi", "many": True},
    ],
)
def test_half_a_join_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        join.Options(type="join", **options)


def test_decimal_and_integer_keys_match_by_value(execute: Any) -> None:
    options = {"table": "dim", "on": {"k": "k"}, "columns": ["name"]}
    name = join.side(join.Options(type="join", **options)).name
    relations = {name: (RIGHT, [(7, "m", "seven")])}
    outcome = execute(
        join, options, {"k": "DECIMAL(10, 2)"}, [(Decimal("7.00"),), (Decimal("7.01"),)], relations=relations
    )
    assert sorted(row[1] or "" for row in outcome.rows) == ["", "seven"]
