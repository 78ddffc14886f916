"""What a Python step gives back, held to the plan: each column of its type, and every value as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from headgate.core.errors import Code, FatalError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["nothing", "truth", "number", "text", "date", "moment", "time", "other"]
"""Bytes count as text."""
_APART: tuple[set[Kind], ...] = (
    {"truth", "number", "date", "time"},
    {"truth", "number", "moment"},
    {"number", "text"},
    {"truth", "text"},
    {"moment", "time"},
)
"""Kinds that Arrow makes of each other by another meaning: a day of its number, 7 of '007', true of 2."""


def known_types(given: pa.Schema, before: pa.Schema) -> pa.Schema:
    """The types of what a function makes of no rows; where that has none (pandas' objects), a column keeps its own."""
    import pyarrow as pa

    for place, name in enumerate(given.names):
        if pa.types.is_null(given.field(place).type) and name in before.names:
            given = given.set(place, before.field(name))
    return given


def fit(table: pa.Table, schema: pa.Schema, reference: str) -> pa.Table:
    """The rows in the planned schema.

    Raises:
        FatalError: TRANSFORMATION_FAILED for other columns, and for values that would be others in their column's type.
    """
    import pyarrow as pa

    if sorted(table.column_names) != sorted(schema.names):
        raise _refused(
            reference,
            f"it returned the columns {', '.join(table.column_names)}; planned were {', '.join(schema.names)}",
            "return the same columns for every batch, or declare columns:",
        )
    return pa.table([_fitted(table[field.name], field, reference) for field in schema], schema=schema)


def _fitted(values: Any, field: pa.Field[pa.DataType], reference: str) -> Any:
    import pyarrow as pa

    if values.type == field.type:
        return values
    what = f'the column "{field.name}" came as {values.type}; planned was {field.type}'
    pair = {_kind(values.type), _kind(field.type)}
    if len(pair) == 2 and any(pair <= apart for apart in _APART):
        raise _refused(reference, what, "return values of that type, or declare the types with columns:")
    try:
        fitted = values.cast(field.type)
        same = _unchanged(values, fitted)
    except pa.ArrowException as error:
        raise _refused(reference, f"{what}: {error}", "declare the types with columns:") from error
    if not same:
        raise _refused(reference, f"{what}, which does not hold every value", "declare the types with columns:")
    return fitted


def _unchanged(values: Any, fitted: Any) -> bool:
    """Whether numbers and moments are still what they were; the nearest FLOAT stands for a double, as always."""
    import pyarrow as pa
    import pyarrow.compute as pc

    floats = pa.types.is_floating(values.type) and pa.types.is_floating(fitted.type)
    if floats or _kind(values.type) not in ("number", "moment"):
        return True
    return bool(pc.all(pc.equal(fitted.cast(values.type, safe=False), values), min_count=0).as_py())


def _kind(type_: pa.DataType) -> Kind:
    from pyarrow import types

    if types.is_dictionary(type_):
        return _kind(type_.value_type)
    if types.is_null(type_):
        return "nothing"
    if types.is_boolean(type_):
        return "truth"
    if types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
        return "number"
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return "text"
    if types.is_binary(type_) or types.is_large_binary(type_) or types.is_binary_view(type_):
        return "text"
    if types.is_date(type_):
        return "date"
    if types.is_timestamp(type_):
        return "moment"
    return "time" if types.is_time(type_) else "other"


def _refused(reference: str, why: str, hint: str) -> FatalError:
    return FatalError(Code.TRANSFORMATION_FAILED, why, operation="transform", object=reference, hint=hint)
