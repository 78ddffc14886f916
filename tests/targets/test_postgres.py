"""PostgreSQL as a target, against a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.core.contracts import Store
from headgate.core.secrets import Secret
from headgate.targets import postgres
from headgate.testing.stores import StoreContract


class TestContract(StoreContract):
    capabilities = postgres.MODES

    @pytest.fixture
    def open_store(self, postgres_url: str, tmp_path: Path) -> Callable[[], Store]:
        connection = postgres.Connection(url=Secret(postgres_url))
        return lambda: postgres.open_store("warehouse", connection, tmp_path)
