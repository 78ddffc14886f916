from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.core.contracts import Store
from headgate.targets.sqlite import Connection, open_store
from headgate.testing.stores import StoreContract


class TestSqliteStore(StoreContract):
    signed_zero = False

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store("dw", Connection(type="sqlite", path="dw/shop.db"), tmp_path)
