"""A small project with a table of orders."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.movers import movers
from tests.plan.projects import SmallProject, with_orders

__all__ = ["movers", "project"]


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return with_orders(tmp_path)
