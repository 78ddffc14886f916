"""Rows that MySQL leaves out: how it compares a column's values, and counts what it left out in the same statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headgate.core.errors import Code, FatalError
from headgate.io.relational.columns import ReadColumn
from headgate.io.relational.reader import select_list
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

COUNT = "_hg_left_"
_FIRST, _LAST = "1000-01-01", "9999-12-31"
"""What MySQL promises to know of dates; others are in it, and are left to the engine."""


def value(column: ReadColumn) -> str | None:
    """SQL for a value in its true type. Floats have none: the text that one is sent as decides what it is."""
    match column.kind:
        case "int" | "text":
            return column.expression
        case "decimal" | "date" | "timestamp":
            return quote_name(column.name)
        case _:
            return quote_name(column.name) if column.cast == "BOOLEAN" else None


def sound(column: ReadColumn) -> str | None:
    """True for values that the engine's cast takes: no 0000-00-00, no 31st of February, no time beyond the day."""
    name = quote_name(column.name)
    match column.cast:
        case "DATE":
            return (
                f"{name} IS NULL OR ({name} BETWEEN '{_FIRST}' AND '{_LAST}' AND FROM_DAYS(TO_DAYS({name})) = {name})"
            )
        case "TIMESTAMP" | "TIMESTAMPTZ":
            within = f"{name} BETWEEN '{_FIRST}' AND '{_LAST} 23:59:59.999999'"
            return f"{name} IS NULL OR ({within} AND FROM_DAYS(TO_DAYS({name})) = DATE({name}))"
        case "TIME":
            return f"{name} IS NULL OR {name} BETWEEN '00:00:00' AND '23:59:59.999999'"
        case "BOOLEAN":
            return f"{name} IS NULL OR {name} IN (0, 1)"
        case _:
            return None


def with_counts(
    select: str, counting: Sequence[str], rest: str, columns: Sequence[ReadColumn]
) -> tuple[str, list[ReadColumn]]:
    """The SELECT and one row more, whose last columns are the counts, as one statement; and all its columns.

    In that row the others are NULL, each in its own type: a plain NULL would make UNSIGNED decimals of whole numbers.
    """
    import pyarrow as pa

    added = [ReadColumn(f"{COUNT}{number}", "CAST(NULL AS SIGNED)", pa.int64()) for number, _ in enumerate(counting)]
    empty = [f"max(CASE WHEN 1 = 0 THEN {column.expression} END)" for column in columns]
    listed = select_list(columns)
    assert select.startswith(f"SELECT {listed} ")
    rows = f"SELECT {listed}, {select_list(added)} {select.removeprefix(f'SELECT {listed} ')}"
    return f"{rows} UNION ALL SELECT {', '.join([*empty, *counting])} {rest}", [*columns, *added]


def without_counts(rows: pa.RecordBatchReader, width: int, counts: list[int]) -> pa.RecordBatchReader:
    """The rows in their first ``width`` columns; the counts go into the list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = pa.schema(list(rows.schema)[:width])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            told = batch.column(width).is_valid()
            if pc.any(told).as_py():
                (row,) = batch.filter(told).select(list(range(width, batch.num_columns))).to_pylist()
                counts.extend(row.values())
                batch = batch.filter(batch.column(width).is_null())
            if batch.num_rows:
                yield batch.select(list(range(width)))
        if not counts:
            raise FatalError(
                Code.EXTRACTION_FAILED,
                "the server did not tell how many rows it left out",
                operation="scan",
                hint="say engine: duckdb",
            )

    return pa.RecordBatchReader.from_batches(schema, batches())
