"""Types: what Iceberg holds exactly, what is widened without loss, and what is refused.

Widened exactly: int8, int16, uint8, uint16 → int; uint32 → long; uint64 → decimal(20, 0); half → float; seconds and
milliseconds → microseconds; any named time zone → UTC (the instant stays, the zone's name does not). Refused: ns
timestamps, intervals, durations, decimals beyond 38 digits or with a negative scale, dictionaries, unions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from headgate.core.errors import Code, FatalError

ID = b"PARQUET:field_id"
Json = dict[str, Any]

_NAMES: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "timestamp_ns": pa.timestamp("ns"),
    "timestamptz_ns": pa.timestamp("ns", "UTC"),
    "string": pa.string(),
    "uuid": pa.binary(16),
    "binary": pa.binary(),
}
_TYPES = {type_: name for name, type_ in _NAMES.items() if name not in {"uuid", "timestamp_ns", "timestamptz_ns"}}
_WIDENED: dict[pa.DataType, pa.DataType] = {
    pa.int8(): pa.int32(),
    pa.int16(): pa.int32(),
    pa.uint8(): pa.int32(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.time32("s"): pa.time64("us"),
    pa.time32("ms"): pa.time64("us"),
}


class UnstorableError(Exception):
    """A type that Iceberg cannot hold; ``instead`` is what to cast to."""

    def __init__(self, type_: pa.DataType, instead: str) -> None:
        super().__init__(str(type_))
        self.type, self.instead = type_, instead


def stored(type_: pa.DataType) -> pa.DataType:
    """The Arrow type in which a column of ``type_`` is stored. Raises :class:`UnstorableError`."""
    if type_ in _TYPES:
        return type_
    if type_ in _WIDENED:
        return _WIDENED[type_]
    if isinstance(type_, pa.TimestampType) and type_.unit != "ns":
        return pa.timestamp("us", "UTC" if type_.tz else None)
    if isinstance(type_, pa.Decimal128Type) and 0 <= type_.scale <= type_.precision:
        return type_
    if isinstance(type_, pa.FixedSizeBinaryType):
        return type_
    if isinstance(type_, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return pa.list_(pa.field("element", stored(type_.value_type)))
    if isinstance(type_, pa.StructType) and type_.num_fields:
        return pa.struct([pa.field(field.name, stored(field.type)) for field in type_])
    if isinstance(type_, pa.MapType):
        return pa.map_(stored(type_.key_type), stored(type_.item_type))
    raise UnstorableError(type_, _instead(type_))


def _instead(type_: pa.DataType) -> str:
    if isinstance(type_, pa.TimestampType):
        return "TIMESTAMP (microseconds)"
    if isinstance(type_, pa.Time64Type):
        return "TIME (microseconds)"
    if isinstance(type_, pa.Decimal128Type | pa.Decimal256Type):
        return "DECIMAL(38, s) with 0 <= s"
    if type_ == pa.month_day_nano_interval() or isinstance(type_, pa.DurationType):
        return "BIGINT (a number of microseconds or months) or VARCHAR"
    if type_ == pa.date64():
        return "DATE"
    return "VARCHAR"


def storage(schema: pa.Schema, table: str) -> list[pa.Field[Any]]:
    """The columns as they are stored. Raises UNSUPPORTED with column, type and what to cast it to."""
    seen: dict[str, str] = {}
    fields = []
    for field in schema:
        if (twin := seen.setdefault(field.name.lower(), field.name)) != field.name or not field.name:
            raise _unsupported(table, f'columns "{twin}" and "{field.name}" differ in case only', "rename one of them")
        try:
            fields.append(pa.field(field.name, stored(field.type)))
        except UnstorableError as error:
            raise _unsupported(
                table,
                f'column "{field.name}": Iceberg has no type for {error.type}',
                f"cast it to {error.instead}, e.g. with a cast step",
            ) from None
    if not fields or len({field.name for field in fields}) < len(fields):
        raise _unsupported(table, "the rows have no columns or one name twice", "give each column a name of its own")
    return fields


def _unsupported(table: str, message: str, hint: str) -> FatalError:
    return FatalError(Code.UNSUPPORTED, message, operation="stage", object=table, hint=hint)


# ------------------------------------------------------------------------------------------- Iceberg's JSON


def from_json(type_: str | Json) -> pa.DataType:
    """The Arrow type of an Iceberg type; nested fields carry their ids."""
    if isinstance(type_, str):
        return _primitive(type_)
    match type_["type"]:
        case "struct":
            return pa.struct([field_from_json(field) for field in type_["fields"]])
        case "list":
            return pa.list_(_field("element", type_["element"], type_["element-id"], not type_["element-required"]))
        case "map":
            key = _field("key", type_["key"], type_["key-id"], False)
            value = _field("value", type_["value"], type_["value-id"], not type_["value-required"])
            return _map(key, value)
        case other:
            raise _unreadable(str(other))


def _map(key: Any, value: Any) -> pa.DataType:
    made: pa.DataType = pa.map_(key, value)  # it takes fields as well as types
    return made


def _primitive(name: str) -> pa.DataType:
    if name in _NAMES:
        return _NAMES[name]
    if found := re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", name):
        return pa.decimal128(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"fixed\[(\d+)\]", name):
        return pa.binary(int(found[1]))
    raise _unreadable(name)


def _unreadable(name: str) -> FatalError:
    return FatalError(
        Code.UNSUPPORTED, f'the Iceberg type "{name}" is not known here', operation="read", hint="leave the column out"
    )


def _field(name: str, type_: str | Json, id_: int, nullable: bool) -> pa.Field[Any]:
    return pa.field(name, from_json(type_), nullable=nullable, metadata={ID: str(id_).encode()})


def field_from_json(field: Json) -> pa.Field[Any]:
    return _field(field["name"], field["type"], field["id"], not field["required"])


def arrow_schema(schema: Json) -> pa.Schema:
    """The Arrow schema of an Iceberg schema, with field ids."""
    return pa.schema([field_from_json(field) for field in schema["fields"]])


def without_ids(schema: pa.Schema) -> pa.Schema:
    """The schema as readers see it: no metadata at any depth."""
    return pa.schema([pa.field(field.name, plain(field.type), field.nullable) for field in schema])


def plain(type_: pa.DataType) -> pa.DataType:
    """The type without metadata in its nested fields."""
    if isinstance(type_, pa.ListType):
        item = type_.value_field
        return pa.list_(pa.field("element", plain(item.type), item.nullable))
    if isinstance(type_, pa.StructType):
        return pa.struct([pa.field(field.name, plain(field.type), field.nullable) for field in type_])
    if isinstance(type_, pa.MapType):
        item = type_.item_field
        return _map(pa.field("key", plain(type_.key_type), False), pa.field("value", plain(item.type), item.nullable))
    return type_


def to_json(type_: pa.DataType, ids: Iterator[int]) -> str | Json:
    """The Iceberg type of a stored Arrow type; nested fields get fresh ids."""
    if type_ in _TYPES:
        return _TYPES[type_]
    if isinstance(type_, pa.Decimal128Type):
        return f"decimal({type_.precision}, {type_.scale})"
    if isinstance(type_, pa.FixedSizeBinaryType):
        return f"fixed[{type_.byte_width}]"
    if isinstance(type_, pa.ListType):
        id_ = next(ids)
        element = to_json(type_.value_type, ids)
        return {"type": "list", "element-id": id_, "element-required": False, "element": element}
    if isinstance(type_, pa.MapType):
        key_id, value_id = next(ids), next(ids)
        key, value = to_json(type_.key_type, ids), to_json(type_.item_type, ids)
        return {
            "type": "map",
            "key-id": key_id,
            "key": key,
            "value-id": value_id,
            "value-required": False,
            "value": value,
        }
    assert isinstance(type_, pa.StructType), f"{type_} is not a stored type"
    return {"type": "struct", "fields": [field_to_json(field.name, field.type, ids) for field in type_]}


def field_to_json(name: str, type_: pa.DataType, ids: Iterator[int]) -> Json:
    id_ = next(ids)
    return {"id": id_, "name": name, "required": False, "type": to_json(type_, ids)}


_SQL_NAMES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.date32(): "DATE",
    pa.time64("us"): "TIME",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
}


def sql_name(type_: pa.DataType) -> str:
    """The type in the words of casts and plans; nested ones in Arrow's."""
    if isinstance(type_, pa.Decimal128Type):
        return f"DECIMAL({type_.precision}, {type_.scale})"
    return _SQL_NAMES.get(type_, str(type_))
