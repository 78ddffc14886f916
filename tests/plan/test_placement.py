"""The pass that places work says where and why; every expression that it writes for a server gives the same there."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from tests.movers import Movers

from headgate.core.engines import Column
from headgate.engines.duckdb import DuckdbEngine
from headgate.plan.checks import Rule, SetCheck
from headgate.plan.sets import set_query
from headgate.sql.expressions import parse
from headgate.sql.postgres import Translator, Untranslatable, typed
from headgate.sql.shapes import StepInput

TYPES = {
    "i": ("INTEGER", "integer"),
    "s": ("SMALLINT", "smallint"),
    "b": ("BIGINT", "bigint"),
    "d": ("DECIMAL(9,2)", "numeric(9,2)"),
    "w": ("DECIMAL(38,10)", "numeric(38,10)"),
    "f": ("DOUBLE", "double precision"),
    "t": ("VARCHAR", "text"),
    "u": ("VARCHAR", "text"),
    "y": ("DATE", "date"),
    "m": ("TIMESTAMP", "timestamp"),
    "x": ("BOOLEAN", "boolean"),
}
EXPRESSIONS = (
    *("i + s", "i - 1", "s * 2", "-i", "b - s", "d + 1", "d * d", "d - i", "d * 1.19", "w - d", "w * 2", "f * 2"),
    *("d + f", "i / 4", "d / 4", "f / 3", "abs(i)", "abs(d)", "i + 0.5", "i * f"),
    *(
        "i > s",
        "d >= 1",
        "d = i",
        "f < 1",
        "f = f",
        "w <> d",
        "i BETWEEN s AND 5",
        "i IN (1, 2, NULL)",
        "d IN (1, 0.5)",
    ),
    *(
        "t < u",
        "t >= 'a'",
        "t = u",
        "t IN ('a', 'B')",
        "t LIKE 'a%'",
        "t LIKE '%_\\'",
        "t NOT LIKE 'a%'",
        "NOT (t LIKE 'a%')",
        "t || u",
        "t || '!'",
        "length(t)",
    ),
    *("y < '2024-01-31'", "y - y", "y + 1", "y - i", "y <= DATE '2000-01-01'", "m > y", "CAST(m AS DATE)"),
    *("CAST(y AS TIMESTAMP)", "m >= '2024-01-01 10:00:00'", "date_trunc('month', m)", "date_trunc('hour', m)"),
    *("date_trunc('quarter', y)", "x AND i > 0", "x OR NULL", "NOT x", "x IS TRUE", "i IS NULL", "t IS NOT NULL"),
    *("x IS NOT TRUE", "x IS FALSE", "x IS NOT FALSE", "i NOT IN (1, 2, NULL)", "i NOT BETWEEN s AND 5"),
    *(
        "CASE WHEN x THEN i ELSE s END",
        "CASE WHEN i > 0 THEN 'a' WHEN i < 0 THEN t END",
        "CASE WHEN x THEN d ELSE 1 END",
    ),
    *("COALESCE(i, s, 0)", "COALESCE(t, '')", "COALESCE(d, 0)", "nullif(i, 0)", "nullif(t, '')"),
    *("greatest(i, 0)", "least(d, d)", "CAST(i AS BIGINT)", "CAST(i AS DOUBLE)", "CAST(d AS INTEGER)"),
    *("CAST(d AS DECIMAL(9,1))", "CAST(w AS DECIMAL(20,2))", "CAST(i AS VARCHAR)", "CAST(d * d AS DECIMAL(18,3))"),
    *("CASE WHEN x THEN TRY(i) END", "CASE WHEN x THEN TRY(i) IS NULL END", "x AND i * i > 0", "b BETWEEN s AND i * i"),
    *(
        "i IN (d, f, 1.5)",
        "d BETWEEN i AND f",
        "t BETWEEN 'a' AND u",
        "t IN (u, 'a', NULL)",
        "d - w",
        "d BETWEEN '1' AND d",
    ),
    *("i IS DISTINCT FROM s", "t IS NOT DISTINCT FROM u", "isnan(f)", "(i + 1) * (s - 1) > b"),
)
"""Everything on the allow-list, in the shapes that people write."""

REFUSED = (
    *("upper(t)", "trim(t)", "TRY_CAST(t AS INTEGER)", "CAST(t AS INTEGER)", "regexp_matches(t, 'a')", "round(f, 1)"),
    *("i % 2", "w / 2", "w > f", "CAST(t AS DATE)", "y < '31.1.2024'", "strftime(y, '%d')", "CAST(f AS VARCHAR)"),
    *("CAST(f AS INTEGER)", "greatest(t, u)", "least(f, -f)", "CASE i WHEN 1 THEN 2 END"),
    *("d BETWEEN '1.104' AND 2.123", "d IN ('1.104', 2.123)", "NULL IS DISTINCT FROM NULL"),
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
        session.execute(f"CREATE TABLE source ({columns})")
        yield session


def translated(text: str) -> tuple[str, str]:
    """The expression for DuckDB and for PostgreSQL."""
    columns = tuple(Column(name, kinds[0]) for name, kinds in TYPES.items())
    node = StepInput(columns).expression(text, windows=True)
    binder = DuckdbEngine().binder()

    def bind(query: exp.Expr) -> list[str]:
        assert isinstance(query, exp.Select)
        return [found.type for found in binder.bind(query.from_("source").sql("duckdb"), {"source": columns})]

    try:
        types = typed([node], bind)
    finally:
        binder.close()
    return node.sql("duckdb"), Translator(types).sql(node)


NUMBERS = st.integers(-300, 300)
ROW = st.fixed_dictionaries(
    {
        "i": st.one_of(st.none(), NUMBERS, st.sampled_from([2**31 - 1, -(2**31)])),
        "s": st.one_of(st.none(), NUMBERS, st.sampled_from([2**15 - 1, -(2**15)])),
        "b": st.one_of(st.none(), NUMBERS, st.sampled_from([2**63 - 1, -(2**63)])),
        "d": st.one_of(st.none(), st.decimals(-9999999, 9999999, places=2)),
        "w": st.one_of(st.none(), st.decimals(-(10**15), 10**15, places=10)),
        "f": st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=False)),
        "t": st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=4)),
        "u": st.one_of(st.none(), st.sampled_from(["", "a", "B", "é", "ab", "_\\", "x_\\", "Z", "\u00a0"])),
        "y": st.one_of(st.none(), st.dates()),
        "m": st.one_of(st.none(), st.datetimes()),
        "x": st.one_of(st.none(), st.booleans()),
    }
)


@given(rows=st.lists(ROW, min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_an_expression_gives_in_the_server_what_it_gives_in_the_engine(
    server: psycopg.Connection[Any], engine: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]
) -> None:
    """Where the engine finds an error in a row, the server raises, or gives the same value for all rows."""
    marks = ", ".join(["?"] * len(TYPES))
    server.execute("TRUNCATE source")
    engine.execute("DELETE FROM source")
    values = [tuple(row[name] for name in TYPES) for row in rows]
    engine.executemany(f"INSERT INTO source VALUES ({marks})", values)
    with server.cursor() as cursor:
        cursor.executemany(f"INSERT INTO source VALUES ({marks.replace('?', '%s')})", values)
    pairs = [_translations(text) for text in EXPRESSIONS]
    if (found := _values(server, [there for _, there in pairs])) is not None:
        assert _values(engine, [here for here, _ in pairs]) == found
        return
    for text, (here, there) in zip(EXPRESSIONS, pairs, strict=True):
        if (single := _values(server, [there])) is not None:  # else the engine does the work
            assert _values(engine, [here]) == single, text


def _values(session: Any, expressions: list[str]) -> list[str] | None:
    """What the expressions give for all rows, comparable; None when the statement fails."""
    try:
        rows = session.execute(f"SELECT {', '.join(expressions)} FROM source").fetchall()
    except (duckdb.Error, psycopg.Error):
        return None
    return [repr([+value if isinstance(value, Decimal) else value for value in row]) for row in rows]


_known: dict[str, tuple[str, str]] = {}


def _translations(text: str) -> tuple[str, str]:
    if text not in _known:
        _known[text] = translated(text)
    return _known[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_proven_alike_is_not_translated(text: str) -> None:
    with pytest.raises(Untranslatable):
        translated(text)


def test_no_function_is_translated_by_its_name_alone() -> None:
    """Whatever parses and is not on the list is refused, with a reason."""
    node = parse("levenshtein(t, u)")
    with pytest.raises(Untranslatable, match="LEVENSHTEIN"):
        Translator({node.sql("duckdb"): _integer()}).sql(node)


def _integer() -> Any:
    from headgate.sql.types import parse_type

    return parse_type("BIGINT")


UPPER = 'UPPER("name") is the engine\'s work'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"transformations": [{"type": "deduplicate", "keys": ["id"], "order_by": "id"}]}, "deduplication"),
        (
            {"transformations": [{"type": "calculate", "columns": {"n": "upper(name)"}}]},
            'UPPER("name") is the engine\'s work',
        ),
        (
            {"transformations": [{"type": "aggregate", "group_by": ["id"], "metrics": {"n": "AVG(id)"}}]},
            "AVG",
        ),
        ({"quality_rules": [{"type": "not_null", "columns": ["id"], "on_fail": "quarantine"}]}, "holds rows back"),
        ({"source": {"connection": "shop", "table": "t", "max_records": 5}}, "max_records"),
        ({"source": {"connection": "shop", "query": "SELECT id, ARRAY[1.5::numeric(5,2)] AS list FROM t"}}, '"list"'),
        ({"target": {"table": "out"}}, "the target is not a server"),
        ({"engine": "duckdb"}, "engine: duckdb"),
    ],
)
def test_the_plan_says_why_the_engine_does_it(movers: Movers, change: dict[str, Any], reason: str) -> None:
    movers.shop("CREATE TABLE t (id int, name text)")
    movers.define(**change)
    placement = movers.plan(change.get("engine", "auto")).placement
    assert placement.place == "duckdb"
    assert reason in placement.reason


def test_a_place_that_cannot_be_had_is_refused_with_the_reason(movers: Movers) -> None:
    movers.shop("CREATE TABLE t (id int)")
    movers.define([{"type": "filter", "condition": "id > 1"}]).write(engine="relay")
    failure = movers.attempt().failure
    assert failure is not None
    assert failure.code == "UNSUPPORTED"
    assert "steps change the rows" in failure.message


def test_where_the_work_is_done_is_no_part_of_what_it_is(movers: Movers) -> None:
    movers.shop("CREATE TABLE t (id int)")
    movers.define()
    assert movers.plan("duckdb").hash == movers.plan("relay").hash == movers.plan("source").hash


def test_a_plan_shows_what_the_server_is_asked(movers: Movers) -> None:
    movers.shop("CREATE TABLE t (id int, n int)")
    movers.define([{"type": "filter", "condition": "n > 1"}, {"type": "calculate", "columns": {"m": "n + 1"}}])
    asked = movers.plan().sql.split(";")[0]
    assert asked.startswith("-- calculate, in PostgreSQL\nSELECT")
    assert '(CAST("n" AS integer) + CAST(1 AS integer)) AS "m"' in asked
    assert asked.endswith('WHERE (("n" > 1)) IS TRUE')


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT COUNT(*), SUM(price) FROM input", "compares values"),
        ("SELECT COUNT(*), CAST(price AS VARCHAR) FROM input", "converts values"),
        ("SELECT COUNT(*) FROM input WHERE price > 1", "compares values"),
        ("SELECT COUNT(*), MEDIAN(price) FROM input", "engine's work"),
    ],
)
def test_rules_over_all_rows_are_only_counted_in_a_server(query: str, why: str) -> None:
    check = SetCheck(Rule("r", "error", "fail", "", 0), "input", query)
    with pytest.raises(Untranslatable, match=why):
        set_query(check, "out")


def test_uniqueness_is_counted_in_a_server() -> None:
    groups = 'SELECT COUNT(*) AS n FROM "spool" WHERE NOT "id" IS NULL GROUP BY "id" HAVING COUNT(*) > 1'
    query = f"SELECT COALESCE(SUM(n), 0) FROM ({groups}) AS g"
    check = SetCheck(Rule("r", "error", "fail", "", 0), "spool", query)
    assert 'FROM "out" WHERE' in set_query(check, "out")
