"""Avro object container files, with Avro's logical types for decimals, dates and times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Context
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.core.errors import Code, FatalError
from headgate.io import files
from headgate.io.formats import parquet

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.io.formats import RowFile

ENDING = ".avro"
CODECS = dict.fromkeys(("deflate", "snappy", "none"), "")
DEFAULT = "deflate"
BATCH = 10_000
_CODECS = {"none": "null"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXACT = Context(prec=80)
Convert = Callable[[Any], Any]


def keeps(type_: Any) -> bool:
    """Whether every value of the type comes back as it was: Avro's whole numbers have a sign and 64 bits."""
    import pyarrow.types as t

    return parquet.keeps(type_) and not t.is_uint64(type_) and not t.is_nested(type_)


def create(path: Path, schema: pa.Schema, compression: str) -> RowFile:
    return _AvroFile(path, schema, compression)


def _library() -> Any:
    try:
        import fastavro
        import fastavro.write
    except ImportError:
        raise FatalError(
            Code.DRIVER_MISSING,
            "Avro files need the library fastavro",
            operation="stage",
            object="avro",
            hint="pip install 'headgate[avro]'",
        ) from None
    return fastavro


class _AvroFile:
    """Blocks go to the disk as they are full."""

    def __init__(self, path: Path, schema: pa.Schema, compression: str) -> None:
        library = _library()
        self.path, self.rows = path, 0
        self._columns = [
            (field.name, name, _writer(field.type)) for field, name in zip(schema, _names(schema), strict=True)
        ]
        self._buffer = BytesIO()
        with files.told("write", path):
            self._file = files.DurableFile(path)
        codec = _CODECS.get(compression, compression)
        self._writer = library.write.Writer(self._buffer, _schema(schema), codec=codec, sync_interval=256_000)

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @property
    def pending(self) -> int:
        return 0

    def write(self, batch: pa.RecordBatch) -> None:
        for at in range(0, batch.num_rows, BATCH):
            part = batch.slice(at, BATCH)
            columns = [map(convert, _plain(part.column(name))) for name, _, convert in self._columns]
            names = [name for _, name, _ in self._columns]
            for values in zip(*columns, strict=True):
                self._writer.write(dict(zip(names, values, strict=True)))
            self._pass_on()
        self.rows += batch.num_rows

    def _pass_on(self) -> None:
        with files.told("write", self.path):
            self._file.write(self._buffer.getbuffer())
        self._buffer.seek(0)
        self._buffer.truncate()

    def close(self) -> None:
        if not self._file.closed:
            self._writer.flush()
            self._pass_on()
            with files.told("write", self.path):
                self._file.commit()

    def abort(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


def read(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with path.open("rb") as file:
        rows = _library().reader(file)
        named = {field.get("doc") or field["name"]: field["name"] for field in rows.writer_schema["fields"]}
        there = [field for field in schema if field.name in named]
        converts = [(named[field.name], _reader(field.type)) for field in there]
        held: list[dict[str, Any]] = []

        def batch() -> pa.RecordBatch:
            arrays = [
                pa.array([None if row[name] is None else convert(row[name]) for row in held], field.type)
                for field, (name, convert) in zip(there, converts, strict=True)
            ]
            return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(there))

        for row in rows:
            held.append(row)
            if len(held) >= BATCH:
                yield batch()
                held = []
        yield batch()


def _names(schema: pa.Schema) -> list[str]:
    """Names that Avro allows; columns called otherwise are told in ``doc``."""
    return [name if _NAME.fullmatch(name) else f"column_{at}__" for at, name in enumerate(schema.names)]


def _schema(schema: pa.Schema) -> dict[str, Any]:
    fields = []
    for field, name in zip(schema, _names(schema), strict=True):
        entry: dict[str, Any] = {"name": name, "type": ["null", _type(field.type)]}
        fields.append(entry if name == field.name else {**entry, "doc": field.name})
    return {"type": "record", "name": "row", "fields": fields}


def _type(type_: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as t

    if isinstance(type_, pa.Decimal128Type):
        return {"type": "bytes", "logicalType": "decimal", "precision": type_.precision, "scale": type_.scale}
    if t.is_timestamp(type_):
        return {"type": "long", "logicalType": f"{'' if type_.tz else 'local-'}timestamp-micros"}
    plain: list[tuple[Callable[[Any], bool], Any]] = [
        (t.is_boolean, "boolean"),
        (t.is_float32, "float"),
        (t.is_float64, "double"),
        (t.is_binary, "bytes"),
        (t.is_string, "string"),
        (t.is_date, {"type": "int", "logicalType": "date"}),
        (t.is_time, {"type": "long", "logicalType": "time-micros"}),
        (lambda kind: t.is_integer(kind) and kind.bit_width <= 32 and not t.is_uint32(kind), "int"),
        (t.is_integer, "long"),
    ]
    return next(name for fits, name in plain if fits(type_))


def _plain(column: Any) -> list[Any]:
    """Values for the writer; times as whole microseconds, which is exact and needs no zone."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_timestamp(column.type) or t.is_time(column.type):
        column = column.view(pa.int64())
    elif t.is_date(column.type):
        column = column.view(pa.int32())
    values: list[Any] = column.to_pylist()
    return values


def _writer(type_: Any) -> Convert:
    import pyarrow as pa

    return partial(_unscaled, type_.scale) if isinstance(type_, pa.Decimal128Type) else _same


def _unscaled(scale: int, value: Any) -> bytes | None:
    if value is None:
        return None
    number = int(value.scaleb(scale, _EXACT))
    return number.to_bytes((number.bit_length() + 8) // 8, "big", signed=True)


def _same(value: Any) -> Any:
    return value


def _reader(type_: Any) -> Convert:
    import pyarrow.types as t

    if t.is_timestamp(type_) and type_.tz is None:
        return _naive
    return _same


def _naive(value: datetime | int) -> Any:
    """Local times come as times of UTC from some versions of the library, which would be moved otherwise."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value
