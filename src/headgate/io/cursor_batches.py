"""The Arrow side of cursor windows: which rows of a batch are new, with hashes only where rows may come twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from headgate.io.cursor_values import Kind, Value, coerce, encode, row_hash

if TYPE_CHECKING:
    from headgate.io.cursor import Bound
    from headgate.io.cursor_delivery import Delivery

Marks = dict[int, tuple[str | None, str]]
"""(cursor text, hash of the key) by row number."""


def cursor_array(array: Any, kind: Kind, column: str) -> Any:
    """The cursor's values as ``kind``; text that a source delivers for another type is read."""
    if _is_native(array.type, kind):
        return _wide(array) if kind == "decimal" else array
    values = [None if value is None else coerce(value, kind, column) for value in array.to_pylist()]
    types: dict[Kind, pa.DataType] = {
        "int": pa.int64(),
        "float": pa.float64(),
        "text": pa.string(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", "UTC"),
    }
    if kind != "decimal":
        return pa.array(values, types[kind])
    if not any(value is not None for value in values):
        return pa.nulls(len(values), pa.decimal256(1, 0))
    return _wide(pa.array(values))


def _wide(array: Any) -> Any:
    """Decimals with room for a common scale: Arrow compares them only if that fits."""
    return array.cast(pa.decimal256(array.type.precision, array.type.scale))


def _is_native(type_: Any, kind: Kind) -> bool:
    match kind:
        case "int":
            return pa.types.is_integer(type_)
        case "decimal":
            return pa.types.is_decimal(type_)
        case "float":
            return pa.types.is_floating(type_)
        case "text":
            return pa.types.is_string(type_) or pa.types.is_large_string(type_)
        case "date":
            return pa.types.is_date(type_)
        case _:
            return pa.types.is_timestamp(type_) and (type_.tz is not None) == (kind == "timestamptz")


def filter_batch(delivery: Delivery, batch: pa.RecordBatch, limit: int | None) -> pa.RecordBatch:
    """The rows of a batch that are in the window and were not delivered before, at most ``limit`` of them."""
    cursor = delivery.cursor
    values = cursor_array(batch.column(cursor.options.column), cursor.kind, cursor.options.column)
    delivery.scanned += batch.num_rows
    if values.null_count and cursor.options.nulls == "fail":
        raise cursor.null_cursor(values.null_count)
    high = _last_of(delivery, values) if delivery.window.high.get("open") else cursor.high(delivery.window)
    inside = _between(values, cursor.bound, high)
    if cursor.options.nulls == "include":
        inside = pc.or_(inside, pc.is_null(values))
    met = pc.indices_nonzero(inside)
    marks: Marks = {}
    if cursor.seen:
        before = pc.or_(_between(values, None, cursor.value), pc.is_null(values))
        _mark(delivery, batch, values, pc.indices_nonzero(pc.and_(inside, before)), marks)
    if limit is None:
        known = [row for row, (text, hash_) in marks.items() if not delivery.is_new(text, hash_)]
    else:
        met, known = _up_to(delivery, met, marks, limit)
    _remember(delivery, batch, values, met, marks)
    fresh = met.filter(pc.invert(pc.is_in(met, value_set=pa.array(known, met.type)))) if known else met
    return batch if len(fresh) == batch.num_rows else batch.take(fresh)


def _up_to(delivery: Delivery, met: Any, marks: Marks, limit: int) -> tuple[Any, list[int]]:
    """The rows met until ``limit`` new ones are there, and those of them that are known."""
    taken, known = 0, []
    for place, row in enumerate(met.to_pylist()):
        if row in marks and not delivery.is_new(*marks[row]):
            known.append(row)
        elif taken == limit:
            delivery.cut()
            return met.slice(0, place), known
        else:
            taken += 1
    if delivery.scanned >= (delivery.cursor.rows_to_ask() or 0):
        delivery.cut()  # the source's own LIMIT may have left rows behind
    return met, known


def _last_of(delivery: Delivery, values: Any) -> Value | None:
    """The end of a batch of a window that has none: what comes is what there is, but for what lies in the future."""
    highest: Value | None = pc.max(values).as_py()
    come = delivery.come
    if highest is None or come is None:
        return highest
    ahead = pc.greater(values, _scalar(come, values.type))
    delivery.ahead += pc.sum(ahead).as_py() or 0
    return come


def _between(values: Any, bound: Bound | None, high: Value | None) -> Any:
    """A mask of the rows after ``bound`` and up to ``high``, without NULLs; no row if there is no ``high``."""
    if high is None:
        return pc.and_(pc.is_null(values), pc.is_valid(values))
    inside = pc.less_equal(values, _scalar(high, values.type))
    if bound is not None:
        compare = pc.greater_equal if bound.inclusive else pc.greater
        inside = pc.and_(inside, compare(values, _scalar(bound.value, values.type)))
    return pc.fill_null(inside, False)


def _scalar(value: Value, type_: Any) -> Any:
    """A value to compare with an array; a bound from the configuration may not fit its type."""
    try:
        return pa.scalar(value, type_)
    except (pa.ArrowInvalid, OverflowError):
        return pa.scalar(value)


def _mark(delivery: Delivery, batch: pa.RecordBatch, values: Any, rows: Any, marks: Marks) -> None:
    """Add the marks of some rows."""
    missing = [row for row in rows.to_pylist() if row not in marks]
    if not missing:
        return
    kind, column = delivery.cursor.kind, delivery.cursor.options.column
    some = pa.array(missing, pa.uint64())
    keys: list[Any] = [batch.column(name).take(some).to_pylist() for name in delivery.key]
    for row, value, *key in zip(missing, values.take(some).to_pylist(), *keys, strict=True):
        marks[row] = (None if value is None else encode(value, kind, column), row_hash(key))


def _remember(delivery: Delivery, batch: pa.RecordBatch, values: Any, met: Any, marks: Marks) -> None:
    """Keep the marks of the rows that the next run will meet again."""
    if not len(met):
        return
    found = values.take(met)
    highest = pc.max(found).as_py()
    if highest is not None:
        delivery.reached(coerce(highest, delivery.cursor.kind, delivery.cursor.options.column))
    again = pc.or_(_between(found, delivery.next_bound(), highest), pc.is_null(found))
    rows = met.filter(again)
    _mark(delivery, batch, values, rows, marks)
    delivery.keep(marks[row] for row in rows.to_pylist())
