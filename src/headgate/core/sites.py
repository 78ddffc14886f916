"""Contracts of systems that can be worked in: a plan brings the work to the rows, and bytes travel undecoded.

A source or a store offers them beside its ordinary contract; what it does not offer is done by the engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from headgate.core.contracts import ReadContext, Window
from headgate.core.models import ReadOptions

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE = "source"
"""What statements for an outlet call the rows of its window."""


@dataclass(frozen=True)
class Site:
    """Where rows lie or go, for a plan that would bring the work there.

    Args:
        dialect: the SQL that is spoken there, whose binary format streams have.
        place: names the database and who is logged in; equal places are one.
        columns: of a source: those that can be worked with there.
        obstacle: why no work can be brought there now; empty if it can.
        encoding: of a source's texts, whose bytes are in another order than their code points; empty if they are not.
    """

    dialect: str = ""
    place: str = ""
    columns: frozenset[str] = field(default_factory=frozenset)
    obstacle: str = ""
    encoding: str = ""


@runtime_checkable
class Outlet(Protocol):
    """An open read whose rows leave as bytes, in the format of their server, out of one snapshot.

    Statements read the relation :data:`SOURCE`: the window's rows, each column in its true type. A value that an
    engine could not hold makes them fail, unless a condition of theirs drops its row, or nothing looks at its column.
    """

    @property
    def forms(self) -> Mapping[str, frozenset[str]]:
        """For a column of SOURCE, as it is written in SQL, the types in whose binary form it leaves without a cast."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one SELECT that gives few rows."""

    def batches(self, sql: str, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of one SELECT, whose columns have the types of the schema."""

    def stream(self, sql: str) -> Iterator[memoryview]:
        """The rows of one SELECT in the server's binary format, in pieces of whole messages of its protocol."""

    def cancel(self) -> None:
        """Make a stream that is read in another thread end soon, with an error; of no other use afterwards."""

    def statement(self, sql: str) -> str:
        """The SELECT, with what the relation is, for another session of the same database."""

    def position(self) -> Mapping[str, Any]:
        """The final position of the window."""

    def close(self) -> None: ...


@runtime_checkable
class SitedSource(Protocol):
    """A source whose server computes, and hands rows out as bytes."""

    def site(self, read: ReadOptions, context: ReadContext, since: Mapping[str, Any] | None) -> Site: ...

    def outlet(
        self,
        read: ReadOptions,
        context: ReadContext,
        window: Window,
        columns: Sequence[str],
        looked_at: Collection[str] | None = None,
    ) -> Outlet:
        """Open a read of these columns (none: of all).

        ``looked_at``: those by whose values something is decided; None: all. Values of others are not proved.
        """


@runtime_checkable
class Intake(Protocol):
    """A writer that also takes bytes as its server understands them, and looks at what it took before the commit."""

    def types(self) -> Mapping[str, str]:
        """Column to the SQL type in which its values must arrive, in the order in which they must."""

    def take(self, pieces: Iterator[memoryview]) -> int:
        """Take what an outlet of the same kind of server streams; how many rows that were."""

    def insert(self, select: str, counting: str) -> tuple[int, tuple[Any, ...]]:
        """Take the rows of a SELECT in this database; how many, and the one row of ``counting`` (unless empty).

        Both see the same snapshot.
        """

    def rows(self, sql: str, relation: str) -> list[tuple[Any, ...]]:
        """Run one SELECT over the rows that were taken, which it knows as ``relation``."""


@runtime_checkable
class SitedStore(Protocol):
    """A store whose writers are intakes."""

    def site(self) -> Site: ...


@runtime_checkable
class ForeseeingStore(Protocol):
    """A store that can tell beforehand what would keep a table from being written."""

    def foresee(self, table: str, *, create: bool) -> None:
        """Raise FatalError if the table cannot be written, or (``create``) made; nothing is."""


@runtime_checkable
class KeyedStore(Protocol):
    """A store that can be asked for single values."""

    def values(
        self, table: str, keys: Sequence[str], wanted: Sequence[tuple[str, ...]], column: str
    ) -> Mapping[tuple[str, ...], str | None]:
        """The column's value for each key that is there; keys and values are text."""
