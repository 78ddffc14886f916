"""CSV files: UTF-8 with a header, comma and ``"``; NULL is an empty field, an empty text ``""``, bytes are base64."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from headgate.io import files, iso_times
from headgate.io.formats import _text, parquet

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.io.formats import RowFile

ENDING = ".csv"
CODECS = _text.CODECS
DEFAULT = "none"


def keeps(type_: Any) -> bool:
    """Whether every value of the type comes back as it was: single values do, lists and records have no cell."""
    import pyarrow.types as t

    return parquet.keeps(type_) and not t.is_nested(type_)


def create(path: Path, schema: pa.Schema, compression: str) -> RowFile:
    return _CsvFile(path, schema, compression)


class _CsvFile(_text.TextFile):
    def __init__(self, path: Path, schema: pa.Schema, compression: str) -> None:
        super().__init__(path, compression)
        self._schema = _as_text(schema)
        self._begun = False

    def write(self, batch: pa.RecordBatch) -> None:
        import pyarrow.csv as pc

        for field in self._schema:
            iso_times.check(batch.column(field.name), field.name, "CSV")
        rows = _converted(batch, self._schema, _encoded)
        with files.told("write", self.path):
            pc.write_csv(rows, self.sink, pc.WriteOptions(include_header=not self._begun))
        self._begun = True
        self.rows += batch.num_rows

    def close(self) -> None:
        if not self._begun and not self._file.closed:
            self.write(_empty(self._schema))
        super().close()


def read(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv as pc

    plain = _as_text(schema)
    convert = pc.ConvertOptions(
        column_types={field.name: field.type for field in plain},
        null_values=[""],
        true_values=["true"],
        false_values=["false"],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        timestamp_parsers=cast("Any", [pc.ISO8601]),
    )
    # a single empty cell is an empty line; a record may have line breaks, and must fit into a block
    parse = pc.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    block = min(max(_text.BLOCK, path.stat().st_size), _LARGEST) if path.suffix == ENDING else _LARGEST
    with _text.opened(path) as stream:
        reader = pc.open_csv(stream, pc.ReadOptions(use_threads=False, block_size=block), parse, convert)
        there = [field for field in schema if field.name in reader.schema.names]
        for batch in reader:
            yield _converted(batch, pa.schema(there), _decoded)


_LARGEST = 64 << 20


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _as_text(schema: pa.Schema) -> pa.Schema:
    """The schema with bytes as text."""
    import pyarrow as pa

    return pa.schema([field.with_type(pa.string()) if pa.types.is_binary(field.type) else field for field in schema])


def _converted(batch: pa.RecordBatch, schema: pa.Schema, bytes_: Any) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = []
    for field in schema:
        column = batch.column(field.name)
        arrays.append(column if column.type == field.type else pa.array(map(bytes_, column.to_pylist()), field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _encoded(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _decoded(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)
