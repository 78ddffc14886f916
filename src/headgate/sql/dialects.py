"""What databases say differently when rows are merged: comparing with NULL, changing rows by others, work tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from headgate.sql.literals import quote_name


class Standard:
    """PostgreSQL, SQLite and DuckDB. The changed table is ``t``, in conditions and values.

    Attributes:
        merges: whether the modes of loading that look at the whole table can be said in it.
        hold: said after the alias of the merged table, so that what was not there stays away until the commit.
        temporary: what names of work tables start with.
        yes: a condition that holds, and ``no``: one that does not.
        false: the boolean as a value.
        add: what ALTER TABLE says before a new column.
    """

    merges = True
    hold = ""
    temporary = ""
    yes, no, false = "TRUE", "FALSE", "FALSE"
    add = "ADD COLUMN"

    def equal(self, left: str, right: str, *, text: bool = False) -> str:  # noqa: ARG002 - for those who pad texts
        """The condition that two values are the same; NULL is the same as NULL."""
        return f"{left} IS NOT DISTINCT FROM {right}"

    def distinct(self, left: str, right: str, *, text: bool = False) -> str:  # noqa: ARG002
        return f"{left} IS DISTINCT FROM {right}"

    def exact(self, text: str) -> str:
        """A text by which rows can be grouped, so that texts that are not the same are told apart."""
        return text

    def holds(self, value: str) -> str:
        """The condition that a boolean value is true."""
        return value

    def unless(self, value: str) -> str:
        """The condition that a boolean value is not true."""
        return f"NOT coalesce({value}, FALSE)"

    def truth(self, condition: str) -> str:
        """A condition as a boolean value."""
        return condition

    def delete_among(self, target: str, columns: Sequence[str], source: str) -> str:
        """Delete rows that equal one of ``source`` in columns; NULL equals nothing."""
        listed = ", ".join(quote_name(name) for name in columns)
        return f"DELETE FROM {target} WHERE ({listed}) IN (SELECT {listed} FROM {source} AS s)"

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

    def equal(self, left: str, right: str, *, text: bool = False) -> str:
        one, other = (_bytes(left), _bytes(right)) if text else (left, right)
        return f"({one} <=> {other})"

    def distinct(self, left: str, right: str, *, text: bool = False) -> str:
        return f"NOT {self.equal(left, right, text=text)}"

    def exact(self, text: str) -> str:
        return _bytes(text)

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


def _bytes(value: str) -> str:
    """A text byte by byte, whatever character set and collation it has, and with the blanks at its end."""
    return f"CAST(CONVERT({value} USING utf8mb4) AS BINARY)"


class Portable(Standard):
    """A database that nothing is known of: rows are changed by subqueries, which every one understands."""

    merges = False

    def update(self, target: str, changes: Mapping[str, str], where: str, source: str = "") -> str:
        listed = ", ".join(
            f"{quote_name(name)} = (SELECT {value} FROM {source} WHERE {where})" for name, value in changes.items()
        )
        return f"UPDATE {target} t SET {listed} WHERE EXISTS (SELECT 1 FROM {source} WHERE {where})"


class TransactSql(Standard):
    """SQL Server: booleans are numbers, and not conditions; texts are padded where they are compared.

    The merged table is read with the locks of the rows that are there and of the gaps between them, which closes the
    race between finding out that a row is not there and inserting it; MERGE, which has that race too, is not used.
    """

    hold = " WITH (UPDLOCK, HOLDLOCK)"
    temporary = "#"
    yes, no, false = "1 = 1", "1 = 0", "0"
    add = "ADD"

    def equal(self, left: str, right: str, *, text: bool = False) -> str:
        return f"{self._differ(left, right, text)} = 0"

    def distinct(self, left: str, right: str, *, text: bool = False) -> str:
        return f"{self._differ(left, right, text)} = 1"

    def _differ(self, left: str, right: str, text: bool) -> str:
        """1 or 0, never NULL, and without a subquery: those cannot stand in an aggregate."""
        same = f"{left} = {right}"
        if text:  # by code point, and with the blanks at the end that a comparison ignores
            one, other = (f"CAST({side} AS NVARCHAR(MAX))" for side in (left, right))
            same = (
                f"({one} COLLATE {BINARY_COLLATION} = {other} COLLATE {BINARY_COLLATION}"
                f" AND DATALENGTH({one}) = DATALENGTH({other}))"
            )
        return f"CASE WHEN {same} OR ({left} IS NULL AND {right} IS NULL) THEN 0 ELSE 1 END"

    def holds(self, value: str) -> str:
        return f"{value} = 1"

    def unless(self, value: str) -> str:
        return f"coalesce({value}, 0) = 0"

    def truth(self, condition: str) -> str:
        return f"CAST(CASE WHEN {condition} THEN 1 ELSE 0 END AS BIT)"

    def update(self, target: str, changes: Mapping[str, str], where: str, source: str = "") -> str:
        listed = ", ".join(f"{quote_name(name)} = {value}" for name, value in changes.items())
        joined = f" CROSS JOIN {source}" if source else ""
        return f"UPDATE t SET {listed} FROM {target} AS t{self.hold}{joined} WHERE {where}"

    def delete(self, target: str, where: str) -> str:
        return f"DELETE t FROM {target} AS t WHERE {where}"

    def delete_among(self, target: str, columns: Sequence[str], source: str) -> str:
        match = " AND ".join(f"s.{quote_name(name)} = t.{quote_name(name)}" for name in columns)
        return self.delete(target, f"EXISTS (SELECT 1 FROM {source} AS s WHERE {match})")

    def work(self, name: str, query: str, index: str = "") -> list[str]:
        made = [_into(query, name)]
        return [*made, f"CREATE INDEX {quote_name('by_' + index)} ON {name} ({index})"] if index else made

    def like(self, name: str, table: str) -> str:
        return f"SELECT * INTO {name} FROM {table} WHERE 1 = 0"


BINARY_COLLATION = "Latin1_General_100_BIN2"

_PIECE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\(|\)|\bSELECT\b|\bFROM\b")


def _into(query: str, name: str) -> str:
    """A query of ours, perhaps with common tables before it, that keeps its rows in a new table."""
    depth, place, asked = 0, 0, False
    for found in _PIECE.finditer(query):
        match found[0]:
            case "(":
                depth += 1
            case ")":
                depth -= 1
            case "SELECT" if depth == 0:
                asked = True
            case "FROM" if depth == 0 and asked:
                place = found.start()
                break
            case _:
                pass
    assert place, "a work table is made of a SELECT with a FROM"
    return f"{query[:place]}INTO {name} {query[place:]}"


STANDARD, MYSQL, PORTABLE, TRANSACT_SQL = Standard(), MySql(), Portable(), TransactSql()
