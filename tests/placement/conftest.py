"""The project that moves rows from one database into another."""

from __future__ import annotations

from tests.movers import movers

__all__ = ["movers"]
