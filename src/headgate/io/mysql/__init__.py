"""MySQL and MariaDB: what source and target share."""

from headgate.io.mysql.connection import Connection

__all__ = ["Connection"]
