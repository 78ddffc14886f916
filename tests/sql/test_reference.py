"""The reference of the expression language is true: every example is computed, every function has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from headgate.core.engines import Column
from headgate.sql import expressions, functions
from headgate.sql.shapes import Reshape, StepInput
from headgate.transforms import aggregate

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "expressions.md"
ROW = {
    "n": ("INTEGER", "7"),
    "p": ("DECIMAL(6, 2)", "2.50"),
    "d": ("DOUBLE", "1.5"),
    "s": ("VARCHAR", "'Ünder Dog'"),
    "day": ("DATE", "'2024-01-31'"),
    "ts": ("TIMESTAMP", "'2024-01-31 10:20:30.5'"),
    "l": ("INTEGER[]", "[1, 2, 3]"),
    "j": ("VARCHAR", """'{"a": 1}'"""),
    "b": ("BOOLEAN", "true"),
    "pair": ("STRUCT(a INTEGER)", "{'a': 1}"),
}
AGGREGATES = frozenset(functions.AGGREGATE_CALLS)
OURS = ("INITCAP", "NVL", "DATE_ADD", "DATE(")
"""Spelled for the parser: DuckDB has no such function, or another signature."""
DOCUMENTED = functions.SCALARS - functions.PARSED


def section(title: str) -> str:
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def cells(title: str, width: int) -> list[tuple[str, ...]]:
    """Rows of the tables of a section that have ``width`` columns and an example in the one before the last."""
    rows = []
    for line in section(title).splitlines():
        parts = [part.strip().replace("\\|", "|") for part in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(parts) == width and parts[-2].startswith("`"):
            rows.append((*parts[:-2], parts[-2].strip("`"), None if parts[-1] == "NULL" else parts[-1].strip("`")))
    return rows  # type: ignore[return-value]  # the last may be None: NULL


SCALAR_EXAMPLES = [row[-2:] for row in cells("Operators", 2) + cells("Functions", 3)]
AGGREGATE_EXAMPLES = [row[-2:] for row in cells("Aggregates", 3)]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        values = ", ".join(f'CAST({value} AS {type_}) AS "{name}"' for name, (type_, value) in ROW.items())
        connection.execute(f"CREATE TABLE one AS SELECT {values}")
        connection.execute("CREATE TABLE input AS FROM (VALUES (1, 'a'), (2, 'b'), (4, 'b'), (NULL, 'c')) v(x, g)")
        yield connection


@pytest.mark.parametrize(("text", "result"), SCALAR_EXAMPLES)
def test_an_example_gives_what_the_reference_says(
    database: duckdb.DuckDBPyConnection, text: str, result: str | None
) -> None:
    rendered = expressions.parse(text).sql("duckdb")
    assert database.execute(f"SELECT CAST(({rendered}) AS VARCHAR) FROM one").fetchone() == (result,)


@pytest.mark.parametrize(("text", "result"), [pair for pair in SCALAR_EXAMPLES if not pair[0].startswith(OURS)])
def test_parsing_and_rendering_does_not_change_the_meaning(
    database: duckdb.DuckDBPyConnection, text: str, result: str | None
) -> None:
    assert database.execute(f"SELECT CAST(({text}) AS VARCHAR) FROM one").fetchone() == (result,)


@pytest.mark.parametrize(("text", "result"), AGGREGATE_EXAMPLES)
def test_an_aggregate_gives_what_the_reference_says(
    database: duckdb.DuckDBPyConnection, text: str, result: str | None
) -> None:
    step = StepInput((Column("x", "INTEGER"), Column("g", "VARCHAR")))
    (shape,) = aggregate.shapes(aggregate.Options(type="aggregate", metrics={"m": text}), step)
    assert isinstance(shape, Reshape)
    assert database.execute(f"SELECT CAST(m AS VARCHAR) FROM ({shape.query.sql('duckdb')})").fetchone() == (result,)


def test_every_function_is_in_the_reference_and_no_other() -> None:
    assert {row[0] for row in cells("Functions", 3)} == set(DOCUMENTED)
    assert {row[0] for row in cells("Aggregates", 3)} == set(AGGREGATES)
    named = set(re.findall(r"[A-Z_]{3,}", section("Window functions")))
    assert named == set(functions.WINDOWS)


def test_the_row_of_the_examples_is_the_one_in_the_reference() -> None:
    stated = {row[0]: (row[1], row[2]) for row in [(*part[:1], part[1], part[2]) for part in _row_table()]}
    assert {name: type_ for name, (type_, _) in stated.items()} == {name: type_ for name, (type_, _) in ROW.items()}
    assert {name: value for name, (_, value) in stated.items()} == {
        name: value.strip("'") for name, (_, value) in ROW.items()
    }


def _row_table() -> list[list[str]]:
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section("Operators").splitlines() if line.startswith("|")]
    return [[part.strip().strip("`") for part in line] for line in lines if len(line) == 3][2:]
