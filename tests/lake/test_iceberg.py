"""The lake keeps every promise of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.core.contracts import Store
from headgate.lake import iceberg
from headgate.testing.stores import StoreContract


class TestLake(StoreContract):
    capabilities = iceberg.MODES

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: iceberg.open_store("lake", iceberg.Connection(type="iceberg", path="lake"), tmp_path)
