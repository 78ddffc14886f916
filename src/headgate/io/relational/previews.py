"""A table as it will be after the commit, read in the session that publishes: rules of ``stage: load`` look at it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Scan, SourceSchema
from headgate.io.relational.columns import ReadColumn
from headgate.io.relational.merging import stays
from headgate.io.relational.staging import Place, Session, Showing, Spelling, StagedTable
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 50_000
"""Rows of a batch."""


@dataclass(frozen=True)
class Part:
    """Rows of a table, or those for which a condition holds. The table is called ``kept`` in it."""

    place: Place
    condition: str = ""


def parts(backend: Spelling[Any], session: Session, staged: StagedTable) -> list[Part]:
    """What an append, an upsert or a replacement that is still to be done will leave: staged rows, and rows that stay.

    Only the latter can be changed by others meanwhile, and they are read by one statement.
    """
    there = session.find(staged.load.table)
    found = [Part(staged.stage)]
    if there is not None and not staged.load.whole:
        found.append(Part(there, stays(backend, staged)))
    return found


def show(
    backend: Showing[Any], session: Session, shown: Sequence[Part], columns: Sequence[str], until: ExitStack
) -> Scan:
    """Columns of the parts, one part after the other; a column that a part lacks is NULL. ``until`` ends it."""
    import pyarrow as pa

    read = [_read(backend, session, part, columns) for part in shown]
    types = [_common([found[number] for found in read]) for number in range(len(columns))]
    schema = pa.schema([pa.field(name, type_) for name, type_ in zip(columns, types, strict=True)])

    def batches() -> Generator[pa.RecordBatch, None, None]:
        for part, found in zip(shown, read, strict=True):
            with closing(backend.rows(session, _select(backend, part, found), found, ROWS, part.place[1])) as rows:
                for batch in rows:
                    arrays = [_as(array, field.type) for array, field in zip(batch.columns, schema, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    running = batches()
    until.callback(running.close)
    return Scan(SourceSchema(schema), pa.RecordBatchReader.from_batches(schema, running), close=until.close)


def _as(array: Any, type_: Any) -> Any:
    import pyarrow as pa

    if array.null_count == len(array):  # of what a part lacks, whose type has no cast to every other
        return pa.nulls(len(array), type_)
    return array if array.type == type_ else array.cast(type_)


def _read(backend: Showing[Any], session: Session, part: Part, columns: Sequence[str]) -> list[ReadColumn]:
    import pyarrow as pa

    there = backend.read_columns(session, part.place)
    known = {column.name.lower(): column for column in there} | {column.name: column for column in there}
    missing = ReadColumn("", _MISSING, pa.string())
    found = [known.get(name) or known.get(name.lower()) or missing for name in columns]
    return [replace(column, name=name) for column, name in zip(found, columns, strict=True)]


_MISSING = "NULL"


def _common(read: Sequence[ReadColumn]) -> pa.DataType:
    """The type in which the parts show a column: text where theirs differ, which whoever looks casts anyway."""
    import pyarrow as pa

    types = {column.arrow for column in read if column.expression != _MISSING}
    return types.pop() if len(types) == 1 else pa.string()


def _select(backend: Spelling[Any], part: Part, columns: Sequence[ReadColumn]) -> str:
    listed = ", ".join(f"{column.expression} AS {quote_name(column.name)}" for column in columns)
    where = f" WHERE {part.condition}" if part.condition else ""
    return f"SELECT {listed} FROM {backend.quoted(part.place)} kept{where}"
