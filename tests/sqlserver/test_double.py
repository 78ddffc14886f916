"""The double itself: it refuses what SQL Server refuses, and its transactions are transactions."""

from __future__ import annotations

import pytds
import pytest
from tests.sqlserver.double import Database, sqlserver, sqlserver_double
from tests.sqlserver.strict import RefusedError, parsed

__all__ = ["sqlserver", "sqlserver_double"]


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("SELECT a FROM t LIMIT 1", 102),
        ("SELECT a FROM t WHERE TRUE", 102),
        ("SELECT a FROM t WHERE b", 4145),
        ("SELECT a FROM t WHERE a = 1 AND NOT b", 4145),
        ("SELECT a FROM t JOIN s ON t.b", 4145),
        ("SELECT CASE WHEN b THEN 1 ELSE 0 END AS c FROM t", 4145),
        ("SELECT a IS NULL AS n FROM t", 156),
        ("SELECT a FROM t WHERE a IS DISTINCT FROM 1", 102),
        ("DELETE FROM t WHERE (a, b) IN (SELECT a, b FROM s)", 4145),
        ("SELECT max(CASE WHEN EXISTS (SELECT 1 FROM s) THEN 1 ELSE 0 END) AS m FROM t", 130),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a) AS q", 1033),
        ("SELECT n FROM (SELECT count(*) FROM t) AS q", 8155),
        ("ALTER TABLE t ADD COLUMN a INT", 102),
        ("CREATE TABLE IF NOT EXISTS t (a INT)", 102),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO NOTHING", 102),
    ],
)
def test_it_refuses_what_the_server_has_no_word_for(statement: str, number: int) -> None:
    with pytest.raises(RefusedError) as refusal:
        parsed(statement)
    assert refusal.value.number == number


def test_words_within_texts_and_names_are_none_of_its_business() -> None:
    parsed("SELECT N'LIMIT 1 || TRUE' AS \"FALSE\", a AS [ON CONFLICT] FROM t")


def test_a_transaction_is_rolled_back_by_an_error_and_says_so(sqlserver: Database) -> None:
    sqlserver.execute("CREATE TABLE t (id INT NOT NULL PRIMARY KEY)")
    with pytest.raises(pytds.Error) as refusal:
        sqlserver.execute(
            "BEGIN TRANSACTION", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)", "COMMIT TRANSACTION"
        )
    assert refusal.value.msg_no == 2627
    with pytest.raises(pytds.Error, match="no corresponding BEGIN"):
        sqlserver.execute("COMMIT TRANSACTION")
    assert sqlserver.execute("SELECT id FROM t") == []
