"""A small project with a table of orders."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plan.projects import SmallProject

ORDERS = {"id": "INTEGER", "city": "TEXT", "total": "INTEGER", "note": "TEXT"}
ROWS = [(1, "Bonn", 10, "1"), (2, "Bonn", 20, "x"), (3, "Ulm", 30, "3"), (4, "Ulm", None, None), (5, "Jena", -5, "5")]


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """Five orders: one with a note that is no number, one without a total, one with a negative total."""
    return SmallProject(tmp_path).table("orders", ORDERS, ROWS).define()
