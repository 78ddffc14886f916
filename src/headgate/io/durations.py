"""SQL's INTERVAL in Parquet, which has no such type: a struct of its three numbers, exact, and back again.

An interval may stand anywhere within lists and structs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = ("_hg_months", "_hg_days", "_hg_nanoseconds")


def stored(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch as Parquet can keep it."""
    return _mapped(batch, _has_interval, _as_struct)


def restored(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch that ``stored`` was given."""
    return _mapped(batch, _is_stored, _as_interval)


def _mapped(batch: pa.RecordBatch, wanted: Callable[[Any], bool], change: Callable[[Any], Any]) -> pa.RecordBatch:
    import pyarrow as pa

    if not any(_within(field.type, wanted) for field in batch.schema):
        return batch
    columns = [_changed(column, wanted, change) for column in batch.columns]
    fields = [field.with_type(column.type) for field, column in zip(batch.schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _within(kind: pa.DataType, wanted: Callable[[Any], bool]) -> bool:
    return wanted(kind) or any(_within(kind.field(at).type, wanted) for at in range(kind.num_fields))


def _changed(array: Any, wanted: Callable[[Any], bool], change: Callable[[Any], Any]) -> Any:
    import pyarrow as pa

    kind = array.type
    if not _within(kind, wanted):
        return array
    if wanted(kind):
        return change(array)
    if pa.types.is_fixed_size_list(kind):
        array = array.cast(pa.list_(kind.value_type))
    array = _copied(array)
    gone = array.is_null()
    if pa.types.is_struct(kind):
        fields = [_changed(array.field(at), wanted, change) for at in range(kind.num_fields)]
        return pa.StructArray.from_arrays(fields, names=[field.name for field in kind], mask=gone)
    if pa.types.is_map(kind):
        keys, items = (_changed(part, wanted, change) for part in (array.keys, array.items))
        return pa.MapArray.from_arrays(array.offsets, keys, items, mask=gone)
    maker = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    return maker.from_arrays(array.offsets, _changed(array.values, wanted, change), mask=gone)


def _copied(array: Any) -> Any:
    """The same values from their own beginning: masks are for arrays that are no slices."""
    import pyarrow as pa

    return array.take(pa.array(range(len(array)), pa.int64()))


def _as_struct(array: Any) -> Any:
    import pyarrow as pa

    values = array.to_pylist()
    kinds = (pa.int32(), pa.int32(), pa.int64())
    parts = [pa.array([value and value[at] for value in values], kind) for at, kind in enumerate(kinds)]
    return pa.StructArray.from_arrays(parts, names=list(PARTS), mask=array.is_null())


def _as_interval(array: Any) -> Any:
    import pyarrow as pa

    parts = zip(*(array.field(at).to_pylist() for at in range(len(PARTS))), strict=True)
    made: Any = pa.MonthDayNano  # a struct sequence, whatever its stub says
    values = [made(each) if each[0] is not None else None for each in parts]
    return pa.array(values, pa.month_day_nano_interval())


def _has_interval(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return kind == pa.month_day_nano_interval()


def _is_stored(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_struct(kind) and tuple(field.name for field in kind) == PARTS
