"""Loads as plain JSON: what staged work that outlives its process must remember of them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from headgate.core.contracts import Between, History, Load, Partitioning, Rescue

if TYPE_CHECKING:
    import pyarrow as pa


def document(load: Load) -> dict[str, Any]:
    """Everything of a load but its connector's options."""
    between = load.between
    return {
        "table": load.table,
        "mode": load.mode,
        "schema": encode_schema(load.schema),
        "keys": list(load.keys),
        "create": load.create,
        "evolve": load.evolve,
        "replaces": load.replaces,
        "partition": list(load.partition),
        "between": [between.column, _encode(between.start), _encode(between.end)] if between else None,
        "marker": load.marker,
        "delete_missing": load.delete_missing,
        "history": asdict(load.history) if load.history else None,
        "moment": _encode(load.moment) if load.moment is not None else None,
        "rescue": asdict(load.rescue) if load.rescue else None,
        "partitioning": asdict(load.partitioning) if load.partitioning else None,
    }


def load_of(document_: Mapping[str, Any]) -> Load:
    """The load that :func:`document` wrote; what an earlier version did not write has its default."""
    found = dict(document_)
    between, history, moment = found.get("between"), found.get("history"), found.get("moment")
    found |= {
        "schema": decode_schema(found["schema"]),
        "keys": tuple(found["keys"]),
        "partition": tuple(found.get("partition") or ()),
        "between": Between(between[0], _decode(between[1]), _decode(between[2])) if between else None,
        "history": History(**{**history, "track": tuple(history["track"])}) if history else None,
        "moment": _decode(moment) if moment else None,
        "rescue": Rescue(**found["rescue"]) if found.get("rescue") else None,
        "partitioning": Partitioning(**found["partitioning"]) if found.get("partitioning") else None,
    }
    return Load(**found)


def encode_schema(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def decode_schema(text: str) -> pa.Schema:
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def _encode(value: pa.Scalar[Any]) -> str:
    """A scalar with its exact type, as a stream of one row."""
    import pyarrow as pa

    array: Any = pa.array([value.as_py()], value.type)
    batch = pa.RecordBatch.from_arrays([array], names=["v"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def _decode(text: str) -> pa.Scalar[Any]:
    import pyarrow as pa

    with pa.ipc.open_stream(pa.py_buffer(base64.b64decode(text))) as reader:
        found: pa.Scalar[Any] = reader.read_next_batch().column(0)[0]
        return found


def respelled(load: Load, names: Sequence[str]) -> Load:
    """The load with its columns called as the table calls them; ``names`` are in the schema's order."""
    import pyarrow as pa

    if list(names) == load.schema.names:
        return load
    new = {old.lower(): name for old, name in zip(load.schema.names, names, strict=True)}

    def many(columns: Sequence[str]) -> tuple[str, ...]:
        return tuple(new[column.lower()] for column in columns)

    history = load.history
    return replace(
        load,
        schema=pa.schema([field.with_name(name) for field, name in zip(load.schema, names, strict=True)]),
        keys=many(load.keys),
        partition=many(load.partition),
        between=replace(load.between, column=new[load.between.column.lower()]) if load.between else None,
        history=_history(history, many) if history else None,
    )


def _history(history: History, many: Callable[[Sequence[str]], tuple[str, ...]]) -> History:
    since, until, current, version = many(history.columns)
    return History(since, until, current, version, many(history.track))
