"""A query's stream together with the project that is open for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headgate.execute.workspace import Workspace
from headgate.queries import tables

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def reading(
    load: Callable[[], Workspace], sql: str, at: str | None, connection: str | None
) -> Iterator[pa.RecordBatchReader]:
    """The result of one SELECT, while the body runs."""
    with load() as workspace, tables.reading(workspace, sql, at=at, connection=connection) as reader:
        yield reader
