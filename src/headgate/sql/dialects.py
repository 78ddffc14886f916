"""What databases say differently when rows are merged: comparing with NULL, changing rows by others, work tables."""

from __future__ import annotations

from collections.abc import Mapping

from headgate.sql.literals import quote_name


class Standard:
    """PostgreSQL, SQLite and DuckDB. The changed table is ``t``, in conditions and values.

    Attributes:
        merges: whether the modes of loading that look at the whole table can be said in it.
    """

    merges = True

    def equal(self, left: str, right: str) -> str:
        """The condition that two values are the same; NULL is the same as NULL."""
        return f"{left} IS NOT DISTINCT FROM {right}"

    def distinct(self, left: str, right: str) -> str:
        return f"{left} IS DISTINCT FROM {right}"

    def update(self, target: str, changes: Mapping[str, str], where: str, source: str = "") -> str:
        """Set columns, by name, to values that ``source``, a FROM clause, may take part in."""
        listed = ", ".join(f"{quote_name(name)} = {value}" for name, value in changes.items())
        return f"UPDATE {target} AS t SET {listed}{f' FROM {source}' if source else ''} WHERE {where}"

    def delete(self, target: str, where: str) -> str:
        return f"DELETE FROM {target} AS t WHERE {where}"

    def work(self, name: str, query: str, index: str = "") -> list[str]:
        """A table of this session from a query, with an index on one of its columns."""
        made = [f"CREATE TEMPORARY TABLE {name} AS {query}"]
        return [*made, f"CREATE INDEX {quote_name(f'{name.strip(chr(34))}_n')} ON {name} ({index})"] if index else made

    def drop(self, name: str) -> str:
        return f"DROP TABLE {name}"

    def like(self, name: str, table: str) -> str:
        """An empty table with the columns of another."""
        return f"CREATE TABLE {name} AS SELECT * FROM {table} WHERE 1 = 0"


class MySql(Standard):
    """MySQL and MariaDB, where making an index, or dropping a table that is not called temporary, commits."""

    def equal(self, left: str, right: str) -> str:
        return f"({left} <=> {right})"

    def distinct(self, left: str, right: str) -> str:
        return f"NOT ({left} <=> {right})"

    def update(self, target: str, changes: Mapping[str, str], where: str, source: str = "") -> str:
        listed = ", ".join(f"t.{quote_name(name)} = {value}" for name, value in changes.items())
        return f"UPDATE {target} AS t{f' JOIN {source}' if source else ''} SET {listed} WHERE {where}"

    def delete(self, target: str, where: str) -> str:
        return f"DELETE t FROM {target} AS t WHERE {where}"

    def work(self, name: str, query: str, index: str = "") -> list[str]:
        return [f"CREATE TEMPORARY TABLE {name}{f' (KEY ({index}))' if index else ''} AS {query}"]

    def drop(self, name: str) -> str:
        return f"DROP TEMPORARY TABLE {name}"

    def like(self, name: str, table: str) -> str:
        return f"CREATE TABLE {name} LIKE {table}"


class Portable(Standard):
    """A database that nothing is known of: rows are changed by subqueries, which every one understands."""

    merges = False

    def update(self, target: str, changes: Mapping[str, str], where: str, source: str = "") -> str:
        listed = ", ".join(
            f"{quote_name(name)} = (SELECT {value} FROM {source} WHERE {where})" for name, value in changes.items()
        )
        return f"UPDATE {target} t SET {listed} WHERE EXISTS (SELECT 1 FROM {source} WHERE {where})"


STANDARD, MYSQL, PORTABLE = Standard(), MySql(), Portable()
