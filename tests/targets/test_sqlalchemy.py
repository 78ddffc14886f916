"""Databases through SQLAlchemy as targets: SQLite, MariaDB, PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from tests.plan.projects import with_orders

from headgate.core.contracts import Capability, Store
from headgate.core.errors import Code, FatalError
from headgate.core.secrets import Secret
from headgate.io.alchemy import leases
from headgate.targets import sqlalchemy
from headgate.testing.place import Place
from headgate.testing.stores import StoreContract


class Through(StoreContract):
    __test__ = False
    capabilities: ClassVar[frozenset[Capability]] = sqlalchemy.MODES

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError("each database has its own")

    @pytest.fixture
    def open_store(self, url: str, tmp_path: Path) -> Callable[[], Store]:
        connection = sqlalchemy.Connection(url=Secret(url))
        return lambda: sqlalchemy.open_store("warehouse", connection, tmp_path)

    @pytest.fixture
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The dead are not waited for as long: each kill leaves one."""
        monkeypatch.setattr(leases, "BEAT", 0.1)
        monkeypatch.setattr(leases, "DEAD", 1.0)

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize(
        "mode",
        ["upsert", pytest.param("append", marks=pytest.mark.long), pytest.param("overwrite", marks=pytest.mark.long)],
    )
    def test_killed_at_any_step_a_run_is_whole_or_absent_and_the_next_completes_it(
        self, place: Place, mode: str
    ) -> None:
        super().test_killed_at_any_step_a_run_is_whole_or_absent_and_the_next_completes_it(place, mode)


class TestSqlite(Through):
    __test__ = True
    signed_zero = instants = False

    @pytest.fixture
    def url(self) -> str:
        return "sqlite:///out.db"


class TestMariadb(Through):
    __test__ = True
    signed_zero = instants = False

    @pytest.fixture
    def url(self, mariadb_url: str) -> str:
        return mariadb_url.replace("mysql://", "mysql+pymysql://") + "&charset=utf8mb4"


@pytest.mark.long
class TestPostgres(Through):
    __test__ = True

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url.replace("postgresql://", "postgresql+psycopg://")


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_history_of_moments_is_refused_by_the_plan_where_the_database_has_none_with_a_zone(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = "sqlite:///goal.db"
    if kind == "mariadb":
        url = request.getfixturevalue("mariadb_url").replace("mysql:", "mysql+pymysql:")
    target = {"connection": "books", "table": "out", "mode": "scd2", "keys": ["id"]}
    project = with_orders(tmp_path)
    project.connections = {"books": {"type": "sqlalchemy", "url": url}}
    project.define(target=target)
    with pytest.raises(FatalError, match="valid_from") as refused:
        project.plan()
    assert refused.value.code is Code.UNSUPPORTED
    assert "effective:" in refused.value.hint
    assert "cast" not in refused.value.hint
    step = {"type": "calculate", "columns": {"day": "DATE '2024-01-01'"}}
    project.define(target={**target, "effective": "day"}, steps=[step]).plan()
