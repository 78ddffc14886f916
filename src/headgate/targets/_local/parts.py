"""Parts of a table as folders, ``column=value`` as Hive, Spark and DuckDB name them; ``column_month=2024-01`` by time.

The files keep the column, so each is whole by itself. Rows without a value lie in a part of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from headgate.core.contracts import Partitioning
from headgate.core.errors import Code, FatalError

if TYPE_CHECKING:
    import pyarrow as pa

LIMIT = 1_000
"""Parts that one run may write: more is a wrong column rather than a wish."""
NULL = "__HIVE_DEFAULT_PARTITION__"
LONGEST = 120
_FORMATS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def check(partitioning: Partitioning | None, schema: pa.Schema, table: str) -> None:
    """Raise UNSUPPORTED for a column of which no name of a folder can be made."""
    import pyarrow.types as t

    if partitioning is None:
        return
    type_ = next(field.type for field in schema if field.name.lower() == partitioning.column.lower())
    timed = t.is_date(type_) or t.is_timestamp(type_)
    if t.is_nested(type_) or t.is_binary(type_) or (partitioning.by != "value" and not timed):
        raise FatalError(
            Code.UNSUPPORTED,
            f'column "{partitioning.column}" is {type_}, so that it gives no folders by {partitioning.by}',
            operation="stage",
            object=table,
            hint="by: day, month and year need a date or a time; by: value a single value",
        )


def split(rows: pa.RecordBatch, partitioning: Partitioning | None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows by the folder that they lie in, ``""`` for the table's own."""
    if partitioning is None:
        yield "", rows
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    column = rows.column(partitioning.column)
    if partitioning.by != "value":
        column = pc.strftime(column, _FORMATS[partitioning.by])
    codes: Any = pc.dictionary_encode(column, null_encoding="encode")
    for number, value in enumerate(codes.dictionary):
        chosen = rows.filter(pc.equal(codes.indices, pa.scalar(number, codes.indices.type)))
        yield folder(partitioning, value), chosen


def folder(partitioning: Partitioning, value: Any) -> str:
    """The name for an Arrow scalar."""
    import pyarrow as pa

    by = "" if partitioning.by == "value" else f"_{partitioning.by}"
    name = quote(f"{partitioning.column}{by}", safe=" ")
    if not value.is_valid:
        return f"{name}={NULL}"
    text = value.cast(pa.string()).as_py()
    if text == NULL:
        return f"{name}=%5F{text[1:]}"
    quoted = quote(text, safe=" +,@~")
    if len(quoted) > LONGEST:
        quoted = f"{quoted[:LONGEST].rsplit('%', 1)[0]}~{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return f"{name}={quoted}"
