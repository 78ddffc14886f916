"""Columns that no step looks at and that are left behind are not read: a column that cannot be read shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml
from sqlalchemy import create_engine, text
from tests.mariadb import MariaServer

from headgate.commands.handle import handle
from headgate.commands.models import RunPipeline
from headgate.core.errors import Code
from headgate.core.results import Result
from headgate.core.runs import Receipt
from headgate.execute.workspace import Workspace

AGGREGATE = {"type": "aggregate", "group_by": ["q"], "metrics": {"total": "SUM(n)", "rows": "COUNT(*)"}}
FILTER = {"type": "filter", "condition": "n > 0"}
ROWS = "(1, 5, 10, 'a'), (2, 5, 20, 'b'), (3, 6, 30, 'c'), (4, 6, -1, 'd')"
POISON = {
    "postgres": "1 / (n - n)",
    "mysql": "(SELECT a.n FROM t a WHERE a.q = t.q)",
    "duckdb": "CAST(error('read ' || n) AS BIGINT)",
    "sqlalchemy": "abs(n * 0 - 9223372036854775807 - 1)",
}
Query = Callable[[str], list[tuple[Any, ...]]]


def statements(kind: str) -> list[str]:
    return [
        "CREATE TABLE t (id BIGINT PRIMARY KEY, q BIGINT, n BIGINT, note VARCHAR(10))",
        f"INSERT INTO t VALUES {ROWS}",
        f"CREATE VIEW v AS SELECT id, q, n, note, {POISON[kind]} AS poison FROM t",
    ]


@pytest.fixture(params=["postgres", "mysql", "duckdb", "sqlalchemy"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The connection of a database with a view of which one column cannot be read."""
    kind = request.param
    match kind:
        case "postgres":
            url = request.getfixturevalue("postgres_url")
            with psycopg.connect(url) as session:
                for statement in statements(kind):
                    session.execute(statement)
            return {"type": "postgres", "url": url}
        case "mysql":
            server: MariaServer = request.getfixturevalue("mariadb_server")
            name = request.getfixturevalue("mariadb_name")
            server.execute(name, *statements(kind))
            return {"type": "mysql", "url": server.url(name)}
        case "duckdb":
            with duckdb.connect(tmp_path / "shop.duckdb") as database:
                for statement in statements(kind):
                    database.execute(statement)
            return {"type": "duckdb", "path": "shop.duckdb"}
        case _:
            engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
            with engine.begin() as connection:
                for statement in statements(kind):
                    connection.execute(text(statement))
            engine.dispose()
            return {"type": "sqlalchemy", "url": "sqlite:///shop.db"}


def run(root: Path, shop: dict[str, Any], steps: list[Any], **changes: Any) -> Result[Receipt]:
    pipeline = {
        "engine": "duckdb",
        "source": {"connection": "shop", "table": "v", **changes},
        "transformations": steps,
        "target": {"table": "out", "mode": "overwrite"},
    }
    document = {"version": 1, "project": "p", "connections": {"shop": shop}, "pipelines": {"p": pipeline}}
    (root / "headgate.yml").write_text(yaml.safe_dump(document))
    with Workspace.load(root) as workspace:
        return handle(RunPipeline(pipeline="p"), workspace)


def out(root: Path) -> list[tuple[Any, ...]]:
    with Workspace.load(root) as workspace:
        scan = workspace.store(workspace.connection("lake")).reader("out")
        assert scan.files is not None
        found = duckdb.read_parquet(list(scan.files.paths)).fetchall()
        scan.close()
    return sorted(found)


@pytest.mark.parametrize("steps", [[AGGREGATE], [FILTER, AGGREGATE]], ids=["groups", "filter, groups"])
def test_groups_are_made_without_reading_what_they_do_not_need(
    tmp_path: Path, shop: dict[str, Any], steps: list[Any]
) -> None:
    receipt = run(tmp_path, shop, steps).unwrap()
    assert receipt.rows.extracted == 4
    last = 30 if len(steps) == 2 else 29
    assert [(row[0], row[-1]) for row in out(tmp_path)] == [(5, 30), (6, last)]


CHOSEN = [
    {"type": "sql", "query": "SELECT q, n FROM input WHERE n > 0"},
    {"type": "map", "columns": {"group": "q", "n": "n"}},
]


@pytest.mark.parametrize("last", CHOSEN, ids=["sql", "map"])
def test_what_is_left_behind_is_not_read(tmp_path: Path, shop: dict[str, Any], last: dict[str, Any]) -> None:
    receipt = run(tmp_path, shop, [FILTER, last]).unwrap()
    assert receipt.rows.extracted == 4
    assert [sorted(row) for row in out(tmp_path)] == [[5, 10], [5, 20], [6, 30]]


ALL = [
    "SELECT DISTINCT q FROM (SELECT DISTINCT q, note FROM input)",
    "SELECT q, m FROM (SELECT q, id, max(n) AS m FROM input GROUP BY ALL)",
    "SELECT q, m FROM (SELECT id, q, max(n) AS m FROM input GROUP BY 1, 2)",
    "SELECT q FROM (SELECT q, note FROM input UNION SELECT n, note FROM input)",
    "SELECT q, hash(input) AS h FROM input",
]


@pytest.mark.parametrize("query", ALL)
def test_a_query_with_a_word_for_all_columns_gets_them(tmp_path: Path, query: str) -> None:
    with duckdb.connect(tmp_path / "shop.duckdb") as database:
        for statement in statements("duckdb"):
            database.execute(statement)
        database.execute("CREATE TABLE w AS SELECT id, q, n, note FROM t")
        expected = sorted(database.execute(query.replace("input", "w")).fetchall())
    run(tmp_path, {"type": "duckdb", "path": "shop.duckdb"}, [{"type": "sql", "query": query}], table="w").unwrap()
    assert out(tmp_path) == expected


def test_a_column_that_goes_to_the_target_is_read(tmp_path: Path, shop: dict[str, Any]) -> None:
    failure = run(tmp_path, shop, [FILTER]).failure
    assert failure is not None
    assert failure.code is Code.EXTRACTION_FAILED
