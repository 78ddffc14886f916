"""MySQL as a target, against a real MariaDB server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.core.contracts import Store
from headgate.core.secrets import Secret
from headgate.targets import mysql
from headgate.testing.stores import StoreContract


class TestContract(StoreContract):
    signed_zero = False
    capabilities = mysql.MODES

    @pytest.fixture
    def open_store(self, mariadb_url: str, tmp_path: Path) -> Callable[[], Store]:
        connection = mysql.Connection(url=Secret(mariadb_url))
        return lambda: mysql.open_store("warehouse", connection, tmp_path)
