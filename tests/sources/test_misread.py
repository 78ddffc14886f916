"""What a database does not understand in the SQL of a source is a fault of the configuration, which no retry mends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.plan.projects import SmallProject

from headgate.core.errors import Code, exit_status

READS: tuple[dict[str, Any], ...] = (
    {"query": "SELEC * FROM t"},
    {"query": "SELECT no_such_function(id) FROM t"},
    {"table": "t", "where": "id = = 2"},
    {"table": "t", "where": "idd = 2"},
    {"query": "SELECT idd FROM t"},
    {"query": "SELECT t.id FROM t, t AS u WHERE id = 1"},
)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgres", "mysql", "sqlalchemy", "sqlalchemy mysql"])
def test_sql_that_a_database_does_not_understand_is_told_as_such(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    project = SmallProject(tmp_path).table("t", {"id": "INTEGER"}, [(1,)])
    project.connections["far"] = _connection(kind, tmp_path, request)
    for read in READS:
        refused = project.define(source={"connection": "far", **read}).attempt().failure
        assert refused is not None
        assert (refused.code, exit_status(refused.code)) == (Code.PLAN_INVALID, 2), refused
        assert refused.hint


def _connection(kind: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    if kind == "duckdb":
        with duckdb.connect(str(folder / "far.duckdb")) as database:
            database.execute("CREATE TABLE t (id BIGINT)")
        return {"type": kind, "path": "far.duckdb"}
    if kind == "postgres":
        import psycopg

        url = str(request.getfixturevalue("postgres_url"))
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("CREATE TABLE t (id BIGINT)")
        (folder / ".env").write_text(f"FAR={url}\n")
        return {"type": kind, "url": "${FAR}"}
    if kind.endswith("mysql"):
        server, name = request.getfixturevalue("mariadb_server"), request.getfixturevalue("mariadb_name")
        server.execute(name, "CREATE TABLE t (id BIGINT)")
        driver, _, place = str(server.url(name)).partition("://")
        (folder / ".env").write_text(f"FAR={driver if kind == 'mysql' else 'mysql+pymysql'}://{place}\n")
        return {"type": kind.partition(" ")[0], "url": "${FAR}"}
    return {"type": kind, "path": "shop.db"} if kind == "sqlite" else {"type": kind, "url": "sqlite:///shop.db"}
