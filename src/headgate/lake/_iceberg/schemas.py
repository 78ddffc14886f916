"""How a load's columns meet a table's: which are cast, which are added, which are missing, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from headgate.core.contracts import Load
from headgate.core.errors import Code, FatalError, nearest
from headgate.io.merging import KEYED
from headgate.lake._iceberg import types
from headgate.lake._iceberg.metadata import TableState

_DIGITS = {pa.int32(): 10, pa.int64(): 19}


@dataclass(frozen=True)
class SchemaPlan:
    """The table's schema after the load.

    Args:
        document: Iceberg's JSON of it.
        changed: it differs from the table's present one.
        columns: the table's columns in order, with field ids: what data files hold.
        names: the load's spelling of each table column that it has, by the table's spelling.
        last_id: the highest field id ever given out.
    """

    document: dict[str, Any]
    changed: bool
    columns: pa.Schema
    names: dict[str, str]
    last_id: int

    @property
    def missing(self) -> list[str]:
        """Columns of the table that the load does not have."""
        return [name for name in self.columns.names if name not in self.names]

    @property
    def loaded(self) -> pa.Schema:
        """The load's columns, as the table spells and types them."""
        return pa.schema([field for field in self.columns if field.name in self.names])

    def spelling(self, name: str) -> str:
        """The table's spelling of one of the load's columns."""
        return next((ours for ours in self.columns.names if ours.lower() == name.lower()), name)


def plan(load: Load, state: TableState | None) -> SchemaPlan:
    """Bring a load and a table (None: to be created) together.

    Raises:
        FatalError: UNSUPPORTED for types that Iceberg cannot hold, SCHEMA_MISMATCH for columns that do not fit.
    """
    fields = types.storage(load.columns, load.table)
    _check_keys(load)
    if state is None:
        ids = itertools.count(1)
        document = {"type": "struct", "schema-id": 0, "fields": _fresh(fields, ids)}
        return _plan(document, True, {field.name: field.name for field in fields}, next(ids) - 1)
    return _evolved(load, state, fields)


def _fresh(fields: list[pa.Field[Any]], ids: Iterator[int]) -> list[types.Json]:
    return [types.field_to_json(field.name, field.type, ids) for field in fields]


def _plan(document: types.Json, changed: bool, names: dict[str, str], last_id: int) -> SchemaPlan:
    return SchemaPlan(document, changed, types.arrow_schema(document), names, last_id)


def _evolved(load: Load, state: TableState, fields: list[pa.Field[Any]]) -> SchemaPlan:
    present = {field["name"].lower(): field for field in state.schema["fields"]}
    ids = itertools.count(state.document["last-column-id"] + 1)
    promoted: dict[str, str] = {}
    added: list[pa.Field[Any]] = []
    names: dict[str, str] = {}
    for field in fields:
        there = present.get(field.name.lower())
        if there is None:
            added.append(field)
            names[field.name] = field.name
            continue
        names[there["name"]] = field.name
        wider = _meet(load, there, field)
        if wider:
            promoted[there["name"]] = wider
    _check_evolution(load, added, promoted)
    kept = [{**field, "type": promoted.get(field["name"], field["type"])} for field in state.schema["fields"]]
    absent = [field["name"] for field in kept if field["required"] and field["name"] not in names]
    if absent:
        raise _mismatch(load, f'column "{absent[0]}" may not be NULL, and the rows do not have it', "add the column")
    if not added and not promoted:
        return _plan(state.schema, False, names, state.document["last-column-id"])
    number = max(schema.get("schema-id", 0) for schema in state.document["schemas"]) + 1
    document = {**state.schema, "schema-id": number, "fields": [*kept, *_fresh(added, ids)]}
    return _plan(document, True, names, next(ids) - 1)


def _meet(load: Load, there: types.Json, field: pa.Field[Any]) -> str | None:
    """The wider Iceberg type that the column must get; None if the rows fit as it is."""
    old = types.plain(types.from_json(there["type"]))
    new = types.plain(field.type)
    if old.equals(new) or fits(new, old):
        return None
    promotion = {("int", pa.int64()): "long", ("float", pa.float64()): "double"}.get((str(there["type"]), new))
    if promotion:
        return promotion
    if isinstance(old, pa.Decimal128Type) and isinstance(new, pa.Decimal128Type) and old.scale == new.scale:
        return f"decimal({new.precision}, {new.scale})"
    raise _mismatch(
        load,
        f'column "{there["name"]}" is {types.sql_name(old)} in the table, and the rows bring {types.sql_name(new)}',
        f"cast it to {types.sql_name(old)}, or write to another table",
    )


def fits(narrow: pa.DataType, wide: pa.DataType) -> bool:
    """Every value of ``narrow`` is a value of ``wide``."""
    if isinstance(wide, pa.Decimal128Type):
        if isinstance(narrow, pa.Decimal128Type):
            return bool(narrow.scale <= wide.scale and narrow.precision - narrow.scale <= wide.precision - wide.scale)
        return narrow in _DIGITS and _DIGITS[narrow] <= wide.precision - wide.scale
    return (narrow, wide) in {
        (pa.int32(), pa.int64()),
        (pa.int32(), pa.float64()),
        (pa.float32(), pa.float64()),
    }


def _check_evolution(load: Load, added: list[pa.Field[Any]], promoted: dict[str, str]) -> None:
    if load.evolve or not (added or promoted):
        return
    what = f'column "{added[0].name}" ({added[0].type}) is new' if added else ""
    what = what or "column " + ", ".join(f'"{name}" would become {type_}' for name, type_ in promoted.items())
    raise _mismatch(load, f"{what}, and the table is frozen", "set evolve: evolve, or leave the column out")


def _check_keys(load: Load) -> None:
    if load.mode in KEYED and not load.keys:
        raise FatalError(
            Code.CONFIG_INVALID,
            f"{load.mode} needs keys",
            operation="stage",
            object=load.table,
            hint="name the columns that identify a row under keys:",
        )
    known = {name.lower() for name in load.schema.names}
    for key in load.keys:
        if key.lower() not in known:
            raise FatalError(
                Code.CONFIG_INVALID,
                f'the key "{key}" is not a column of the rows',
                operation="stage",
                object=load.table,
                hint=nearest(key, load.schema.names),
            )


def _mismatch(load: Load, message: str, hint: str) -> FatalError:
    return FatalError(Code.SCHEMA_MISMATCH, message, operation="stage", object=load.table, hint=hint)


def holds(columns: pa.Schema, staged: pa.Schema) -> bool:
    """Files written with ``staged`` belong under ``columns``: the same names, ids and types, and maybe more."""
    for field in staged:
        position = columns.get_field_index(field.name)
        if position < 0 or not columns.field(position).equals(field, check_metadata=True):
            return False
    return True


def fit(batch: pa.RecordBatch, plan_: SchemaPlan, columns: pa.Schema) -> pa.RecordBatch:
    """A load's batch as ``columns`` of the table: cast exactly, absent columns NULL."""
    arrays: list[pa.Array[Any]] = []
    for field in columns:
        name = plan_.names.get(field.name, field.name)  # the marker has no name in the table
        if name not in batch.schema.names:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        arrays.append(cast(batch.column(batch.schema.get_field_index(name)), field, plan_))
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def cast(array: pa.Array[Any], field: pa.Field[Any], plan_: SchemaPlan | None = None) -> pa.Array[Any]:
    """An array in a field's type, without loss."""
    if array.type.equals(field.type, check_metadata=True):
        return array
    try:
        return array.cast(field.type, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise FatalError(
            Code.LOAD_EXECUTION_FAILED,
            f'column "{field.name}": {error}',
            operation="stage",
            object=field.name if plan_ is None else plan_.names[field.name],
            hint=f"cast the column to {types.plain(field.type)} before it is loaded",
        ) from error
