from __future__ import annotations

from typing import Any

import duckdb
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import FatalError
from headgate.sql.failures import attempt, can_fail, failed
from headgate.sql.shapes import StepInput

COLUMNS = {
    "i": "INTEGER",
    "j": "BIGINT",
    "p": "DECIMAL(38, 0)",
    "q": "DECIMAL(10, 2)",
    "d": "DOUBLE",
    "f": "FLOAT",
    "t": "VARCHAR",
    "u": "VARCHAR",
    "b": "BOOLEAN",
    "day": "DATE",
}
STEP = StepInput(tuple(Column(*item) for item in COLUMNS.items()))
LEAVES = st.sampled_from(
    [
        *COLUMNS,
        "1",
        "0",
        "2.5",
        "1e300",
        "99999999999",
        "-3",
        "'2024-02-30'",
        "'2024-02-29'",
        "'20240229'",
        "'x'",
        "'7'",
        "NULL",
        "TRUE",
    ]
)
OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "=", "<", "<>", ">=", "AND", "OR", "||", "IS NOT DISTINCT FROM", "LIKE"]
)
CALLS = st.sampled_from(
    [
        "UPPER({})",
        "LENGTH({})",
        "({}) IS NULL",
        "NOT ({})",
        "COALESCE({}, 1)",
        "TRY_CAST({} AS INTEGER)",
        "CAST({} AS INTEGER)",
        "({}) BETWEEN 1 AND 2",
        "({}) IN (1, 2)",
    ]
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("({}) {} ({})".format, inner, OPERATORS, inner), st.builds(str.format, CALLS, inner)
    ),
    max_leaves=4,
)
ROWS = [
    (2147483647, 9223372036854775807, 10**38 - 1, 99999999, 1e308, 3e38, "x", "7", True, "9999-12-31"),
    (-2147483648, -(2**63), -(10**38) + 1, 0, float("nan"), float("inf"), "", "%", False, "0001-01-01"),
    (0, 0, 0, 0, 0.0, 0.0, "1e5", "💧", True, "2024-02-29"),
    (None,) * 10,
    (7, 1, 5, 2, -0.0, 1.5, "7", None, None, None),
]


@pytest.fixture(scope="module")
def database() -> Any:
    with duckdb.connect(":memory:", config={"threads": "1"}) as connection:
        connection.execute("CREATE TABLE rows (" + ", ".join(f'"{n}" {t}' for n, t in COLUMNS.items()) + ")")
        connection.executemany("INSERT INTO rows VALUES (" + ", ".join("?" * 10) + ")", ROWS)
        yield connection


def alone(database: Any, text: exp.Expr, number: int) -> set[tuple[bool, str]]:
    """What an expression gives in one row, and whether it raises there.

    Either is right where the optimiser decides: it makes false of ``x AND false``, whether or not x raises.
    """
    query = f"SELECT {text.sql('duckdb')} FROM (SELECT * FROM rows LIMIT 1 OFFSET {number})"
    found = set()
    for pragma in ("PRAGMA disable_optimizer", "PRAGMA enable_optimizer"):
        database.execute(pragma)
        try:
            found.add((False, repr(database.execute(query).fetchone())))
        except (duckdb.BinderException, duckdb.CatalogException):
            raise  # the plan refuses it: no row is looked at
        except duckdb.Error:
            found.add((True, repr((None,))))
    return found


@settings(max_examples=60)
@for_all(EXPRESSIONS, EXPRESSIONS)
def test_errors_are_found_row_by_row_whatever_else_is_computed(database: Any, first: str, second: str) -> None:
    """The oracle computes each row alone; the expressions stand together, and repeat one another."""
    try:
        parsed = [STEP.expression(text) for text in (first, second, f"({first}) = ({first})")]
        expected = [[alone(database, text, number) for number in range(len(ROWS))] for text in parsed]
    except (FatalError, duckdb.BinderException, duckdb.CatalogException):
        database.execute("PRAGMA enable_optimizer")
        return  # the plan refuses it: a number beside a text that is none
    tried = ", ".join(f"{attempt(text).sql('duckdb')}, {failed(text).sql('duckdb')}" for text in parsed)
    try:
        found = database.execute(f"SELECT {tried} FROM rows").fetchall()
    except duckdb.ConversionException:  # a constant that does not convert ends the run, as it fails for every row
        assert any(all(any(wrong for wrong, _ in each) for each in results) for results in expected)
        return
    for place, (text, results) in enumerate(zip(parsed, expected, strict=True)):
        got = [(row[2 * place + 1], repr((row[2 * place],))) for row in found]
        assert all(one in each for one, each in zip(got, results, strict=True)), (got, results)
        if any(all(wrong for wrong, _ in each) for each in results):
            assert can_fail(text, STEP.columns), f"{text.sql('duckdb')} raises, and nobody looks"


def test_null_is_no_error(database: Any) -> None:
    text = STEP.expression("i // i")
    found = database.execute(
        f"SELECT i, {attempt(text).sql('duckdb')}, {failed(text).sql('duckdb')} FROM rows"
    ).fetchall()
    assert (0, None, True) in found
    assert (None, None, False) in found
