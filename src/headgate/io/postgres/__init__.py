"""What the PostgreSQL source and target share: connecting, errors, the catalogue, types, reading to Arrow."""

from __future__ import annotations

from headgate.io.postgres.connection import Connection, connect
from headgate.io.postgres.errors import explained
from headgate.io.postgres.statements import Statements

__all__ = ["Connection", "Statements", "connect", "explained"]
