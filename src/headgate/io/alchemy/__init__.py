"""Any database that SQLAlchemy has a dialect for: what source and target share."""

from headgate.io.alchemy.engines import Connection

__all__ = ["Connection"]
