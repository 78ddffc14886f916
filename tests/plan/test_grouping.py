"""Groups that a server makes: every sum, count and extreme is the engine's to the last digit, whatever the values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from headgate.core.engines import Column
from headgate.engines.duckdb import DuckdbEngine
from headgate.plan.derivation import Derivation
from headgate.plan.grouping import grouped
from headgate.plan.stages import Scan
from headgate.plan.trees import narrowed_sums
from headgate.sql.postgres import Untranslatable
from headgate.sql.shapes import Reshape, StepInput
from headgate.transforms import aggregate

TYPES = {
    "k": ("INTEGER", "integer"),
    "i": ("INTEGER", "integer"),
    "b": ("BIGINT", "bigint"),
    "d": ("DECIMAL(9,2)", "numeric(9,2)"),
    "w": ("DECIMAL(38,10)", "numeric(38,10)"),
    "f": ("DOUBLE", "double precision"),
    "t": ("VARCHAR", "text"),
    "y": ("DATE", "date"),
    "m": ("TIMESTAMP", "timestamp"),
    "x": ("BOOLEAN", "boolean"),
}
COLUMNS = tuple(Column(name, kinds[0]) for name, kinds in TYPES.items())
METRICS = (
    *("COUNT(*)", "COUNT(i)", "COUNT(f)", "COUNT(t)", "COUNT(DISTINCT t)", "COUNT(DISTINCT d)", "COUNT(DISTINCT x)"),
    *("SUM(i)", "SUM(b)", "SUM(d)", "SUM(w)", "SUM(k * 2 + 1)", "SUM(d * 1.19)", "SUM(CASE WHEN x THEN 1 ELSE 0 END)"),
    *("MIN(i)", "MAX(b)", "MIN(d)", "MAX(w)", "MIN(t)", "MAX(t)", "MIN(y)", "MAX(m)", "MAX(y - DATE '2000-01-01')"),
    *("SUM(d) FILTER (WHERE i > 0)", "COUNT(*) FILTER (WHERE f > 1)", "COUNT(*) FILTER (WHERE t = 'a')"),
    *("SUM(d) - SUM(i)", "COUNT(*) - COUNT(i)", "COALESCE(SUM(d), 0)", "CAST(SUM(i) AS DECIMAL(38, 0))"),
    *("SUM(i) > 3", "SUM(k) BETWEEN 1 AND COUNT(*)", "CASE WHEN SUM(i) > 0 THEN MAX(t) END"),
)
REFUSED = (
    "AVG(i)",
    "SUM(f)",
    "MIN(f)",
    "MAX(x)",
    "SUM(DISTINCT i)",
    "STDDEV_SAMP(d)",
    "SUM(i) / COUNT(*)",
    "MAX(upper(t))",
)
KEYS: tuple[list[str], ...] = (["k"], ["t"], ["x", "y"], ["d", "m"], ["k", "t", "x"], [])
NUMBERS = st.integers(-3, 3)
ROW = st.tuples(
    st.one_of(st.none(), st.integers(0, 2)),
    st.one_of(st.none(), NUMBERS, st.sampled_from([2**31 - 1, -(2**31)])),
    st.one_of(st.none(), NUMBERS, st.sampled_from([2**63 - 1, -(2**63)])),
    st.one_of(st.none(), st.sampled_from(["0.01", "-0.01", "0.00", "9999999.99"]), st.decimals(-99, 99, places=2)),
    st.one_of(st.none(), st.decimals(-(10**15), 10**15, places=10)),
    st.one_of(st.none(), st.sampled_from([0.0, -0.0, float("nan"), float("inf"), 1.5])),
    st.one_of(st.none(), st.sampled_from(["", "a", "A", "a ", "ä", "a\u0308", "😀", "Z", "_", "1"])),
    st.one_of(st.none(), st.dates()),
    st.one_of(st.none(), st.datetimes()),
    st.one_of(st.none(), st.booleans()),
)


@pytest.fixture(scope="module")
def server(postgres_server: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as session:
        columns = ", ".join(f"{name} {kinds[1]}" for name, kinds in TYPES.items())
        session.execute(f"CREATE TEMPORARY TABLE source ({columns})")
        yield session


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as session:
        columns = ", ".join(f"{name} {kinds[0]}" for name, kinds in TYPES.items())
        session.execute(f"CREATE TABLE input ({columns})")
        yield session


def translated(metrics: dict[str, str], keys: list[str]) -> tuple[str, str]:
    """The SELECT for the engine and for PostgreSQL, each with its columns as text."""
    (shape,) = aggregate.shapes(
        aggregate.Options(type="aggregate", group_by=tuple(keys), metrics=metrics), StepInput(COLUMNS)
    )
    assert isinstance(shape, Reshape)
    assert isinstance(shape.query, exp.Select)
    binder = DuckdbEngine().binder()

    def bind(query: exp.Expr, relation: str, columns: Any) -> tuple[Column, ...]:
        return tuple(binder.bind(query.sql("duckdb"), {relation: columns}))

    try:
        query = narrowed_sums(shape.query, bind(shape.query, "input", COLUMNS))
        after = bind(query, "input", COLUMNS)
        found = grouped(shape, COLUMNS, after, Derivation(Scan("source", "c", "t", COLUMNS), bind), bind)
    finally:
        binder.close()
    there = ", ".join(f'CAST({found.columns[item.name]} AS text) AS "{item.name}"' for item in after)
    group = f" GROUP BY {', '.join(found.keys)}" if found.keys else ""
    here = ", ".join(f'CAST("{item.name}" AS VARCHAR)' for item in after)
    return f"SELECT {here} FROM ({query.sql('duckdb')})", f"SELECT {there} FROM source{group}"


@given(rows=st.lists(ROW, max_size=15), keys=st.sampled_from(KEYS))
@settings(max_examples=15, deadline=None)
def test_groups_are_in_the_server_what_they_are_in_the_engine(
    server: psycopg.Connection[Any], engine: duckdb.DuckDBPyConnection, rows: list[Any], keys: list[str]
) -> None:
    """Where a sum overflows, both raise."""
    marks = ", ".join(["?"] * len(TYPES))
    server.execute("TRUNCATE source")
    engine.execute("DELETE FROM input")
    if rows:
        engine.executemany(f"INSERT INTO input VALUES ({marks})", rows)
        server.cursor().executemany(f"INSERT INTO source VALUES ({marks.replace('?', '%s')})", rows)
    metrics = {f"m{number}": metric for number, metric in enumerate(METRICS) if metric != "SUM(b)"}
    here, there = translated(metrics, keys)
    assert _texts(server.execute(there).fetchall()) == _texts(engine.execute(here).fetchall())
    here, there = translated({"total": "SUM(b)"}, keys)
    try:
        expected = _texts(engine.execute(here).fetchall())
    except duckdb.Error:
        with pytest.raises(psycopg.Error):
            server.execute(there)
    else:
        assert _texts(server.execute(there).fetchall()) == expected


def _texts(rows: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    return sorted(tuple(str(value) for value in row) for row in rows)


@pytest.mark.parametrize("metric", REFUSED)
def test_what_is_not_the_same_to_the_digit_is_not_translated(metric: str) -> None:
    with pytest.raises(Untranslatable):
        translated({"m": metric}, ["k"])


def test_groups_of_floating_point_numbers_are_the_engines_work() -> None:
    with pytest.raises(Untranslatable, match="groups of DOUBLE"):
        translated({"n": "COUNT(*)"}, ["f"])
