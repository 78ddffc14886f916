"""A lake in a temporary folder, and faults for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.lake import iceberg
from headgate.testing.place import Place

CONNECTION = iceberg.Connection(type="iceberg", path="lake")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(lambda: iceberg.open_store("lake", CONNECTION, tmp_path), tmp_path / "_runs")
    yield place
    place.close()
