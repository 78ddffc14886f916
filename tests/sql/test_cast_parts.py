"""Lists, structs and maps are cast part by part: a part that is lost or changed makes the whole value wrong."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from sqlglot import exp

from headgate.sql.casts import exact_cast
from headgate.sql.types import parse_type


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize(
    ("value", "source", "target", "right"),
    [
        ("['1', NULL, '-2']", "VARCHAR[]", "INTEGER[]", True),
        ("['1', 'x']", "VARCHAR[]", "INTEGER[]", False),
        ("['1', '1.5']", "VARCHAR[]", "INTEGER[]", False),
        ("[]", "VARCHAR[]", "INTEGER[]", True),
        ("NULL", "VARCHAR[]", "INTEGER[]", True),
        ("[1.0, 2]", "DOUBLE[]", "INTEGER[]", True),
        ("[1.5]", "DOUBLE[]", "INTEGER[]", False),
        ("['1.50', '-0.01']", "VARCHAR[]", "DECIMAL(9, 2)[]", True),
        ("['1.005']", "VARCHAR[]", "DECIMAL(9, 2)[]", False),
        ("[1, 2]", "INTEGER[]", "BIGINT[]", True),
        ("[9223372036854775807]", "BIGINT[]", "INTEGER[]", False),
        ("[9007199254740993]", "BIGINT[]", "DOUBLE[]", False),
        ("[1, 2]", "INTEGER[2]", "BIGINT[]", True),
        ("[1, 300]", "INTEGER[2]", "TINYINT[]", False),
        ("[['1'], [], NULL]", "VARCHAR[][]", "INTEGER[][]", True),
        ("[['1'], ['x']]", "VARCHAR[][]", "INTEGER[][]", False),
        ("{'a': '1', 'b c': ['2']}", 'STRUCT(a VARCHAR, "b c" VARCHAR[])', 'STRUCT(a INTEGER, "b c" INTEGER[])', True),
        ("{'a': '1', 'b c': ['y']}", 'STRUCT(a VARCHAR, "b c" VARCHAR[])', 'STRUCT(a INTEGER, "b c" INTEGER[])', False),
        ("[{'a': 'x'}]", "STRUCT(a VARCHAR)[]", "STRUCT(a DATE)[]", False),
        ("[{'a': '2024-02-29'}]", "STRUCT(a VARCHAR)[]", "STRUCT(a DATE)[]", True),
        ("MAP {'k': '1'}", "MAP(VARCHAR, VARCHAR)", "MAP(VARCHAR, INTEGER)", True),
        ("MAP {'k': 'x'}", "MAP(VARCHAR, VARCHAR)", "MAP(VARCHAR, INTEGER)", False),
        ("'[1, NULL]'", "VARCHAR", "INTEGER[]", True),
        ("'[1, x]'", "VARCHAR", "INTEGER[]", False),
        ("'[1.5]'", "VARCHAR", "INTEGER[]", False),
        ("'no list'", "VARCHAR", "INTEGER[]", False),
        ("'{a: x}'", "VARCHAR", "STRUCT(a INTEGER)", False),
        ("'{a: 7}'", "VARCHAR", "STRUCT(a INTEGER)", True),
    ],
)
def test_a_part_that_would_be_lost_makes_the_value_wrong(
    database: duckdb.DuckDBPyConnection, value: str, source: str, target: str, right: bool
) -> None:
    cast = exact_cast(exp.column("part"), parse_type(source), parse_type(target))
    assert cast.wrong is not None
    same = f"{cast.value.sql('duckdb')} IS NOT DISTINCT FROM {f'CAST({value} AS {target})' if right else 'NULL'}"
    select = f"SELECT {same}, {cast.wrong.sql('duckdb')} FROM (SELECT CAST({value} AS {source}) AS part)"
    ((kept, lost),) = database.sql(select).fetchall()
    assert bool(lost) is not right
    assert kept or lost


def test_rounding_counts_as_no_loss_where_it_is_asked_for(database: duckdb.DuckDBPyConnection) -> None:
    cast = exact_cast(exp.column("x"), parse_type("DOUBLE[]"), parse_type("INTEGER[]"), rounded=True)
    assert cast.wrong is not None
    found = database.sql(f"SELECT {cast.value.sql('duckdb')}, {cast.wrong.sql('duckdb')} FROM (SELECT [1.6] AS x)")
    assert found.fetchall() == [([2], False)]


HALVES = st.integers(-(10**6), 10**6).map(lambda number: number / 200)
NUMBERS = st.one_of(st.none(), HALVES, st.floats(), st.sampled_from([2.675, 8.575, -0.0, 2147483647.5, -0.4]))
AROUND = [
    ("[part, NULL, part]", "{}[]", "[3]"),
    ("[[part], [], NULL]", "{}[][]", "[1][1]"),
    ("{{'t': 'x', 'a b': part}}", 'STRUCT(t VARCHAR, "a b" {})', "['a b']"),
    ("MAP {{'k': part}}", "MAP(VARCHAR, {})", "['k']"),
    ("[{{'a': MAP {{'k': [part]}}}}, NULL]", "STRUCT(a MAP(VARCHAR, {}[]))[]", "[1].a['k'][1]"),
]


@for_all(
    NUMBERS, st.sampled_from(["DOUBLE", "FLOAT"]), st.sampled_from(AROUND),
    st.sampled_from(["INTEGER", "UTINYINT", "HUGEINT", "DECIMAL(10, 2)", "DECIMAL(38, 6)"]),
)  # fmt: skip
def test_a_double_is_rounded_within_other_values_as_it_is_alone(
    database: duckdb.DuckDBPyConnection, number: float | None, kind: str, around: tuple[str, str, str], target: str
) -> None:
    """Halves away from zero, of the digits that show it: not to the even, and not of its bits."""
    made, type_, path = around
    given = "NULL" if number is None else f"TRY_CAST('{number!r}' AS {kind})"
    alone = exact_cast(exp.column("part"), parse_type(kind), parse_type(target), rounded=True)
    within = exact_cast(exp.column("x"), parse_type(type_.format(kind)), parse_type(type_.format(target)), rounded=True)
    assert alone.wrong is not None
    assert within.wrong is not None
    rows = f"SELECT part, CAST({made.format()} AS {type_.format(kind)}) AS x FROM (SELECT {given}::{kind} AS part)"
    ((one, lost, other, lost_within),) = database.sql(
        f"SELECT {alone.value.sql('duckdb')}, {alone.wrong.sql('duckdb')},"
        f" ({within.value.sql('duckdb')}){path}, {within.wrong.sql('duckdb')} FROM ({rows})"
    ).fetchall()
    assert bool(lost) == bool(lost_within)
    assert lost or one == other


def test_what_is_not_there_is_not_made_by_rounding(database: duckdb.DuckDBPyConnection) -> None:
    for source, target in (("DOUBLE[]", "INTEGER[]"), ("STRUCT(a DOUBLE)", "STRUCT(a INTEGER)")):
        cast = exact_cast(exp.column("x"), parse_type(source), parse_type(target), rounded=True)
        assert cast.wrong is not None
        found = database.sql(
            f"SELECT {cast.value.sql('duckdb')}, {cast.wrong.sql('duckdb')} FROM (SELECT NULL::{source} x)"
        )
        ((value, wrong),) = found.fetchall()
        assert (value, bool(wrong)) == (None, False)
