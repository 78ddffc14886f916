"""Tables of databases are looked at in their own types, whatever way their values take."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from tests.mariadb import session

from headgate.api.project import Project
from headgate.core.errors import Code, FatalError


def asked(root: Path, connection: dict[str, Any], sql: str) -> list[tuple[Any, ...]]:
    document = {"version": 1, "project": "small", "connections": {"shop": connection}}
    (root / "headgate.yml").write_text(yaml.safe_dump(document))
    return [tuple(row.values()) for row in Project(root).query(sql, connection="shop").to_pylist()]


@pytest.fixture
def postgres(postgres_url: str) -> dict[str, Any]:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE sales (id int, amount numeric(12, 2), parts numeric(4, 1)[], free numeric)")
        connection.execute("INSERT INTO sales VALUES (1, 1.10, '{1.5}', 0.25), (2, 2.20, NULL, 1 / 7.0)")
    return {"type": "postgres", "url": postgres_url}


def test_decimals_are_decimals(tmp_path: Path, postgres: dict[str, Any]) -> None:
    sql = "SELECT SUM(amount), typeof(ANY_VALUE(amount)), typeof(ANY_VALUE(parts)) FROM sales"
    assert asked(tmp_path, postgres, sql) == [(Decimal("3.30"), "DECIMAL(12,2)", "DECIMAL(4,1)[]")]


def test_a_table_that_stands_twice_or_in_a_with_is_one_of_decimals(tmp_path: Path, postgres: dict[str, Any]) -> None:
    sql = (
        "WITH large AS (SELECT id, amount FROM sales WHERE amount > 2)"
        " SELECT s.id, large.amount + s.amount FROM sales AS s JOIN large ON large.id >= s.id ORDER BY 1"
    )
    assert asked(tmp_path, postgres, sql) == [(1, Decimal("3.30")), (2, Decimal("4.40"))]


def test_a_value_that_its_type_cannot_hold_is_told_where_it_is_asked_for(
    tmp_path: Path, postgres: dict[str, Any]
) -> None:
    assert asked(tmp_path, postgres, "SELECT id FROM sales ORDER BY id") == [(1,), (2,)]
    with pytest.raises(FatalError, match=r"0\.1428.* has more than 10 decimal places.* column free") as refused:
        asked(tmp_path, postgres, "SELECT * FROM sales")
    assert refused.value.code is Code.USAGE


def test_truth_and_moments_of_mysql_are_such(tmp_path: Path, mariadb_url: str) -> None:
    with session(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE seen (id int, fine boolean, at datetime(6))")
        cursor.execute("INSERT INTO seen VALUES (1, 1, '9999-12-31 00:00:00.000001')")
        connection.commit()
    found = asked(tmp_path, {"type": "mysql", "url": mariadb_url}, "SELECT fine, at FROM seen WHERE fine")
    assert found == [(True, datetime(9999, 12, 31, 0, 0, 0, 1))]  # noqa: DTZ001 - the column has no zone
