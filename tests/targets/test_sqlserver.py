"""SQL Server as a target, against a double of its protocol: not tested against the service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sqlserver.double import Database, sqlserver, sqlserver_double

from headgate.core.contracts import Store
from headgate.targets import sqlserver as connector
from headgate.testing.stores import StoreContract

__all__ = ["sqlserver", "sqlserver_double"]


class TestContract(StoreContract):
    capabilities = connector.MODES

    @pytest.fixture
    def open_store(self, sqlserver: Database, tmp_path: Path) -> Callable[[], Store]:
        return lambda: connector.open_store("warehouse", sqlserver.connection, tmp_path)
