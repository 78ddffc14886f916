"""Dates and moments without end, which databases have and Arrow has not: it would hand them on as finite ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import pyarrow as pa


def check(array: pa.Array[Any], column: str, earliest: tuple[int, int] | None = None) -> None:
    """Raise EXTRACTION_FAILED for infinity, as it comes from a database: the first or last number that there is.

    Args:
        array: of any type; only dates and timestamps have infinity.
        column: its name, for the error.
        earliest: the first day and the first moment that the database has, in days and in the array's unit: where a
            driver's arithmetic wraps around, what is before them was infinity, or beyond the year 294246.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    days = pa.types.is_date32(array.type)
    if not days and not pa.types.is_timestamp(array.type):
        return
    last = 2**31 - 1 if days else 2**63 - 1
    first = -last + 1 if earliest is None else earliest[0 if days else 1]
    found: Any = pc.min_max(array.cast(pa.int32() if days else pa.int64())).as_py()
    if found["min"] is not None and (found["min"] < first or found["max"] == last):
        raise refusal(column, beyond=not days)


def refusal(*columns: str, beyond: bool) -> FatalError:
    """The error for columns of which one holds infinity, or (``beyond``) a time that Arrow cannot count to."""
    which = " or ".join(f'"{column}"' for column in columns)
    finite = " and ".join(f"isfinite({quote_name(column)})" for column in columns)
    return FatalError(
        Code.EXTRACTION_FAILED,
        f"column {which} holds infinity{', or a time beyond the year 294246' if beyond else ''}, which Arrow cannot"
        " hold",
        operation="scan",
        object=columns[0],
        hint=f"leave such rows out (where: {finite}), or read a query that casts the column to text",
    )
