"""``{{ ds }}`` in a query is the run's date as a value, in every database: that day's rows, and no arithmetic."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg
import pytest
from tests.mariadb import MariaServer

from headgate.commands.handle import handle
from headgate.commands.models import RunPipeline
from headgate.execute.workspace import Workspace
from headgate.testing.rows import read_all

SALES = "CREATE TABLE sales (id INTEGER, day DATE)"
ROWS = "INSERT INTO sales VALUES (1, '2024-01-14'), (2, '2024-01-15'), (3, '2024-01-16'), (2008, NULL)"


def sqlite(root: Path, _: pytest.FixtureRequest) -> str:
    with closing(sqlite3.connect(root / "shop.db")) as shop, shop:
        shop.execute(SALES)
        shop.execute(ROWS)
    return "{type: sqlite, path: shop.db}"


def duck(root: Path, _: pytest.FixtureRequest) -> str:
    with duckdb.connect(root / "shop.duckdb") as shop:
        shop.execute(SALES)
        shop.execute(ROWS)
    return "{type: duckdb, path: shop.duckdb}"


def postgres(_: Path, request: pytest.FixtureRequest) -> str:
    url = request.getfixturevalue("postgres_url")
    with psycopg.connect(url) as shop:
        shop.execute(SALES)
        shop.execute(ROWS)
    return f"{{type: postgres, url: '{url}'}}"


def mysql(_: Path, request: pytest.FixtureRequest) -> str:
    server: MariaServer = request.getfixturevalue("mariadb_server")
    name = request.getfixturevalue("mariadb_name")
    server.execute(name, SALES, ROWS)
    return f"{{type: mysql, url: '{server.url(name)}'}}"


@pytest.mark.parametrize(
    "asked", ["query: 'SELECT id FROM sales WHERE day = {{ ds }}'", "table: sales, where: 'day = {{ ds }}'"]
)
@pytest.mark.parametrize("database", [sqlite, duck, postgres, mysql])
def test_a_run_for_a_day_reads_the_rows_of_that_day(
    tmp_path: Path, request: pytest.FixtureRequest, database: Callable[[Path, pytest.FixtureRequest], str], asked: str
) -> None:
    (tmp_path / "headgate.yml").write_text(
        f"version: 1\nproject: shop\nconnections:\n  shop: {database(tmp_path, request)}\n"
        f"pipelines:\n  sales:\n    source: {{connection: shop, {asked}}}\n    target: {{table: sales}}\n"
    )
    with Workspace.load(tmp_path) as workspace:
        receipt = handle(RunPipeline(pipeline="sales", date="2024-01-15"), workspace).unwrap()
        assert receipt.rows.loaded == 1
        assert read_all(workspace.store(workspace.lake()).reader("sales"))["id"].to_pylist() == [2]
