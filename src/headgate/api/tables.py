"""Tables of a project, as Arrow, Polars or pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl
    import pyarrow as pa

Reading = Callable[[str], AbstractContextManager["pa.RecordBatchReader"]]


@dataclass(frozen=True)
class Table:
    """A table at one version. Nothing is read before one of the methods is called, and nothing is kept after."""

    name: str
    at: str | None = None
    connection: str | None = None
    _reading: Reading = field(repr=False, kw_only=True)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as they are read, a batch at a time, for tables larger than memory."""
        with self._reading(self._everything) as reader:
            yield from reader

    def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return self.sql(self._everything)

    def to_polars(self) -> pl.DataFrame:
        """All rows as a Polars frame. Raises DRIVER_MISSING without Polars."""
        try:
            import polars
        except ImportError:
            raise _missing("polars") from None
        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a pandas frame. Raises DRIVER_MISSING without pandas."""
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise _missing("pandas") from None
        return self.to_arrow().to_pandas()

    def sql(self, query: str) -> pa.Table:
        """The result of one SELECT over this table and its neighbours, each by its own name, as an Arrow table."""
        with self._reading(query) as reader:
            return reader.read_all()

    def __len__(self) -> int:
        """How many rows there are."""
        count: Any = self.sql(f"SELECT COUNT(*) AS n FROM {self._quoted}").column("n")[0].as_py()
        return int(count)

    @property
    def _everything(self) -> str:
        return f"SELECT * FROM {self._quoted}"

    @property
    def _quoted(self) -> str:
        from headgate.sql.literals import quote_name

        return ".".join(quote_name(part) for part in self.name.split("."))


def _missing(library: str) -> FatalError:
    return FatalError(
        Code.DRIVER_MISSING,
        f"{library} is not installed",
        operation="table",
        object=library,
        hint=f"pip install 'headgate[{library}]'",
    )
