"""Footers of Parquet files as structures, for files whose pages are put together from those of others.

Pages are copied as they are; what changes is where the footer says that they lie.
"""

from __future__ import annotations

import os
import struct
from typing import Any

from headgate.io import thrift
from headgate.io.thrift import Field, Items, Struct

MAGIC = b"PAR1"

# Numbers of fields in parquet.thrift.
SCHEMA, ROWS, GROUPS, ENCRYPTION, SIGNATURE = 2, 3, 4, 8, 9  # FileMetaData
ELEMENT_NAME, CHILDREN = 4, 5  # SchemaElement
CHUNKS, GROUP_BYTES, GROUP_START, GROUP_COMPRESSED, GROUP_NUMBER = 1, 2, 5, 6, 7  # RowGroup
CHUNK_FILE, CHUNK_OFFSET, CHUNK_META = 1, 2, 3  # ColumnChunk; from 4 on: indexes of pages, encryption
PATH, UNCOMPRESSED, COMPRESSED, DATA, INDEX, DICTIONARY, BLOOM = 3, 6, 7, 9, 10, 11, 14  # ColumnMetaData


class FooterError(Exception):
    """There is no footer that could be read and written again."""


def read(file: Any) -> tuple[Struct, int]:
    """The footer of a file that is open for reading, and where it begins. Raises FooterError."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 8))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length > end - 8:
        raise FooterError("the file does not end as a Parquet file that is not encrypted")
    file.seek(end - 8 - length)
    try:
        footer = thrift.read(file.read(length))
    except thrift.MalformedError as error:
        raise FooterError(f"its footer cannot be read: {error}") from error
    if not {SCHEMA, GROUPS} <= footer.keys() or {ENCRYPTION, SIGNATURE} & footer.keys():
        raise FooterError("it is signed or encrypted, or has no rows")
    return footer, end - 8 - length


def ending(footer: Struct) -> bytes:
    """What stands at the end of a file, after its pages."""
    written = thrift.write(footer)
    return written + struct.pack("<I", len(written)) + MAGIC


def groups(footer: Struct) -> list[Struct]:
    found: list[Struct] = footer[GROUPS].value.values
    return found


def chunks(group: Struct) -> list[Struct]:
    found: list[Struct] = group[CHUNKS].value.values
    return found


def first_page(chunk: Struct) -> int:
    """Where the pages of a chunk begin."""
    meta: Struct = chunk[CHUNK_META].value
    return int(min(meta[field].value for field in (DATA, DICTIONARY) if field in meta))


def move(chunk: Struct, shift: int) -> None:
    """Tell a chunk that its pages lie so many bytes behind where they were."""
    meta: Struct = chunk[CHUNK_META].value
    for field in (DATA, DICTIONARY):
        if field in meta:
            meta[field].value += shift
    chunk[CHUNK_OFFSET] = Field(thrift.I64, 0)  # long obsolete, and wrong elsewhere


class Joined:
    """The footer of a file that is put together from others of the same schema, their pages one after another."""

    def __init__(self) -> None:
        self._footer: Struct = {}
        self._groups: list[bytes] = []
        self._rows = self.files = 0

    def add(self, footer: Struct, shift: int) -> None:
        """A file's row groups, whose pages lie so many bytes behind where they were."""
        self._footer = self._footer or footer
        self._rows += footer[ROWS].value
        self.files += 1
        for group in groups(footer):
            for chunk in chunks(group):
                move(chunk, shift)
            if GROUP_START in group:
                group[GROUP_START].value += shift
            group.pop(GROUP_NUMBER, None)  # optional, and of 16 bits
            self._groups.append(thrift.write(group))

    def ending(self) -> bytes:
        """What stands at the end of the file."""
        groups = Field(thrift.LIST, Items(thrift.STRUCT, list(self._groups)))
        return ending({**self._footer, ROWS: Field(thrift.I64, self._rows), GROUPS: groups})
