"""SQL in foreign code is read for its tables, in any dialect, without a word on stderr."""

from __future__ import annotations

import pytest

from headgate.diagrams.source.sql import Statement, statements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a FROM s.t JOIN u USING (id)", Statement("read", "SELECT", ("s.t", "u"), (), ("JOIN u USING id",))),
        ("WITH x AS (SELECT 1 FROM a) SELECT * FROM x", Statement("read", "SELECT", ("a",))),
        ("INSERT INTO {schema}.t SELECT * FROM {table}", Statement("write", "INSERT", ("{table}",), ("{schema}.t",))),
        ("INSERT INTO t (a) VALUES (%s), (:b), ($1)", Statement("write", "INSERT", (), ("t",))),
        ("COPY t FROM 's3://b/k' IAM_ROLE 'x' FORMAT CSV", Statement("write", "COPY", (), ("t",))),
        ("COPY t TO 'out.parquet' (FORMAT parquet)", Statement("write", "COPY", ("t",), ("out.parquet",))),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", Statement("write", "REFRESH", (), ("v",))),
        (
            "IF OBJECT_ID('t') IS NULL BEGIN CREATE TABLE dbo.t (a int) END",
            Statement("define", "CREATE", (), ("dbo.t",)),
        ),
        ("TRUNCATE TABLE t", Statement("define", "TRUNCATE", (), ("t",))),
    ],
)
def test_statements_say_what_they_read_and_write(text: str, expected: Statement) -> None:
    assert statements(text) == (expected,)


def test_nothing_is_said_of_what_cannot_be_written_again(capfd: pytest.CaptureFixture[str]) -> None:
    assert statements("SELECT * FROM t WHERE TO_CHAR(day, 'YYYY') = '2024' GROUP BY 1")
    assert statements("SELECT FROM WHERE (((") is not None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["hello", "selection of rows", "", "updates: none"])
def test_other_texts_are_no_sql(text: str) -> None:
    assert statements(text) == ()
