"""A world for each scenario: a project, and a database where the scenario needs one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import Server, database_name
from tests.crash import harness
from tests.crash.database import Database, Mysql, Postgres
from tests.crash.scenarios import CDC, Scenario, World
from tests.mariadb import MariaServer

SEED = int(os.environ.get("HEADGATE_CRASH_SEED", "1"))
"""Chooses which kills are tried; every failure can be repeated with the one printed above the tests."""

MakeWorld = Callable[[Scenario], World]


def pytest_report_header() -> str:
    return f"crash tests: HEADGATE_CRASH_SEED={SEED}"


@pytest.fixture(scope="session", autouse=True)
def _preloaded() -> None:
    harness.preload()


@pytest.fixture
def make_world(make_untouched: MakeWorld) -> MakeWorld:
    """Makes worlds with one batch published and one more landed, saved as they are then."""

    def make(scenario: Scenario) -> World:
        from tests.crash.oracle import run

        world = make_untouched(scenario)
        receipt = run(world)
        assert receipt["status"] == "success", receipt
        assert world.rows() == scenario.expected(world.changes)
        world.land(scenario.changes(2)[1])
        if scenario.source is not CDC:  # a slot cannot be copied
            world.save()
        return world

    return make


@pytest.fixture
def make_untouched(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeWorld]:
    """Makes worlds with one batch landed, which no run has seen."""
    databases: list[Database] = []

    def make(scenario: Scenario) -> World:
        mine: dict[str, Database] = {name: database_on(name) for name in scenario.servers}
        databases.extend(mine.values())
        number = len(list(tmp_path.iterdir()))
        world = World(scenario, tmp_path / f"{scenario.name}-{number}", mine)
        world.land(scenario.changes(2)[0])
        return world

    def database_on(name: str) -> Database:
        if name == "postgres":
            server: Server = request.getfixturevalue("postgres_server")
            server.create_database(database := database_name())
            return Postgres(server, database)
        maria: MariaServer = request.getfixturevalue("mariadb_server")
        maria.create_database(database := database_name())
        return Mysql(maria, database)

    yield make
    for database in databases:
        database.drop()
