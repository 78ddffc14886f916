"""Rows as Python has them, dicts or Arrow, made into batches of one schema; what does not fit is named by its row."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST = 1.0
"""Seconds that a row waits for others: a slow function is heard of, and can be interrupted, at least so often."""


class Rows:
    """Makes batches of one schema from whatever the function yields, and says which row does not fit."""

    def __init__(self, name: str, schema: pa.Schema, size: int) -> None:
        self._name, self._schema, self._size = name, schema, size
        self._row = 0

    def batches(self, items: Iterable[Any]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        waiting: list[Mapping[str, Any]] = []
        began = time.monotonic()
        for item in items:
            if isinstance(item, pa.RecordBatch | pa.Table):
                yield from self._of_dicts(waiting)
                waiting = []
                yield from self._of_arrow(item)
                continue
            for row in _dicts(item, self._name):
                waiting.append(row)
                if len(waiting) >= self._size or time.monotonic() - began > LONGEST:
                    yield from self._of_dicts(waiting)
                    waiting, began = [], time.monotonic()
        yield from self._of_dicts(waiting)

    def _of_dicts(self, rows: list[Mapping[str, Any]]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        if not rows:
            return
        known = set(self._schema.names)
        for at, row in enumerate(rows):
            if not row.keys() <= known:
                unknown = sorted(map(str, row.keys() - known))[0]
                raise self._misfit(at, unknown, "is not a column", f"columns: {', '.join(self._schema.names)}")
        arrays: list[Any] = []
        for field in self._schema:
            values = [row.get(field.name) for row in rows]
            try:
                arrays.append(_array(values, field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
                raise self._find_misfit(field, values) from None
        self._row += len(rows)
        yield pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _of_arrow(self, given: pa.RecordBatch | pa.Table) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        table = pa.Table.from_batches([given]) if isinstance(given, pa.RecordBatch) else given
        if set(table.column_names) != set(self._schema.names):
            names = ", ".join(table.column_names)
            raise self._misfit(0, names, "are the columns of a batch", f"columns: {', '.join(self._schema.names)}")
        columns: list[Any] = []
        for field in self._schema:
            try:
                columns.append(table[field.name].cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                what = f"is {table[field.name].type} in a batch, and not all of it fits {field.type}: {error}"
                raise self._misfit(0, field.name, what, "declare columns: with types that hold all rows") from None
        self._row += table.num_rows
        yield from pa.Table.from_arrays(columns, schema=self._schema).to_batches(max_chunksize=self._size)

    def _find_misfit(self, field: pa.Field[Any], values: list[Any]) -> FatalError:
        import pyarrow as pa

        for at, value in enumerate(values):
            try:
                _array([value], field.type)
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
                what = f"is {value!r:.60}, which does not fit {field.type}"
                return self._misfit(at, field.name, what, "declare columns: with types that hold all rows")
        return self._misfit(0, field.name, f"does not fit {field.type}", "declare columns:")

    def _misfit(self, at: int, column: str, what: str, hint: str) -> FatalError:
        return FatalError(
            Code.EXTRACTION_FAILED,
            f"row {self._row + at + 1}: {column} {what}",
            operation="scan",
            object=self._name,
            hint=hint,
        )


def _array(values: list[Any], type_: Any) -> Any:
    """An array of exactly ``type_``: pyarrow would take truth for numbers and numbers for truth."""
    import pyarrow as pa

    whole = pa.types.is_integer(type_)
    if whole or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        for value in values:
            if isinstance(value, bool) or (whole and value is not None and not isinstance(value, int)):
                raise pa.ArrowInvalid("not a number of this kind")
    return pa.array(values, type_)


def _dicts(item: Any, name: str) -> Iterable[Mapping[str, Any]]:
    if isinstance(item, Mapping):
        return (item,)
    if isinstance(item, list | tuple) and all(isinstance(row, Mapping) for row in item):
        return item
    raise FatalError(
        Code.EXTRACTION_FAILED,
        f"it yielded {kind_of(item)}",
        operation="scan",
        object=name,
        hint="yield dicts, lists of dicts, or Arrow batches",
    )


def infer(seen: list[Any], name: str) -> pa.Schema:
    """The schema of the first items: keys in order of appearance, types that hold all their values."""
    import pyarrow as pa

    arrow = next((item for item in seen if isinstance(item, pa.RecordBatch | pa.Table)), None)
    if arrow is not None:
        fields: list[pa.Field[Any]] = [pa.field(f.name, wire_type(f.type)) for f in arrow.schema]
        return pa.schema(fields)
    rows = [row for item in seen for row in _dicts(item, name)]
    names = list(dict.fromkeys(key for row in rows for key in row))
    if not names or not all(isinstance(key, str) for key in names):
        raise FatalError(
            Code.EXTRACTION_FAILED,
            "it yielded no rows, so its columns are unknown" if not names else "a key is not text",
            operation="scan",
            object=name,
            hint="declare columns: with names and SQL types",
        )
    fields = []
    for key in names:
        values = [row.get(key) for row in rows]
        try:
            fields.append(pa.field(key, wire_type(pa.array(values).type)))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            raise FatalError(
                Code.EXTRACTION_FAILED,
                f"the values of {key} have no common type: {error}",
                operation="scan",
                object=name,
                hint=f"yield one type for {key}, or declare columns: {{{key}: …}}",
            ) from None
    return pa.schema(fields)


def wire_type(type_: Any) -> Any:
    """The type in which values of a type travel: text for none at all, decimals with all the room there is."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_null(type_) or t.is_large_string(type_) or t.is_string_view(type_):
        return pa.string()
    if t.is_large_binary(type_) or t.is_fixed_size_binary(type_) or t.is_binary_view(type_):
        return pa.binary()
    if t.is_dictionary(type_):
        return wire_type(type_.value_type)
    if t.is_decimal(type_):
        return pa.decimal128(38, max(0, type_.scale))
    if t.is_timestamp(type_):
        return pa.timestamp("us", "UTC" if type_.tz else None)
    if t.is_time(type_):
        return pa.time64("us")
    if t.is_date(type_):
        return pa.date32()
    if t.is_float16(type_):
        return pa.float32()
    return type_


def kind_of(value: Any) -> str:
    """A value's type in a sentence."""
    return "nothing" if value is None else f"a {type(value).__name__}"
