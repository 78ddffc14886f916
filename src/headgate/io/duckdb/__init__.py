"""DuckDB files: what source and target share."""

from headgate.io.duckdb.files import Connection

__all__ = ["Connection"]
