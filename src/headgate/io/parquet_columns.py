"""A Parquet file with other values in some of its columns, whose other columns are copied as they are.

Nothing of those is decoded, decompressed or encoded: their pages go over byte by byte, and the footer tells where they
are now. That costs a fraction of writing a wide file anew.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headgate.io import files, thrift
from headgate.io import parquet_footers as footers
from headgate.io.thrift import Field, Struct

_COPIED = 8 << 20


class FixedError(Exception):
    """The file's columns cannot be replaced one by one: the whole file is to be written anew."""


def replace_values(source: Path, target: Path, values: pa.Table) -> None:
    """Write a file with the same rows but for some values; its content is durable when this returns, its name is not.

    Args:
        target: must not exist; removed again when this fails.
        values: the number of each row that changes, from 0 on, each once and in any order, and what it has now in the
            columns that follow, all of them top-level ones of the file, and not nested.

    Raises:
        FixedError: the file has what is not copied (indexes of pages, Bloom filters, encryption), or has a column
            in a form in which it would not be written now.
    """
    columns = values.column_names[1:]
    with files.told("read", source), source.open("rb") as old:
        before = _footer(old)
        places = _places(before, columns)
        buffer = io.BytesIO()
        _encode(source, buffer, values)
        after = _footer(buffer)
        _check_alike(before, after, columns)
        with files.told("write", target):
            file = files.DurableFile(target)
            try:
                _assemble(file, old, buffer, before, after, places)
                file.commit()
            except BaseException:
                file.close()
                target.unlink(missing_ok=True)
                raise


def _footer(file: Any) -> Struct:
    try:
        return footers.read(file)[0]
    except footers.FooterError as error:
        raise FixedError(str(error)) from error


def _name(chunk: Struct) -> str:
    """The name of a top-level column that is not nested; empty for others."""
    path = chunk[footers.CHUNK_META].value[footers.PATH].value.values
    return path[0].decode() if len(path) == 1 else ""


def _places(footer: Struct, columns: Sequence[str]) -> dict[int, int]:
    """Which chunk of a row group holds which of the columns, the same in all row groups."""
    places: dict[int, int] = {}
    for group in footers.groups(footer):
        found = {}
        for place, chunk in enumerate(footers.chunks(group)):
            meta = chunk.get(footers.CHUNK_META)
            if (
                meta is None
                or footers.CHUNK_FILE in chunk
                or max(chunk) > footers.CHUNK_META
                or {footers.INDEX, footers.BLOOM} & meta.value.keys()
            ):
                raise FixedError("it has indexes of pages, Bloom filters, or columns in other files")
            if _name(chunk) in columns:
                found[place] = columns.index(_name(chunk))
        if len(found) != len(columns) or (places and found != places):
            raise FixedError("it has not all the columns, or some are nested")
        places = found
    return places


def _encode(source: Path, buffer: io.BytesIO, values: pa.Table) -> None:
    """A file in memory, of the columns that change only, with the row groups of the source."""
    columns = values.column_names[1:]
    with pq.ParquetFile(source) as reader:
        schema = pa.schema([reader.schema_arrow.field(name) for name in columns])
        sink: Any = buffer
        with pq.ParquetWriter(sink, schema, compression="zstd", store_decimal_as_integer=True) as writer:
            first = 0
            for number in range(reader.num_row_groups):
                was = reader.read_row_group(number, columns=columns, use_threads=False).select(columns)
                now = list(_changed(was, first, values))
                writer.write_table(pa.table(now, schema=schema), row_group_size=max(1, was.num_rows))
                first += was.num_rows


def _changed(was: pa.Table, first: int, values: pa.Table) -> Iterator[pa.Array[Any] | pa.ChunkedArray[Any]]:
    """The columns of a row group whose first row is the file's ``first``."""
    count = was.num_rows
    places = pc.subtract(values.column(0), pa.scalar(first, pa.int64()))
    within = pc.and_(pc.greater_equal(places, pa.scalar(0, pa.int64())), pc.less(places, pa.scalar(count, pa.int64())))
    mine = values.filter(within)
    if not mine.num_rows:
        yield from was.columns
        return
    places = places.filter(within)
    changes = pc.is_valid(_spread(places, places, count))
    for old, new in zip(was.columns, mine.columns[1:], strict=True):
        yield pc.if_else(changes, _spread(new.cast(old.type), places, count), old)


def _spread(values: pa.ChunkedArray[Any], places: pa.ChunkedArray[Any], count: int) -> pa.Array[Any]:
    """The values at their places among ``count``, NULL elsewhere."""
    spread: pa.Array[Any] = pc.scatter(  # type: ignore[attr-defined]  # newer than what is known of pyarrow's types
        values.combine_chunks(), places.combine_chunks(), max_index=count - 1
    )
    return spread


def _check_alike(before: Struct, after: Struct, columns: Sequence[str]) -> None:
    """The columns are stored as they were: type, what it means, and whether NULLs are possible."""
    old, new = _elements(before), _elements(after)
    for name in columns:
        if old[name] != new[name]:
            raise FixedError(f"its column {name} is stored in another form than it would be now")
    if len(footers.groups(before)) != len(footers.groups(after)):
        raise FixedError("it has other row groups than it would have now")


def _elements(footer: Struct) -> dict[str, Struct]:
    """How each top-level column is stored."""
    found: dict[str, Struct] = {}
    below = 0  # elements that belong to the last top-level one
    for element in footer[footers.SCHEMA].value.values[1:]:
        if below:
            below -= 1
        else:
            found[element[footers.ELEMENT_NAME].value.decode()] = element
        if footers.CHILDREN in element:
            below += element[footers.CHILDREN].value
    return found


def _assemble(
    file: files.DurableFile, old: Any, new: io.BytesIO, before: Struct, after: Struct, places: dict[int, int]
) -> None:
    file.write(footers.MAGIC)
    for mine, theirs in zip(footers.groups(before), footers.groups(after), strict=True):
        chunks, fresh = footers.chunks(mine), footers.chunks(theirs)
        for place, number in places.items():
            chunks[place] = fresh[number]
        start = file.tell()
        for place, chunk in enumerate(chunks):
            _copy(file, new if place in places else old, chunk)
        metas = [chunk[footers.CHUNK_META].value for chunk in chunks]
        mine[footers.GROUP_BYTES] = Field(thrift.I64, sum(meta[footers.UNCOMPRESSED].value for meta in metas))
        mine[footers.GROUP_START] = Field(thrift.I64, start)
        mine[footers.GROUP_COMPRESSED] = Field(thrift.I64, sum(meta[footers.COMPRESSED].value for meta in metas))
    file.write(footers.ending(before))


def _copy(file: files.DurableFile, source: Any, chunk: Struct) -> None:
    """The pages of a chunk, which is told where they are now."""
    first = footers.first_page(chunk)
    footers.move(chunk, file.tell() - first)
    left: int = chunk[footers.CHUNK_META].value[footers.COMPRESSED].value
    source.seek(first)
    while left:
        piece = source.read(min(left, _COPIED))
        if not piece:
            raise OSError(5, "the file ends within its pages")
        file.write(piece)
        left -= len(piece)
