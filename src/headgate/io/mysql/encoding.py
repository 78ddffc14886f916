"""Arrow batches as the lines that LOAD DATA reads, in bulk; every value with all its digits and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headgate.io.relational.columns import check_finite

if TYPE_CHECKING:
    import pyarrow as pa

LINES_BYTES = 16 << 20
PACKET = 1 << 20
_ESCAPES = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\x00", b"\\0"))
"""The backslash first, or the others' would be doubled."""


def packets(batch: pa.RecordBatch) -> Iterator[bytes]:
    """The lines of a batch, in parts that fit a packet."""
    for part in _slices(batch):
        data = memoryview(_lines(part))
        for start in range(0, len(data), PACKET):
            yield bytes(data[start : start + PACKET])


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Parts of a bounded size: what is built of them in memory is a few times as large."""
    rows = max(1, batch.num_rows * LINES_BYTES // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _lines(batch: pa.RecordBatch) -> bytes:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [_cells(array, field.name) for array, field in zip(batch.columns, batch.schema, strict=True)]
    rows = pc.binary_join_element_wise(*columns, pa.scalar(b"\t", pa.large_binary()))
    one = pa.LargeListArray.from_arrays(pa.array([0, len(rows)], pa.int64()), rows)
    text: Any = pc.binary_join(one, pa.scalar(b"\n", pa.large_binary()))
    return bytes(text[0].as_py()) + b"\n"


def _cells(array: Any, name: str) -> Any:
    """A column as escaped bytes; NULL is ``\\N``."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    type_ = array.type
    if t.is_boolean(type_):
        array = array.cast(pa.int8())
    elif t.is_timestamp(type_):
        array = array.cast(pa.timestamp("us", type_.tz)).cast(pa.timestamp("us"))
    elif t.is_floating(type_):
        check_finite("MySQL", array, name)
        array = array.cast(pa.float64())  # the short text of the largest FLOAT would be too large as a double
    if not (t.is_binary(type_) or t.is_large_binary(type_)):
        array = array.cast(pa.large_string())
    data = array.cast(pa.large_binary())
    if t.is_string(type_) or t.is_large_string(type_) or t.is_binary(type_) or t.is_large_binary(type_):
        for raw, escaped in _ESCAPES:
            data = pc.replace_substring(data, pattern=raw, replacement=escaped)
    return pc.fill_null(data, pa.scalar(b"\\N", pa.large_binary()))
