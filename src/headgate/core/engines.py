"""The contracts of what computes: engines, their sessions, and the binder that finds types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headgate.core.contracts import Scan

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """A column of a plan: name and SQL type name."""

    name: str
    type: str


class BindingError(Exception):
    """SQL that does not bind: ``message`` for people, ``candidates`` as the binder names them."""

    def __init__(self, message: str, missing: str = "", candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message, self.missing, self.candidates = message, missing, tuple(candidates)


class TypeBinder(Protocol):
    """Finds types and unknown columns on empty tables; reads no data."""

    def columns(self, schema: pa.Schema) -> tuple[Column, ...]: ...

    def bind(self, sql: str, relations: Mapping[str, Sequence[Column]]) -> tuple[Column, ...]:
        """The columns that ``sql`` gives over empty ``relations``. Raises :class:`BindingError`."""

    def arrow(self, columns: Sequence[Column]) -> pa.Schema:
        """The Arrow schema in which an engine delivers such columns."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Rejected:
    """A line of a file that could not be read into its columns."""

    path: str
    line: int
    text: str
    reason: str


class EngineSession(Protocol):
    """One run's computing: bounded memory, spilling into the run's folder, no access to anything not registered.

    ``discreet``: its errors tell no values of rows.
    """

    discreet: bool

    def register(self, name: str, scan: Scan) -> None:
        """Give a relation a name. Batches can be scanned once; files and materialised relations any number of times."""

    def materialise(self, name: str, scan: Scan) -> None:
        """Give a relation a name that can be scanned any number of times (spills if large)."""

    def define(self, name: str, sql: str) -> None:
        """Give a SELECT over relations that can be scanned again a name."""

    def stream(self, sql: str, batch_rows: int) -> pa.RecordBatchReader:
        """Run one SELECT; batches come as they are computed."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one SELECT that gives few rows."""

    def rejected(self) -> Iterable[Rejected]:
        """Lines that file scans could not read, once their stream has ended; each line once."""

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class Engine(Protocol):
    name: str

    def binder(self) -> TypeBinder: ...

    def session(self, workdir: Path, *, memory: int | None, threads: int | None, paths: Sequence[str]) -> EngineSession:
        """``paths``: the only files and folders that file scans may read."""
