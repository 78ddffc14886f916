"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.io.formats import RowFile

ENDING = ".parquet"
CODECS = dict.fromkeys(("zstd", "snappy", "gzip", "brotli", "lz4", "none"), "")
DEFAULT = "zstd"


def keeps(type_: Any) -> bool:
    """Whether every value of the type comes back as it was."""
    import pyarrow as pa
    import pyarrow.types as t

    if isinstance(type_, pa.ListType):
        return keeps(type_.value_type)
    if isinstance(type_, pa.StructType):
        return type_.num_fields > 0 and all(keeps(type_.field(at).type) for at in range(type_.num_fields))
    if isinstance(type_, pa.MapType):
        return keeps(type_.key_type) and keeps(type_.item_type)
    if t.is_timestamp(type_):
        return bool(type_.unit == "us")
    return bool(
        t.is_boolean(type_)
        or t.is_integer(type_)
        or t.is_float32(type_)
        or t.is_float64(type_)
        or t.is_decimal128(type_)
        or t.is_string(type_)
        or t.is_binary(type_)
        or t.is_date32(type_)
        or (t.is_time64(type_) and type_ == pa.time64("us"))
    )


def create(path: Path, schema: pa.Schema, compression: str) -> RowFile:
    from headgate.io.parquet import Compression, ParquetFile

    return ParquetFile(path, schema, compression=cast("Compression", compression))


def read(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        there = set(file.schema_arrow.names)
        names = [name for name in schema.names if name in there]
        for batch in file.iter_batches():  # all columns: names that have dots would be taken for paths
            yield batch.select(names)
