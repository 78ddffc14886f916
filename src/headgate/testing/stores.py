"""What every store must do. A connector's test subclasses :class:`StoreContract` and says how to open its store.

    class TestFolder(StoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: local.open_store("out", local.Connection(type="local", path="out"), tmp_path)

``open_store`` gives a new store on the same place each time it is called, also in a forked process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headgate.core.contracts import Store
from headgate.testing.place import Place
from headgate.testing.store_crashes import CrashContract
from headgate.testing.store_ledger import LedgerContract
from headgate.testing.store_loads import LoadContract
from headgate.testing.store_modes import ModeContract
from headgate.testing.store_previews import PreviewContract
from headgate.testing.store_quarantine import QuarantineContract
from headgate.testing.store_types import TypeContract


class StoreContract(
    LoadContract, ModeContract, PreviewContract, LedgerContract, QuarantineContract, TypeContract, CrashContract
):
    """All that a store promises. A capability that a store lacks is switched off by a class attribute.

    Attributes:
        modes: of append, overwrite and upsert, those that the store has.
        capabilities: what its module says in ``MODES``, of the modes beyond these.
        instants: it holds times with a zone.
        signed_zero: -0.0 comes back as -0.0; a store for which it is 0.0, its equal, says False.
        documents: names of types (see ``store_types.TYPES``) that are kept as JSON text rather than as they are.
    """

    @pytest.fixture
    def open_store(self) -> Callable[[], Store]:
        raise NotImplementedError("say in the subclass how the store is opened")

    @pytest.fixture
    def place(self, open_store: Callable[[], Store], tmp_path: Path) -> Iterator[Place]:
        place = Place(open_store, tmp_path / "_runs")
        yield place
        place.close()
