"""JSON files, one object a line. What JSON has no exact form for is text: decimals, dates, times, bytes, infinity."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.io import files
from headgate.io.formats import _text, parquet
from headgate.sql.literals import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from headgate.io.formats import RowFile

ENDING = ".jsonl"
CODECS = _text.CODECS
DEFAULT = "none"
LINES = 20_000
_WHOLE = ("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint")
_NUMBERS = (*_WHOLE, "float", "double")


def keeps(type_: Any) -> bool:
    """Whether every value of the type comes back as it was: NaN and infinity are text, which lists do not have."""
    import pyarrow.types as t

    return parquet.keeps(type_) and not (t.is_nested(type_) and _has_floats(type_))


def _has_floats(type_: Any) -> bool:
    import pyarrow.types as t

    if t.is_nested(type_):
        return any(_has_floats(type_.field(at).type) for at in range(type_.num_fields))
    return bool(t.is_floating(type_) or t.is_binary(type_))


def create(path: Path, schema: pa.Schema, compression: str) -> RowFile:
    return _JsonFile(path, schema, compression)


class _Codec:
    """Rows to lines and back, by an engine of its own that reaches no file."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        from headgate.io import embedded

        connection = duckdb.connect(":memory:", config={"threads": 1})
        embedded.settings(connection)
        embedded.seal(connection)
        return connection

    @cached_property
    def columns(self) -> list[tuple[str, Any]]:
        relation = self.connection.from_arrow(self.schema.empty_table())
        return list(zip(relation.columns, relation.types, strict=True))

    def lines(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        parts = ", ".join(f"{quote_name(name)} := {_written(name, type_)}" for name, type_ in self.columns)
        self.connection.register("t", batch)
        query = f"SELECT CAST(to_json(struct_pack({parts})) AS VARCHAR) FROM t"
        for (line,) in self.connection.execute(query).fetchall():
            yield line.encode()

    def rows(self, lines: pa.Table) -> pa.Table:
        structure = json.dumps({name: _structure(type_) for name, type_ in self.columns})
        casts = ", ".join(f"{_read(name, type_)} AS {quote_name(name)}" for name, type_ in self.columns)
        self.connection.register("l", lines)
        query = f"SELECT {casts} FROM (SELECT from_json_strict(line, {quote_text(structure)}) AS r FROM l)"
        found: pa.Table = self.connection.sql(query).to_arrow_table()
        return found.cast(self.schema)


def _written(name: str, type_: Any) -> str:
    quoted = quote_name(name)
    if str(type_.id) in ("float", "double"):
        return f"CASE WHEN isfinite({quoted}) THEN to_json({quoted}) ELSE to_json(CAST({quoted} AS VARCHAR)) END"
    if str(type_.id) == "blob":
        return f"base64({quoted})"
    return f"CAST({quoted} AS {_plain(type_)})"


def _read(name: str, type_: Any) -> str:
    quoted = f"r.{quote_name(name)}"
    return f"from_base64({quoted})" if str(type_.id) == "blob" else f"CAST({quoted} AS {type_})"


def _plain(type_: Any) -> str:
    """The type as JSON holds it."""
    match str(type_.id):
        case "list":
            return f"{_plain(type_.children[0][1])}[]"
        case "struct":
            return "STRUCT(" + ", ".join(f"{quote_name(name)} {_plain(inner)}" for name, inner in type_.children) + ")"
        case "map":
            return f"MAP({_plain(type_.children[0][1])}, {_plain(type_.children[1][1])})"
        case "boolean":
            return "BOOLEAN"
        case kind:
            return str(type_) if kind in _NUMBERS else "VARCHAR"


def _structure(type_: Any) -> Any:
    """The same, as the engine's functions for JSON want to be told."""
    match str(type_.id):
        case "list":
            return [_structure(type_.children[0][1])]
        case "struct":
            return {name: _structure(inner) for name, inner in type_.children}
        case "float" | "double":
            return "VARCHAR"
        case _:
            return _plain(type_)


class _JsonFile(_text.TextFile):
    def __init__(self, path: Path, schema: pa.Schema, compression: str) -> None:
        super().__init__(path, compression)
        self._codec = _Codec(schema)

    def write(self, batch: pa.RecordBatch) -> None:
        with files.told("write", self.path):
            for at in range(0, batch.num_rows, LINES):
                part = batch.slice(at, LINES)
                self.sink.write(b"\n".join((*self._codec.lines(part), b"")))
        self.rows += batch.num_rows


def read(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    codec: _Codec | None = None
    with _text.opened(path) as stream:
        for lines in _split(stream):
            if codec is None:
                there = json.loads(lines[0])
                codec = _Codec(pa.schema([field for field in schema if field.name in there]))
            table = pa.table({"line": pa.array([line.decode() for line in lines], pa.string())})
            yield from codec.rows(table).combine_chunks().to_batches()


def _split(stream: Any) -> Iterator[list[bytes]]:
    """Lines, some thousand at a time."""
    left, found = b"", []
    while data := stream.read(_text.BLOCK):
        *whole, left = (left + data).split(b"\n")
        found += whole
        while len(found) >= LINES:
            yield found[:LINES]
            found = found[LINES:]
    found += [left] if left else []
    if found:
        yield found
