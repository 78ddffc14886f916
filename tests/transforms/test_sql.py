from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from headgate.core.errors import FatalError
from headgate.sql.shapes import Reshape
from headgate.transforms import sql

COLUMNS = {"g": "VARCHAR", "x": "INTEGER"}
ROWS = [("a", 1), ("a", 2), ("b", 3), (None, None)]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT g, SUM(x) AS s FROM input GROUP BY g ORDER BY g", [("a", 3), ("b", 3), (None, None)]),
        ("WITH w AS (SELECT x FROM input) SELECT MAX(x) FROM w", [(3,)]),
        ("SELECT x FROM input WHERE x = 1 UNION ALL SELECT x FROM INPUT WHERE x = 3 ORDER BY x", [(1,), (3,)]),
        ("SELECT x FROM input QUALIFY ROW_NUMBER() OVER (PARTITION BY g ORDER BY x DESC) = 1 AND x > 2", [(3,)]),
        ("SELECT i.x FROM input i JOIN input AS j USING (g, x) WHERE x = 2", [(2,)]),
        ("SELECT x FROM input WHERE DATE '2024-01-01' = {{ ds }} AND x = 1", [(1,)]),
    ],
)
def test_one_select_over_input(execute: Any, query: str, rows: list[Any]) -> None:
    assert execute(sql, {"query": query}, COLUMNS, ROWS, variables={"ds": date(2024, 1, 1)}).rows == rows


VALUES = st.one_of(st.none(), st.integers(-3, 3))


@for_all(rows=st.lists(st.tuples(st.sampled_from([None, "a", "b"]), VALUES), max_size=7), low=st.integers(-3, 3))
def test_a_select_gives_what_it_says(execute: Any, rows: list[Any], low: int) -> None:
    query = "SELECT g, SUM(x) AS s, COUNT(x) AS n FROM input"
    query += f" WHERE x >= {low} OR x IS NULL GROUP BY g HAVING COUNT(*) > 1"
    groups: dict[Any, list[Any]] = {}
    for group, value in rows:
        if value is None or value >= low:
            groups.setdefault(group, []).append(value)
    known = {group: [value for value in values if value is not None] for group, values in groups.items()}
    expected = [
        (group, sum(known[group]) if known[group] else None, len(known[group]))
        for group, values in groups.items()
        if len(values) > 1
    ]
    assert sorted(execute(sql, {"query": query}, COLUMNS, rows).rows, key=repr) == sorted(expected, key=repr)


def test_only_the_relations_that_it_reads_are_handed_on(given: Any) -> None:
    step = given(COLUMNS, relations={"Rates": {"g": "VARCHAR"}, "other": {"g": "VARCHAR"}})
    (shape,) = sql.shapes(sql.Options(type="sql", query="SELECT x FROM input JOIN rates USING (g)"), step)
    assert isinstance(shape, Reshape)
    assert shape.relations == ("Rates",)
    assert not shape.grouped


@pytest.mark.parametrize("query", ["DELETE FROM input", "SELECT * FROM elsewhere", "SELECT 1; SELECT 2", ""])
def test_anything_else_is_refused(given: Any, query: str) -> None:
    with pytest.raises(FatalError):
        sql.shapes(sql.Options(type="sql", query=query), given(COLUMNS))
