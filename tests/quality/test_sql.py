from __future__ import annotations

from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.often import few
from tests.tables import COLUMNS, TABLES, Row

from headgate.quality import sql


@few
@for_all(TABLES, st.integers(-3, 3))
def test_the_rows_that_a_query_gives_are_wrong(judge: Any, rows: list[Row], limit: int) -> None:
    wrong = sum((row[0] is not None and row[0] > limit) or row[2] == "" for row in rows)
    query = f"SELECT * FROM input WHERE i > {limit} OR t = ''"
    assert judge(sql, {"query": query}, COLUMNS, rows) == (wrong, f"{wrong} rows")


@few
@for_all(TABLES, TABLES)
def test_a_query_may_look_at_other_tables_and_at_neighbours(judge: Any, rows: list[Row], other: list[Row]) -> None:
    known = {row[2] for row in other if row[2] is not None}
    query = "SELECT i.t FROM input AS i WHERE NOT EXISTS (SELECT 1 FROM known AS k WHERE k.t = i.t)"
    options = {"query": query, "relations": {"known": {"table": "k"}}}
    wrong = sum(row[2] not in known for row in rows)
    assert judge(sql, options, COLUMNS, rows, others={"k": (COLUMNS, other)}) == (wrong, f"{wrong} rows")
    pairs = "SELECT i, LAG(i) OVER (ORDER BY i) AS before FROM input WHERE i IS NOT NULL"
    falls = f"SELECT * FROM ({pairs}) WHERE i <= before"
    found = sorted(row[0] for row in rows if row[0] is not None)
    assert judge(sql, {"query": falls}, COLUMNS, rows)[0] == len(found) - len(set(found))
