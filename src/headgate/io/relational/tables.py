"""Tables of a database by the names that people give them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from headgate.core.errors import Code, FatalError, nearest


class Tables(ABC):
    """What a session knows of its database's tables."""

    @abstractmethod
    def tables(self) -> list[str]:
        """Tables and views, but headgate's own; those of another schema than the default one with its name."""

    @abstractmethod
    def find(self, table: str) -> tuple[str, str] | None:
        """(schema, table) of a name, which may be ``schema.table``; None if it is not there."""

    def need(self, table: str, operation: str) -> tuple[str, str]:
        """(schema, table) of a name. Raises FatalError TABLE_NOT_FOUND with the nearest known name."""
        found = self.find(table)
        if found is None:
            raise FatalError(
                Code.TABLE_NOT_FOUND,
                f'there is no table "{table}"',
                operation=operation,
                object=table,
                hint=nearest(table, self.tables()),
            )
        return found
