"""Lists, structs and maps are cast part by part: a part that is lost or changed makes the whole value wrong."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
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
