"""What a connector gives so that its databases are sources, and the SQL that most of them write alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from headgate.io.cursor_values import Kind
from headgate.io.relational.columns import ReadColumn
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa


class Rows(NamedTuple):
    """The rows that a read without an end would look at: ``source`` and ``where`` as SQL, ``table`` if it is one."""

    source: str
    where: str
    table: str | None


class Reader(Protocol):
    """What a database does for its source. Sessions are read-only where the database has that."""

    product: str

    def test(self) -> str: ...

    def tables(self) -> list[str]: ...

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement that gives few."""

    def relation(self, table: str, operation: str) -> str:
        """A table as it stands after FROM. Raises FatalError TABLE_NOT_FOUND with the nearest name."""

    def keys(self, table: str) -> tuple[str, ...]: ...

    def columns(self, source: str, table: str | None) -> list[ReadColumn]:
        """The columns of ``source``, as it stands after FROM; ``table`` if it is one."""

    def literal(self, value: Any) -> str: ...

    def order(self, name: str, kind: Kind) -> str:
        """The cursor column as it is compared and sorted: texts by code point."""

    def limited(self, listed: str, rest: str, order: Sequence[str], rows: int) -> str:
        """``SELECT listed rest``, where rest is FROM and WHERE, in an order, and at most so many rows of it."""

    def now(self) -> datetime:
        """The moment by the clock that stamps rows, if the database tells it; else by this machine's."""

    def before_open(self, name: str, kind: Kind, rows: Rows) -> tuple[Any, str]:
        """A value below which nothing is in flight, None if the database does not tell; and what that means."""

    def stream(
        self, select: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> tuple[pa.RecordBatchReader, Callable[[], None]]:
        """The rows of a SELECT as they come, in one snapshot; and what ends the read."""

    def close(self) -> None: ...


@runtime_checkable
class SiftingReader(Protocol):
    """A reader whose database leaves rows out, and counts them in the snapshot that it reads."""

    dialect: str

    def value(self, column: ReadColumn) -> str | None:
        """SQL for the column's value in its true type, as conditions compare it; None: they cannot."""

    def sound(self, column: ReadColumn) -> str | None:
        """A condition under which a value has no error in it; None: it never has one."""

    def stream_counted(
        self, select: str, counting: Sequence[str], rest: str, columns: Sequence[ReadColumn], batch_rows: int, name: str
    ) -> tuple[pa.RecordBatchReader, Callable[[], None], Callable[[], Sequence[int]]]:
        """As ``stream``; and what the aggregates ``counting`` give over ``rest``, which begins with FROM."""


def once(close: Callable[[], None]) -> Callable[[], None]:
    """A function that may be called again, and then does nothing."""
    left = [close]

    def again() -> None:
        while left:
            left.pop()()

    return again


def standard_limit(listed: str, rest: str, order: Sequence[str], rows: int) -> str:
    """A limited SELECT, as most databases have it."""
    ordered = f" ORDER BY {', '.join(order)}" if order else ""
    return f"SELECT {listed} {rest}{ordered} LIMIT {rows}"


def select_list(columns: Sequence[ReadColumn]) -> str:
    return ", ".join(f"{column.expression} AS {quote_name(column.name)}" for column in columns)
