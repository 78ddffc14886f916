"""Every stage is done by the one interpreter: what is looked up, what is limited, what moves without being read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import Server, database_name
from tests.crash import harness
from tests.crash.database import Postgres
from tests.crash.scenarios import PIPELINE, SOURCES, TARGETS, Scenario, World, changes_for
from tests.plan.projects import FILES, SmallProject

from headgate.core.errors import Code

TOWNS = [("Bonn", 1), ("Ulm", 2)]


def joined(project: SmallProject, **side: Any) -> SmallProject:
    project.file("a.csv", "id,city\n1,Bonn\n2,Ulm\n3,Jena\n")
    return project.define(source=FILES, steps=[{"type": "join", "on": ["city"], "columns": ["size"], **side}])


def test_a_table_is_looked_up(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "size": "INTEGER"}, TOWNS)
    joined(project, connection="shop", table="towns").run()
    assert sorted(project.out()) == [(1, "Bonn", 1), (2, "Ulm", 2), (3, "Jena", None)]


def test_keys_of_a_table_that_is_looked_up_are_checked_before_a_row_is_read(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "size": "INTEGER"}, [*TOWNS, ("Ulm", 3)])
    error = joined(project, connection="shop", table="towns").attempt().failure
    assert error is not None
    assert error.code is Code.TRANSFORMATION_FAILED
    assert "city = 'Ulm' is there 2 times" in error.message


def test_rows_multiply_where_that_is_wanted(project: SmallProject) -> None:
    project.table("towns", {"city": "TEXT", "size": "INTEGER"}, [*TOWNS, ("Ulm", 3)])
    joined(project, connection="shop", table="towns", many=True).run()
    assert sorted(row[0] for row in project.out()) == [1, 2, 2, 3]


def test_files_are_looked_up_with_their_types(project: SmallProject) -> None:
    (project.root / "towns.csv").write_text("city,size\nBonn,1\nUlm,2\n")
    joined(project, path="towns.csv").run()
    assert sorted(project.out()) == [(1, "Bonn", 1), (2, "Ulm", 2), (3, "Jena", None)]


def test_typed_files_are_looked_up_as_they_are(project: SmallProject) -> None:
    pq.write_table(pa.table({"city": ["Bonn", "Ulm"], "size": [1, 2]}), project.root / "towns.parquet")
    joined(project, path="towns.parquet").run()
    assert sorted(project.out()) == [(1, "Bonn", 1), (2, "Ulm", 2), (3, "Jena", None)]


def test_a_limit_holds_for_files_too_and_publishes_nothing(project: SmallProject) -> None:
    project.file("a.csv", "id\n1\n2\n3\n")
    receipt = project.define(source=FILES).run(limit=2)
    assert (receipt.rows.extracted, receipt.published) == (2, False)


@pytest.fixture
def server(postgres_server: Server) -> Iterator[Postgres]:
    database = Postgres(postgres_server, database_name())
    postgres_server.create_database(database.name)
    yield database
    database.drop()


@pytest.mark.parametrize("engine", ["source", "duckdb"])
def test_rows_of_a_server_are_counted_whoever_moves_them(server: Postgres, tmp_path: Path, engine: str) -> None:
    scenario = Scenario(SOURCES[2], "append", TARGETS[3], engine=engine)
    world = World(scenario, tmp_path / "project", {"postgres": server})
    world.land(changes_for("append", 1)[0])
    receipt = harness.run_here(world.root, PIPELINE)
    assert receipt["status"] == "success", receipt
    assert world.rows() == scenario.expected(world.changes)
    rows = receipt["rows"]
    assert rows["extracted"] == rows["loaded"] + rows["filtered"] == len(world.changes[0])
