"""What the modes of loading mean, as SQL over two relations: the staged rows ``s`` and the table ``t``.

Pure text; what databases say differently comes from :mod:`headgate.sql.dialects`. :mod:`headgate.io.merging` runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headgate.sql.dialects import STANDARD, Standard
from headgate.sql.literals import quote_name


@dataclass(frozen=True)
class Sides:
    """The two relations of a merge.

    Args:
        target: the table, quoted.
        source: the staged rows, quoted, or a subquery in parentheses, in the table's types.
        columns: those of the table that the rows have.
        keys: among them.
        marker: a boolean column of the source only: rows for which it is true delete their key.
        dialect: how the database says it.
        texts: among the columns those that hold text.
    """

    target: str
    source: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    marker: str = ""
    dialect: Standard = STANDARD
    texts: frozenset[str] = frozenset()

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name not in self.keys)

    @property
    def stays(self) -> str:
        """A condition: the staged row ``s`` deletes nothing."""
        return self.dialect.unless(self.marked) if self.marker else self.dialect.yes

    @property
    def marked(self) -> str:
        """The marker of a staged row."""
        return f"s.{quote_name(self.marker)}"

    @property
    def mark(self) -> str:
        """1 or 0: whether the staged row deletes its key."""
        return f"CASE WHEN {self.dialect.holds(self.marked)} THEN 1 ELSE 0 END" if self.marker else "0"

    def differs(self, columns: Sequence[str], left: str, right: str) -> str:
        """The condition that a column has another value; NULL equals NULL."""
        return differs(columns, left, right, self.dialect, self.texts)


def names(columns: Sequence[str], side: str = "") -> str:
    """A list of quoted columns."""
    prefix = f"{side}." if side else ""
    return ", ".join(prefix + quote_name(name) for name in columns)


def same(columns: Sequence[str], left: str, right: str) -> str:
    """The condition that both sides have equal values; NULL equals nothing."""
    return " AND ".join(f"{left}.{quote_name(name)} = {right}.{quote_name(name)}" for name in columns) or "TRUE"


def differs(
    columns: Sequence[str], left: str, right: str, dialect: Standard = STANDARD, texts: frozenset[str] = frozenset()
) -> str:
    """The condition that a column has another value; NULL equals NULL."""
    tests = [
        dialect.distinct(f"{left}.{quote_name(name)}", f"{right}.{quote_name(name)}", text=name in texts)
        for name in columns
    ]
    return f"({' OR '.join(tests)})" if tests else dialect.no


def taken(columns: Sequence[str], side: str) -> dict[str, str]:
    """Changes that take columns over from the other side."""
    return {name: f"{side}.{quote_name(name)}" for name in columns}


# -------------------------------------------------------------------------------------------------- all modes


def insert(sides: Sides) -> str:
    """Every staged row."""
    listed = names(sides.columns)
    return f"INSERT INTO {sides.target} ({listed}) SELECT {listed} FROM {sides.source} AS s"


def odd_keys(source: str, identity: Sequence[str]) -> tuple[str, str]:
    """Two counts: staged rows with a NULL in their identity, and rows that share theirs with another."""
    missing = " OR ".join(f"s.{quote_name(name)} IS NULL" for name in identity)
    groups = f"SELECT count(*) AS n FROM {source} AS s GROUP BY {names(identity, 's')} HAVING count(*) > 1"
    return (
        f"SELECT count(*) FROM {source} AS s WHERE {missing}",
        f"SELECT coalesce(sum(n), 0) FROM ({groups}) AS g",
    )


def delete_partitions(sides: Sides, partition: Sequence[str]) -> list[str]:
    """Rows of the table that equal a staged row in ``partition``; first without NULLs, which can be hashed."""
    listed = names(partition)
    null = " OR ".join(f"{quote_name(name)} IS NULL" for name in partition)
    equal = f"NOT {sides.differs(partition, 't', 's')}"
    some = f"(SELECT DISTINCT {listed} FROM {sides.source} AS p WHERE {null})"
    return [
        sides.dialect.delete_among(sides.target, partition, sides.source),
        sides.dialect.delete(sides.target, f"({null}) AND EXISTS (SELECT 1 FROM {some} AS s WHERE {equal})"),
    ]


def delete_between(sides: Sides, column: str, start: str, end: str) -> str:
    """Rows of the table in [start, end), which are literals of the column's type."""
    name = quote_name(column)
    return f"DELETE FROM {sides.target} WHERE {name} >= {start} AND {name} < {end}"


# ------------------------------------------------------------------------------------------------------ merge


def merge_deletes(sides: Sides, *, missing: bool) -> list[str]:
    """Rows whose key is marked, and, with ``missing``, rows whose key is not staged."""
    match = same(sides.keys, "s", "t")
    found = []
    if sides.marker:
        marked = f"SELECT 1 FROM {sides.source} AS s WHERE {match} AND {sides.dialect.holds(sides.marked)}"
        found.append(sides.dialect.delete(sides.target, f"EXISTS ({marked})"))
    if missing:
        there = f"EXISTS (SELECT 1 FROM {sides.source} AS s WHERE {match})"
        found.append(sides.dialect.delete(sides.target, f"NOT {there}"))
    return found


def merge_update(sides: Sides) -> str | None:
    """Rows that are there and differ; None if there is nothing but keys."""
    if not sides.others:
        return None
    where = f"{same(sides.keys, 't', 's')} AND {sides.stays} AND {sides.differs(sides.others, 't', 's')}"
    return sides.dialect.update(sides.target, taken(sides.others, "s"), where, f"{sides.source} AS s")


def merge_insert(sides: Sides) -> str:
    """Rows that are not there."""
    return (
        f"INSERT INTO {sides.target} ({names(sides.columns)}) SELECT {names(sides.columns, 's')}"
        f" FROM {sides.source} AS s WHERE {sides.stays}"
        f" AND NOT EXISTS (SELECT 1 FROM {sides.target} AS t{sides.dialect.hold} WHERE {same(sides.keys, 't', 's')})"
    )
