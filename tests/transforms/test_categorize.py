from __future__ import annotations

import math
import statistics
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.often import few
from tests.plan.projects import SmallProject
from tests.tables import COLUMNS as TYPES
from tests.tables import DAYS, DECIMALS, FLOATS, INTS, TABLES, TEXTS, Row, key

from headgate.core.errors import FatalError
from headgate.transforms import categorize

COLUMNS = {"id": "INTEGER", "x": "DOUBLE", "t": "VARCHAR"}
NUMBERS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 999.99, 1000.0, 1000.01, 5000.0, 1e300, -1.0, float("inf")]))
ROWS = st.lists(st.tuples(NUMBERS, st.sampled_from([None, "a", "b", "ä"])), max_size=8).map(
    lambda rows: [(number, *row) for number, row in enumerate(rows)]
)


def named(execute: Any, rows: list[Any], **options: Any) -> list[Any]:
    outcome = execute(categorize, options, COLUMNS, rows)
    assert len(outcome.columns) == 4
    return [row[3] for row in sorted(outcome.rows)]


@for_all(ROWS)
def test_bands_are_half_open_and_leave_no_gap(execute: Any, rows: list[Any]) -> None:
    expected = [
        "unknown" if x is None
        else "Bronze" if 0 <= x < 1000
        else "Silver" if 1000 <= x < 5000
        else "Gold" if x >= 5000
        else "Other"
        for _, x, _ in rows
    ]  # fmt: skip
    for top in ([0, 1000, 5000], [0, 1000, 5000, float("inf")]):
        options = {"column": "x", "bins": top, "labels": ["Bronze", "Silver", "Gold"], "nulls": "unknown"}
        assert named(execute, rows, **options) == expected


EDGES = st.lists(
    st.sampled_from([-math.inf, -1.5, 0.0, 1.0, 1e300, math.inf]), min_size=2, max_size=4, unique=True
).map(sorted)


@few
@for_all(TABLES, EDGES, st.booleans(), st.sampled_from(["f", "i"]))
def test_bands_may_begin_and_end_at_infinity(
    execute: Any, rows: list[Row], edges: list[float], open_end: bool, name: str
) -> None:
    """A band that ends at infinity takes it in, unless another begins there; NaN is in none."""
    labels = [str(place) for place in range(len(edges) - 1 + open_end)]
    options = {"column": name, "bins": edges, "labels": labels, "into": "c"}
    outcome = execute(categorize, options, TYPES, rows)
    expected = []
    for row in rows:
        value = row[list(TYPES).index(name)]
        ends = [*edges[1:], *([math.inf] if open_end else [])]
        fits = [
            label
            for label, low, high in zip(labels, edges, ends, strict=False)
            if value is not None and value >= low and (value < high or high == math.inf)
        ]
        expected.append(None if value is None else fits[0] if fits else "Other")
    assert [row[-1] for row in outcome.rows] == expected


VALUES: dict[str, Any] = {"i": INTS, "f": FLOATS, "t": TEXTS, "d": DECIMALS, "day": DAYS}
CONDITIONS: dict[str, Any] = {
    "i > 0": lambda row: row[0] is not None and row[0] > 0,
    "t = 'a' OR i IS NULL": lambda row: row[2] == "a" or row[0] is None,
    "t < 'a' OR d < 0": lambda row: (row[2] is not None and row[2] < "a") or (row[3] is not None and row[3] < 0),
}


def _holds_something(band: dict[str, Any]) -> bool:
    if len(band) < 2:
        return bool(band)
    least, below = band["min"], band["below"]
    return bool(least < below or least == below == math.inf)


@st.composite
def categories(draw: st.DrawFn, name: str) -> list[dict[str, Any]]:
    edge = VALUES[name].filter(lambda value: value is not None and value == value)
    band = st.fixed_dictionaries({}, optional={"min": edge, "below": edge}).filter(_holds_something)
    values = st.fixed_dictionaries({"values": st.lists(VALUES[name], min_size=1, max_size=3)})
    condition = st.fixed_dictionaries({"condition": st.sampled_from([*CONDITIONS])})
    found = draw(st.lists(st.one_of(band, values, condition), min_size=1, max_size=4))
    return [{"name": f"c{place}", **one} for place, one in enumerate(found)]


def fits(row: Row, value: Any, wanted: dict[str, Any]) -> bool:
    """A band takes in its first value, not its last; NaN is in no band, and equal to itself in a list."""
    if "condition" in wanted:
        return bool(CONDITIONS[wanted["condition"]](row))
    if "values" in wanted:
        return key(value) in [key(one) for one in wanted["values"]]
    number = value == value
    return (
        number
        and ("min" not in wanted or value >= wanted["min"])
        and ("below" not in wanted or value < wanted["below"] or value == wanted["below"] == math.inf)
    )


@few
@for_all(TABLES, st.sampled_from([*VALUES]), st.data(), st.sampled_from([None, "unknown"]), st.booleans())
def test_the_first_category_that_fits_a_value_of_any_type_wins(
    execute: Any, rows: list[Row], name: str, data: st.DataObject, nulls: str | None, no_else: bool
) -> None:
    """NULL comes before all of them, and what fits none is Other, or NULL."""
    wanted = data.draw(categories(name))
    options = {"column": name, "categories": wanted, "no_else": no_else, **({"nulls": nulls} if nulls else {})}
    outcome = execute(categorize, options, TYPES, rows)
    assert list(outcome.columns) == [*TYPES, f"{name}_category"]
    expected = []
    for row in rows:
        value = row[list(TYPES).index(name)]
        found = [one["name"] for one in wanted if value is not None and fits(row, value, one)]
        expected.append(nulls if value is None else found[0] if found else None if no_else else "Other")
    assert [row[-1] for row in outcome.rows] == expected


@for_all(ROWS)
def test_the_first_list_or_condition_that_fits_wins(execute: Any, rows: list[Any]) -> None:
    categories = [
        {"name": "vowel", "values": ["a", "ä"]},
        {"name": "dear", "condition": "x > 1000 AND t = 'b'"},
        {"name": "cheap", "condition": "x < 0"},
    ]
    expected = [
        None if t is None
        else "vowel" if t in "aä"
        else "dear" if x is not None and x > 1000
        else "cheap" if x is not None and x < 0
        else "rest"
        for _, x, t in rows
    ]  # fmt: skip
    assert named(execute, rows, column="t", into="c", categories=categories, **{"else": "rest"}) == expected


@pytest.mark.parametrize(("kind", "largest"), [("DOUBLE", "top"), ("INTEGER", "mid")])
def test_only_infinity_is_in_a_band_that_begins_there(execute: Any, kind: str, largest: str) -> None:
    options = {"column": "x", "bins": [0, 10, math.inf], "labels": ["low", "mid", "top"]}
    rows = [(-5,), (5,), (math.inf if kind == "DOUBLE" else 2**31 - 1,)]
    outcome = execute(categorize, options, {"x": kind}, rows)
    assert [row[-1] for row in outcome.rows][:2] == ["Other", "low"]
    assert execute(categorize, {**options, "bins": [-math.inf, 0, math.inf]}, {"x": kind}, rows).rows[0][-1] == "low"
    first = [{"name": "never", "below": -math.inf}, {"name": "top", "min": math.inf}, {"name": "mid", "min": 10}]
    outcome = execute(categorize, {"column": "x", "categories": first}, {"x": kind}, rows)
    assert [row[-1] for row in outcome.rows] == ["Other", "Other", largest]


def test_an_edge_is_exact_to_the_last_digit(execute: Any) -> None:
    edge = Decimal("9" * 34 + ".9999")
    rows = [(edge,), (Decimal("9" * 34 + ".9998"),)]
    for options in ({"bins": [0, edge], "labels": ["below", "from"]}, {"categories": [{"name": "from", "min": edge}]}):
        found = execute(categorize, {"column": "x", "else": "below", **options}, {"x": "DECIMAL(38, 4)"}, rows)
        assert [row[1] for row in found.rows] == ["from", "below"]


def test_nan_is_in_no_band(execute: Any) -> None:
    rows = [(1, float("nan"), None)]
    assert named(execute, rows, column="x", categories=[{"name": "big", "min": 0}, {"name": "small", "below": 0}]) == [
        "Other"
    ]
    assert named(execute, rows, column="x", categories=[{"name": "big", "min": 0}], no_else=True) == [None]


@for_all(st.lists(st.one_of(st.none(), st.integers(-50, 50).map(float)), min_size=1, max_size=20))
def test_quantiles_are_those_of_the_whole_set(execute: Any, numbers: list[float | None]) -> None:
    rows = [(place, number, None) for place, number in enumerate(numbers)]
    known = sorted(number for number in numbers if number is not None)
    found = named(execute, rows, column="x", categories=[{"name": "top", "min_quantile": 0.75}])
    if len(known) > 1:
        edge = statistics.quantiles(known, n=4, method="inclusive")[2]
        expected = [None if number is None else "top" if number >= edge - 1e-9 else "Other" for number in numbers]
        assert found == expected


def test_a_condition_that_raises_is_a_row_error(execute: Any) -> None:
    options = {"into": "c", "categories": [{"name": "even", "condition": "10 % id = 0"}]}
    outcome = execute(categorize, options, COLUMNS, [(0, None, None), (5, None, None)])
    assert [row[3] for row in outcome.rows] == ["even"]
    assert [flags for _, flags in outcome.held] == [("categorize even",)]


def test_a_condition_behind_the_category_that_fits_is_not_asked(execute: Any) -> None:
    """Nor one of a row without a value: it is called as ``nulls`` says."""
    categories = [
        {"name": "none", "condition": "id = 0"},
        {"name": "even", "condition": "10 % id = 0"},
        {"name": "odd", "condition": "100 % (id - 1) > 0"},
        {"name": "one", "values": [1.0]},
    ]
    rows = [(0, 1.0, None), (5, 1.0, None), (1, None, None), (1, 2.0, None), (7, 1.0, None)]
    outcome = execute(categorize, {"column": "x", "into": "c", "categories": categories, "nulls": "?"}, COLUMNS, rows)
    assert [row[3] for row in outcome.rows] == ["none", "even", "?", "even", "odd"]
    outcome = execute(
        categorize, {"into": "c", "categories": categories[1:3]}, COLUMNS, [(0, 1.0, None), (3, 1.0, None)]
    )
    assert [row[3] for row in outcome.rows] == ["Other"]
    assert [flags for _, flags in outcome.held] == [("categorize even",)]


def test_quantiles_see_only_rows_that_are_still_good(project: SmallProject) -> None:
    project.define(
        steps=[
            {"type": "filter", "condition": "total <> 30"},
            {
                "type": "categorize",
                "column": "total",
                "into": "band",
                "categories": [{"name": "top", "min_quantile": 1.0}],
            },
        ]
    ).run()
    assert project.out("SELECT id, band FROM out") == [(1, "Other"), (2, "top"), (5, "Other")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": "absent"}, 'column "absent" not found'),
        ({"column": "t", "categories": [{"name": "a", "min_quantile": 0.5}]}, "quantiles are those of numbers"),
        ({"column": "x", "categories": [{"name": "a", "min": "soon"}]}, "cannot be compared with x"),
        ({"column": "x", "categories": [{"name": "a", "condition": "y > 1"}]}, 'column "y" not found'),
    ],
)
def test_what_cannot_be_told_is_refused(given: Any, options: dict[str, Any], message: str) -> None:
    asked = {"categories": [{"name": "a", "min": 0}], **options}
    with pytest.raises(FatalError, match=message):
        categorize.shapes(categorize.Options(type="categorize", **asked), given(COLUMNS))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"column": "x", "categories": []},
        {"categories": [{"name": "a", "min": 0}]},
        {"column": "x", "bins": [0, 1, 2], "labels": ["a"]},
        {"column": "x", "categories": [{"name": "a"}]},
        {"column": "x", "categories": [{"name": "a", "min": 0, "values": [1]}]},
        {"column": "x", "categories": [{"name": "a", "min": 0, "min_quantile": 0.5}]},
        {"categories": [{"name": "a", "condition": "x > 1"}]},
    ],
)
def test_half_a_category_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        categorize.Options(type="categorize", **options)


def test_a_band_may_hold_infinity_alone(execute: Any) -> None:
    categories = [{"name": "endless", "min": math.inf, "below": math.inf}]
    outcome = execute(categorize, {"column": "f", "categories": categories}, TYPES, [
        (1, math.inf, "a", None, None), (2, 1.0, "a", None, None)
    ])  # fmt: skip
    assert [row[-1] for row in outcome.rows] == ["endless", "Other"]
