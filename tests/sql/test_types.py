from __future__ import annotations

import duckdb
import pytest

from headgate.core.errors import Code, FatalError
from headgate.sql.types import KNOWN, parse_type


@pytest.mark.parametrize(
    "name",
    [
        *KNOWN,
        "INT",
        "text",
        "numeric(10, 2)",
        "decimal",
        "STRUCT(a INTEGER, b VARCHAR)",
        "INTEGER[]",
        "MAP(VARCHAR, INTEGER)",
        "TIMESTAMP WITH TIME ZONE",
        "double precision",
        "REAL",
        "TIMESTAMP_NS",
        "int8",
        "varchar(20)",
        "STRUCT(a INTEGER, b VARCHAR)[]",
        "DECIMAL(38, 38)",
    ],
)
def test_a_type_means_what_it_means_to_the_engine(name: str) -> None:
    with duckdb.connect() as connection:
        (theirs,) = connection.execute(f"SELECT typeof(CAST(NULL AS {name}))").fetchone() or ("",)
        (ours,) = connection.execute(f"SELECT typeof(CAST(NULL AS {parse_type(name).name}))").fetchone() or ("",)
    assert ours == theirs
    assert parse_type(theirs) == parse_type(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("INTEGR", '"INTEGER"'),
        ("VARCHR", '"VARCHAR"'),
        ("foo", "known:"),
        ("", "known:"),
        ("INT; DROP TABLE t", "known:"),
        ("DECIMAL(39, 2)", "38 digits"),
        ("DECIMAL(4, 5)", "38 digits"),
        ("DECIMAL(0)", "38 digits"),
        ("1", "known:"),
        ("a b c", "known:"),
        ("INT\0", "INT"),
        ("INTT", 'did you mean "INT"?'),
        ("INTEGR", 'did you mean "INTEGER"?'),
        ("numerc", 'did you mean "NUMERIC"?'),
    ],
)
def test_what_is_no_type_is_refused(name: str, hint: str) -> None:
    with pytest.raises(FatalError) as caught:
        parse_type(name)
    assert caught.value.code is Code.PLAN_INVALID
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "digits"), [("TINYINT", 3), ("BIGINT", 19), ("UBIGINT", 20), ("HUGEINT", 39), ("DECIMAL(10, 2)", 8)]
)
def test_digits_before_the_point(name: str, digits: int) -> None:
    assert parse_type(name).whole_digits == digits
