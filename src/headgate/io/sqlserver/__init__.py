"""SQL Server and Azure SQL: what source and target share. Tested against the protocol, not against the service."""

from headgate.io.sqlserver.connection import Connection

__all__ = ["Connection"]
