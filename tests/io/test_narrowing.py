"""A read of the rows of some values: the same rows, or more, in every SQL."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from headgate.core.models import ReadOptions
from headgate.io.narrowing import narrowed

VALUES = st.lists(st.one_of(st.none(), st.integers(-5, 5), st.text(alphabet="ab'{} :", max_size=3)), max_size=4)


@given(VALUES, st.sampled_from([None, "v = 'a' OR 1 = 1 -- all"]))
def test_every_row_with_one_of_the_values_is_read(values: list[int | str | None], where: str | None) -> None:
    rows = [(value,) for value in [None, 1, 2, -5, "a", "b", "a'b", "{{ x }}", ":v", ""]]
    read = narrowed(ReadOptions(table="t", where=where), "v", values)
    with sqlite3.connect(":memory:") as database:
        database.execute('CREATE TABLE t ("v")')
        database.executemany("INSERT INTO t VALUES (?)", rows)
        found = database.execute(f"SELECT * FROM t WHERE {read.where or '1 = 1'}").fetchall()
    assert {row for row in rows if row[0] in values} <= set(found)


def test_values_that_are_plain_are_asked_for_and_others_are_not() -> None:
    assert narrowed(ReadOptions(table="t"), 'a"b', [1, None]).where == '("a""b" IN (1) OR "a""b" IS NULL)'
    assert narrowed(ReadOptions(table="t", where="x > 1"), "a", ["b c"]).where == "(x > 1\n) AND (\"a\" IN ('b c'))"
    for odd in ("it's", "{{ ds }}", ":name", "back\\slash", True, 1.5):
        assert narrowed(ReadOptions(table="t"), "a", [odd]).where is None
