"""Rows as lines of CSV, which the server writes and Arrow parses: exact, and in half of the time that binary ones take.

Of types whose text Arrow reads as what it is. Dates travel as days since 1970, moments in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.io import infinite_times
from headgate.io.ahead import Ahead
from headgate.io.postgres import wire
from headgate.io.postgres.link import hang_up
from headgate.sql.literals import quote_name

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

_EPOCH = date(1970, 1, 1).toordinal()
_PLAIN = r"^[0-9]{4}-[^B]*$"
_MOMENT = re.compile(r"(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?( BC)?")
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
"""After so many years the calendar repeats itself."""


def readable(schema: pa.Schema) -> bool:
    """Whether all columns are of types that are read this way."""
    return len(schema) > 0 and all(_is_read(field.type) for field in schema)


def _is_read(type_: pa.DataType) -> bool:
    import pyarrow.types as t

    if t.is_timestamp(type_):
        return type_.unit == "us" and type_.tz in (None, "UTC")
    kinds = (t.is_string, t.is_boolean, t.is_int16, t.is_int32, t.is_int64, t.is_float32, t.is_float64, t.is_date32)
    return any(is_kind(type_) for is_kind in kinds)


def batches(
    session: psycopg.Connection[Any], select: str, schema: pa.Schema, name: str, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """The rows of a SELECT.

    Args:
        session: in a transaction or about to begin one.
        select: of which the columns have the names of the schema.
        schema: a :func:`readable` one.
        name: of the table or query, for errors.
        batch_rows: how many rows a batch has at most.

    Raises:
        FatalError: EXTRACTION_FAILED for what Arrow cannot hold, and for errors of the server.
        RetriableError: the connection was lost, or the statement took too long.
    """
    import pyarrow as pa

    columns = ", ".join(map(_sent, schema))
    statement = f"COPY (SELECT {columns} FROM ({select}) AS selected) TO STDOUT (FORMAT csv)"
    with _explained(schema, name):
        # receiving holds Python's lock, and parsing does not
        for piece, rows in Ahead(wire.texts(session, statement, name), cancel=partial(hang_up, session)):
            for batch in parsed(piece, rows, schema, name).to_batches(batch_rows):
                arrays = [_as(array, field) for array, field in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def parsed(piece: pa.Buffer, rows: int, schema: pa.Schema, name: str) -> pa.Table:
    """Lines as the columns in which they travel.

    Raises:
        FatalError: EXTRACTION_FAILED if they are not so many ``rows``: lost ones would be lost in silence.
    """
    import pyarrow as pa
    from pyarrow import csv

    places = [str(place) for place in range(len(schema))]
    reading = csv.ReadOptions(use_threads=False, block_size=piece.size + 1, column_names=places)
    parsing = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    converting = csv.ConvertOptions(
        column_types={place: _parsed_as(field.type) for place, field in zip(places, schema, strict=True)},
        null_values=[""],
        true_values=["t"],
        false_values=["f"],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    source: Any = pa.BufferReader(piece)
    table = csv.read_csv(source, reading, parsing, converting)
    if table.num_rows != rows:
        raise FatalError(
            Code.EXTRACTION_FAILED,
            f"{rows} rows came, and {table.num_rows} were made of them",
            operation="scan",
            object=name,
            hint="read the table with a query that casts its columns, and report this",
        )
    return table


@contextmanager
def _explained(schema: pa.Schema, name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except pa.ArrowException as error:
        raise FatalError(Code.EXTRACTION_FAILED, str(error), operation="scan", object=name) from None
    except FatalError as error:
        dates = [field.name for field in schema if pa.types.is_date32(field.type)]
        if dates and "infinite dates" in error.message:
            raise infinite_times.refusal(*dates, beyond=False) from None
        raise


def _sent(field: pa.Field[Any]) -> str:
    import pyarrow.types as t

    name = quote_name(field.name)
    if t.is_date32(field.type):
        return f"{name}::date - DATE '1970-01-01'"
    if t.is_timestamp(field.type) and field.type.tz:
        return f"{name} AT TIME ZONE 'UTC'"
    return name


def _parsed_as(type_: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_date32(type_):
        return pa.int32()
    return pa.string() if pa.types.is_timestamp(type_) else type_


def _as(array: pa.Array[Any], field: pa.Field[Any]) -> pa.Array[Any]:
    import pyarrow as pa

    if pa.types.is_date32(field.type):
        return array.view(pa.date32())
    return moments(array, field) if pa.types.is_timestamp(field.type) else array


def moments(texts: pa.Array[Any], field: pa.Field[Any]) -> pa.Array[Any]:
    """Timestamps of a server in its ISO style, which goes beyond the standard's four digits for a year.

    Raises:
        FatalError: EXTRACTION_FAILED for infinity, and for what is too far away for Arrow.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pa.timestamp("us")
    try:
        return texts.cast(plain).cast(field.type)
    except pa.ArrowInvalid:
        usual: Any = pc.fill_null(pc.match_substring_regex(texts, _PLAIN), pa.scalar(True))
        far = [_microseconds(str(text), field.name) for text in texts.filter(pc.invert(usual)).to_pylist()]
        near: Any = pc.if_else(usual, texts, pa.scalar(None, pa.string())).cast(plain)
        both: pa.Array[Any] = pc.replace_with_mask(near, pc.invert(usual), pa.array(far, plain))
        return both.cast(field.type)


def _microseconds(text: str, column: str) -> int:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise infinite_times.refusal(column, beyond=True)
    year, month, day, hours, minutes, seconds = (int(part) for part in found.groups()[:6])
    year = 1 - year if found[8] else year
    within = 2000 + year % _CYCLE_YEARS  # a year of Python's that has the same days
    days = date(within, month, day).toordinal() - _EPOCH + (year - within) // _CYCLE_YEARS * _CYCLE_DAYS
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    value = whole * 10**6 + int((found[7] or "").ljust(6, "0"))
    if not -(2**63) <= value < 2**63:
        raise infinite_times.refusal(column, beyond=True)
    return value
