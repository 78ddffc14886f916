from __future__ import annotations

import math
import re
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st
from sqlglot import exp

from headgate.core.engines import Column
from headgate.core.errors import Code, FatalError
from headgate.sql import expressions
from headgate.sql.functions import AGGREGATES, SCALARS, WINDOWS
from headgate.sql.shapes import StepInput

HOSTILE = [
    "a; DROP TABLE t",
    "(SELECT 1)",
    "EXISTS(SELECT 1)",
    "a IN (SELECT b FROM t)",
    "a = ANY(SELECT 1)",
    "read_text('/etc/passwd')",
    "read_csv('x')",
    "getenv('HOME')",
    "current_setting('x')",
    "?",
    "$1",
    "$name",
    "t.a",
    "a.b.c",
    "*",
    "COLUMNS('a')",
    "COLUMNS(*)",
    "*EXCLUDE(a)",
    "list_transform(l, x -> x)",
    "LAMBDA x : x",
    "a AS b",
    "a, b",
    "a FROM t",
    "a WHERE b",
    "",
    "  ",
    "-- a",
    "/* a */",
    "1 UNION SELECT 2",
    "CAST(a AS foo)",
    "a::nothing",
    "a OVER ()",
    "SUM(a) OVER ()",
    "ROW_NUMBER()",
    "SUM(a)",
    "COUNT(*)",
    "random()",
    "uuid()",
    "now()",
    "CURRENT_TIMESTAMP",
    "current_user",
    "nextval('s')",
    "query('x')",
    "pragma_version()",
    "unnest(l)",
    "[x for x in l]",
    "{'a': 1}",
    "MAP {'a': 1}",
    "{",
    "'",
    '"',
    "a\0",
    "\0",
    "CASE",
    "DISTINCT a",
    "ROW(a)",
    "error('x')",
    "write_log('x')",
    "getvariable('x')",
    "INSERT INTO t VALUES (1)",
    "ATTACH 'x'",
    "COPY t TO 'x'",
    "f(a := 1)",
    "a QUALIFY b",
    "a LIMIT 1",
    "a ORDER BY b",
    "SELECT 1",
    "VALUES (1)",
    "a INTO b",
    "{{ x }}",
    "__import__('os')",
    "a[1:2]",
    "set_bit('1', 1, 1)",
    "(" * 3000 + "a" + ")" * 3000,
    "e'\\x'",
    "a !! b",
    "@",
    "->",
    "a ->",
    "a + @",
    "x'00'",
    "a" + " + a" * 30_000,
    "CASE WHEN " * 2000 + "a",
    "NOT " * 5000 + "a",
    "list_transform(l, lambda x: x)",
    "list_filter(l, x -> true)",
    "apply(l, x -> x)",
    "reduce(l, (a, b) -> a)",
    "getenv(a)",
    "glob('*')",
    "read_parquet('x')",
    "parquet_metadata('x')",
    "sniff_csv('x')",
    "duckdb_secrets()",
    "which_secret('x', 'y')",
    "txid_current()",
    "current_database()",
    "current_schemas(true)",
    "version()",
    "gen_random_uuid()",
    "setseed(0.5)",
    "get_current_timestamp()",
    "sleep_ms(1000)",
    "json_execute_serialized_sql('x')",
    "query_table('x')",
    "from_json_strict('x', 'y')",
    "a /* ; */ ; -- x\n DROP TABLE t",
    "1) ; DROP TABLE t; --",
    "a, (SELECT 1)",
    "(FROM t)",
    "(TABLE t)",
    "ARRAY(SELECT 1)",
    "a IN (FROM t)",
    "a > ALL(SELECT 1)",
    "CAST((SELECT 1) AS INTEGER)",
    "COALESCE(a, (SELECT 1))",
    "$$a$$ ; SELECT 1",
    "PIVOT t ON a",
    "a AT (VERSION => 1)",
    "COLLATE(a, 'x') FROM t",
    "SET x = 1",
    "PRAGMA version",
    "INSTALL httpfs",
    "a; PRAGMA version",
    "MACRO f() AS 1",
]
HOSTILE_QUERIES = [
    "SELECT * FROM input; DROP TABLE x",
    "SELECT * FROM 'a.csv'",
    'SELECT * FROM "a.parquet"',
    "SELECT * FROM read_csv('a')",
    "SELECT * FROM range(10)",
    "SELECT * FROM input, unnest(l)",
    "SELECT * FROM x.input",
    "SELECT * FROM x.y.input",
    "WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a",
    "WITH input AS (SELECT 1) SELECT * FROM input",
    'SELECT * FROM (WITH "x.csv" AS (SELECT 1) SELECT 1), "x.csv"',
    "SELECT * INTO x FROM input",
    "DELETE FROM input",
    "UPDATE input SET a = 1",
    "INSERT INTO input SELECT 1",
    "CREATE TABLE x AS SELECT * FROM input",
    "COPY input TO 'x'",
    "SELECT getenv('X') FROM input",
    "SELECT * FROM input TABLESAMPLE 10%",
    "PIVOT input ON a USING SUM(b)",
    "SELECT * FROM (PIVOT input ON a)",
    "SELECT * FROM input FOR UPDATE",
    "SELECT * FROM (VALUES (1)) v(x)",
    "VALUES (1)",
    "DESCRIBE input",
    "SUMMARIZE input",
    "EXPLAIN SELECT 1",
    "CALL x()",
    "PRAGMA version",
    "SET x = 1",
    "ATTACH 'x'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_settings()",
    "SELECT COLUMNS('a') FROM input",
    "SELECT ? FROM input",
    "SELECT $1 FROM input",
    "",
    ";",
    "input",
    "SELECT * FROM (DELETE FROM input RETURNING *)",
    "SELECT CAST(a AS foo) FROM input",
    "SELECT a\0 FROM input",
    "SELECT query('x') FROM input",
    "SELECT (SELECT * FROM 'x.csv') FROM input",
    "SELECT * FROM input WHERE a IN (FROM 'x.csv')",
    "SELECT 1 UNION SELECT * FROM elsewhere",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_one_allowed_expression_is_refused(text: str) -> None:
    with pytest.raises(FatalError) as caught:
        expressions.parse(text)
    assert caught.value.code is Code.PLAN_INVALID
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize("text", HOSTILE_QUERIES)
def test_what_is_not_one_select_over_known_relations_is_refused(text: str) -> None:
    with pytest.raises(FatalError) as caught:
        expressions.parse_select(text, ["input", "rates"])
    assert caught.value.code is Code.PLAN_INVALID


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM input",
        "FROM input",
        "SELECT * EXCLUDE (a) FROM Input",
        "SELECT a FROM input UNION ALL SELECT a FROM rates",
        "WITH w AS (SELECT * FROM input) SELECT * FROM w JOIN rates USING (a)",
        "SELECT a, SUM(b) FROM input GROUP BY ALL HAVING SUM(b) > 1",
        "SELECT a FROM input QUALIFY ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) = 1",
        "SELECT (SELECT MAX(b) FROM input) FROM input",
        "SELECT * FROM input i WHERE EXISTS (SELECT 1 FROM rates r WHERE r.a = i.a)",
        "SELECT a FROM input ORDER BY 1 LIMIT 5 OFFSET 1",
        "SELECT * FROM input WHERE a IN (SELECT a FROM rates)",
        "SELECT DISTINCT a FROM input;",
    ],
)
def test_selects_of_many_forms_are_allowed(text: str) -> None:
    rendered = expressions.parse_select(text, ["input", "rates"]).sql("duckdb")
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE input (a INT, b INT)")
        connection.execute("CREATE TABLE rates (a INT)")
        connection.execute(rendered)


@for_all(st.text(alphabet=st.sampled_from("ab1'\"();,.*-/ \n$?:[]{}=<>|&~^%@#`\\\0é→NULLSELECTFROM"), max_size=30))
@example("a--")
@example("\\")
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    """Never another error; and what is accepted renders to one expression that parses to itself."""
    try:
        rendered = expressions.parse(text).sql("duckdb")
    except FatalError:
        return
    assert ";" not in re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", rendered)
    assert expressions.parse(rendered).sql("duckdb") == rendered


@for_all(st.text(max_size=20).filter(lambda text: "\0" not in text))
def test_any_text_is_a_literal_that_comes_back_as_it_is(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    with duckdb.connect() as connection:
        rendered = expressions.parse(quoted).sql("duckdb")
        assert connection.execute(f"SELECT {rendered}").fetchone() == (text,)


@for_all(st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text))
def test_any_name_is_a_column_when_it_is_quoted(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    assert StepInput((Column(name, "INTEGER"),)).expression(quoted) == exp.column(exp.to_identifier(name, quoted=True))


def test_columns_are_found_once_and_take_their_own_spelling() -> None:
    step = StepInput((Column("Amount", "INTEGER"), Column("order", "INTEGER")))
    parsed = step.expression('AMOUNT + amount * "order"')
    assert parsed.sql("duckdb") == '"Amount" + "Amount" * "order"'
    assert expressions.columns(parsed) == ["Amount", "order"]


def test_comments_are_no_part_of_an_expression() -> None:
    assert expressions.parse("a /* x */ + b -- y") == expressions.parse("a + b")
    assert expressions.parse("a /* x */ + b -- y").sql("duckdb") == "a + b"


def test_an_aggregate_stands_only_where_rows_are_grouped() -> None:
    with pytest.raises(FatalError, match="SUM is an aggregate"):
        expressions.parse("1 + SUM(a)")
    assert isinstance(expressions.parse("SUM(a)", aggregates=True), exp.Sum)
    with pytest.raises(FatalError, match="window functions are not allowed"):
        expressions.parse("SUM(a) OVER (ORDER BY b)", aggregates=True)
    assert isinstance(expressions.parse("RANK() OVER (ORDER BY b)", windows=True), exp.Window)


def test_a_misspelt_function_or_type_names_the_nearest() -> None:
    for text, hint in (
        ("UPPR(a)", 'did you mean "UPPER"'),
        ("a = = 3", "does not parse: an operand is missing"),
        ("CAST(a AS INTEGR)", "did not parse|does not parse|INTEGER"),
    ):
        with pytest.raises(FatalError) as caught:
            expressions.parse(text)
        assert re.search(hint, str(caught.value))


@pytest.mark.parametrize("text", ["a > > 1", "a < < 1", "COALESCE(a,)", "COALESCE(, a)", "a IN (1,, 2)"])
def test_what_the_parser_would_read_as_something_else_is_refused(text: str) -> None:
    """``a > > 1`` as a shift, and an argument that is missing as none."""
    with pytest.raises(FatalError, match="does not parse"):
        expressions.parse(text)
    with pytest.raises(FatalError, match="does not parse"):
        expressions.parse_select(f"SELECT {text} FROM input", ["input"])


def test_shifts_and_signs_within_texts_are_left_alone() -> None:
    assert expressions.parse("a >> 1").sql("duckdb") == "a >> 1"
    assert expressions.parse("a << 1").sql("duckdb") == "a << 1"
    assert expressions.parse("a = '> >,)'").sql("duckdb") == "a = '> >,)'"


def test_a_whole_sum_of_thousands_parses() -> None:
    assert expressions.parse("a" + " + a" * 2000).sql("duckdb").count("+") == 2000


def test_the_lists_do_not_overlap() -> None:
    assert not SCALARS & AGGREGATES
    assert not SCALARS & WINDOWS


SEMANTICS = [
    # NULL is neither true nor false; AND and OR know three values
    ("NULL AND FALSE", False),
    ("NULL AND TRUE", None),
    ("NULL OR TRUE", True),
    ("NOT NULL", None),
    ("NULL = NULL", None),
    ("NULL IS NOT DISTINCT FROM NULL", True),
    ("1 IN (2, NULL)", None),
    ("1 IN (1, NULL)", True),
    ("1 NOT IN (2, NULL)", None),
    ("NULL BETWEEN 1 AND 2", None),
    ("CASE WHEN NULL THEN 1 ELSE 2 END", 2),
    ("NULL || 'a'", None),
    ("CONCAT(NULL, 'a')", "a"),
    ("GREATEST(NULL, 1)", 1),
    ("COALESCE(NULL, NULL)", None),
    # decimals are exact, and stay decimals
    ("0.1 + 0.2 = 0.3", True),
    ("1.10 * 1.10", Decimal("1.2100")),
    ("CAST(2.5 AS INTEGER)", 3),
    ("CAST(-2.5 AS INTEGER)", -3),
    ("ROUND(-2.5)", Decimal(-3)),
    ("1 / 4", 0.25),
    ("7 // 2", 3),
    ("-7 // 2", -3),
    ("-7 % 3", -1),
    ("9007199254740993 = 9007199254740992", False),
    # doubles follow IEEE 754, but NaN equals itself and is the greatest
    ("CAST(0.1 AS DOUBLE) + CAST(0.2 AS DOUBLE) = CAST(0.3 AS DOUBLE)", False),
    ("1e0 / 0", math.inf),
    ("CAST('NaN' AS DOUBLE) = CAST('NaN' AS DOUBLE)", True),
    ("CAST('NaN' AS DOUBLE) > CAST('inf' AS DOUBLE)", True),
    ("-0e0 = 0e0", True),
    # days and moments
    ("DATE '2024-02-28' + 2", date(2024, 3, 1)),
    ("DATE '2024-03-01' - DATE '2024-02-28'", 2),
    ("DATE '2024-01-31' + INTERVAL 1 MONTH", datetime(2024, 2, 29)),  # noqa: DTZ001 - SQL's own has no zone
    ("DATE_DIFF('month', DATE '2024-01-31', DATE '2024-02-01')", 1),
    ("DATE_SUB('month', DATE '2024-01-31', DATE '2024-02-01')", 0),
    ("TIMESTAMP '2024-03-31 23:59:59.999999' < DATE '2024-04-01'", True),
    ("CAST(TIMESTAMP '2024-01-31 23:00:00' AS DATE)", date(2024, 1, 31)),
    # text is compared by code point, with case and white space
    ("'a' = 'A'", False),
    ("'a' = 'a '", False),
    ("'Z' < 'a'", True),
    ("'z' < 'ä'", True),
    ("LENGTH('ä')", 1),
    ("'10' < '9'", True),
    ("'a%' LIKE 'a\\%' ESCAPE '\\'", True),
    ("UPPER('ß')", "ẞ"),
]


@pytest.mark.parametrize(("text", "value"), SEMANTICS)
def test_an_expression_means_what_the_reference_says(text: str, value: object) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {expressions.parse(text).sql('duckdb')}").fetchone()
    assert found == (value,)


@pytest.mark.parametrize("text", ["9223372036854775807 + 1", "CAST('x' AS INTEGER)", "1 % 0", "CAST(300 AS TINYINT)"])
def test_what_has_no_value_raises_instead_of_giving_a_wrong_one(text: str) -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.Error):
        connection.execute(f"SELECT {expressions.parse(text).sql('duckdb')}").fetchone()
