"""Steps and rules in one pass of a plan: rows that have left are computed too, and must not end the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from sqlglot import exp

from headgate.core.engines import Column
from headgate.plan.checks import Rule
from headgate.plan.judging import judge
from headgate.plan.passes import PassBuilder
from headgate.quality import expression, unique
from headgate.sql.shapes import RowRule, StepInput
from headgate.transforms import calculate, cast, clean, join
from headgate.transforms import filter as filter_

COLUMNS = (Column("id", "INTEGER"), Column("a", "INTEGER"), Column("b", "INTEGER"), Column("t", "VARCHAR"))
ROWS = [
    (1, 10, 2, " 7 "),  # good
    (2, 10, 0, "7"),  # filtered, and a // b would raise
    (3, 10, 5, "x"),  # t does not convert
    (4, 2147483647, 1, "1"),  # a + b overflows
    (5, None, 1, "N/A"),  # NULL all the way: good
    (6, 9, 3, "3"),  # breaks the rule
    (7, 10, 2, "7"),
    (7, 10, 2, "8"),  # the same id twice
]


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": "2"}) as connection:
        connection.execute("CREATE TABLE source (id INTEGER, a INTEGER, b INTEGER, t VARCHAR)")
        connection.executemany("INSERT INTO source VALUES (?, ?, ?, ?)", ROWS)
        yield connection


def builder(database: duckdb.DuckDBPyConnection) -> PassBuilder:
    def bind(query: exp.Expr, relation: str, columns: Sequence[Column]) -> tuple[Column, ...]:
        if relation != "source":
            declared = ", ".join(f'CAST(NULL AS {item.type}) AS "{item.name}"' for item in columns)
            database.execute(f'CREATE OR REPLACE TEMP VIEW "{relation}" AS SELECT {declared} WHERE FALSE')
        found = database.sql(query.sql("duckdb"))
        result = tuple(Column(name, str(type_)) for name, type_ in zip(found.columns, found.types, strict=True))
        if relation != "source":
            database.execute(f'DROP VIEW "{relation}"')
        return result

    return PassBuilder("source", COLUMNS, bind)


def add(one: PassBuilder, module: Any, step: str, **options: Any) -> None:
    given = StepInput(one.columns, {"side": [Column("id", "INTEGER")]})
    for shape in module.shapes(module.Options(type=step, **options), given):
        one.add(shape, step, "quarantine")


def test_each_row_ends_where_it_should(database: duckdb.DuckDBPyConnection) -> None:
    one = builder(database)
    add(one, filter_, "filter", condition="b % 5 <> 0 OR b = 5")
    add(one, clean, "clean", trim=True, null_values=["N/A"])
    add(one, cast, "cast", columns={"t": "INTEGER"})
    add(one, calculate, "calculate", columns={"q": "a // b", "s": "a + b", "again": "(a // b) + (a // b)"})
    given = StepInput(one.columns)
    rules = []
    for module, kind, options in (
        (expression, "expression", {"condition": "10 // (b - 3) <> 0 AND 10 // (b - 3) < 99"}),
        (unique, "unique", {"columns": ["id"]}),
    ):
        rule = module.shapes(module.Options(type=kind, on_fail="quarantine", **options), given)
        assert isinstance(rule, RowRule)
        rules.append((Rule(kind, "error", "quarantine", rule.message, 0), rule))
    judge(one, rules, "rules")
    found = database.execute(f'SELECT id, q, "_hg_m" FROM ({one.sql()}) ORDER BY id, t').fetchall()
    names = {flag.bit: flag.name for flag in one.holds}
    ends = [(id_, [names[bit] for bit in names if mask > 0 and mask >> bit & 1] or mask) for id_, _, mask in found]
    assert ends == [
        (1, 0),
        (2, -1),
        (3, ["cast t"]),
        (4, ["calculate s", "calculate again"]),
        (5, 0),
        (6, ["expression"]),
        (7, ["unique"]),
        (7, ["unique"]),
    ]
    assert [q for _, q, _ in found] == [5, None, 2, 2147483647, None, 3, 5, 5]


def test_unmatched_rows_of_a_join_that_multiplies_are_counted(database: duckdb.DuckDBPyConnection) -> None:
    options = join.Options(type="join", table="dim", on={"id": "id", "a": "a"}, columns=["n"], how="inner", many=True)
    name = join.side(options).name
    database.execute(f'CREATE TABLE "{name}" AS FROM (VALUES (1, 10, 1), (1, 10, 2), (5, NULL, 3)) v(id, a, n)')
    one = builder(database)
    side = [Column("id", "INTEGER"), Column("a", "INTEGER"), Column("n", "INTEGER")]
    drop, _ = join.shapes(options, StepInput(one.columns, {name: side}))
    one.add(drop, "join", "fail")
    kept = database.execute(f'SELECT id FROM ({one.sql()}) WHERE "_hg_m" = 0').fetchall()
    assert kept == [(1,)]
    assert [code.reason for code in one.drops] == ["unmatched"]
