"""The project that moves rows from one database into another, and one that follows a table."""

from __future__ import annotations

from tests.followed import followed
from tests.movers import movers

__all__ = ["followed", "movers"]
