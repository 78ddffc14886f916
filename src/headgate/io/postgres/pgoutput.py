"""What PostgreSQL's plug-in ``pgoutput`` says of a transaction, as rows: the server's binary messages, version 1.

The format is that of the chapter "Logical Replication Message Formats" of PostgreSQL's manual. Values are text, as the
server writes them; a large value that an update left alone is not sent, and stands here as :data:`UNCHANGED`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from headgate.core.errors import Code, FatalError

Value = bytes | None | Literal[False]
UNCHANGED: Final = False
"""A value that the server did not send, because the update left it alone."""

Kind = Literal["insert", "update", "delete"]
SHORT: Final = b"t\0\0\0"
"""What stands before a text of less than 256 bytes and its length: no text has zeros in it, so nothing else is it.

A message with as many of these as its row has columns, behind its first eight bytes, has short texts only.
"""
HEAD = 8
"""Bytes of a message about one row before its first value."""
_LENGTH = struct.Struct(">i")
_SHORT = struct.Struct(">h")
_BEGIN = struct.Struct(">qqi")
_COMMIT = struct.Struct(">Bqqq")
_NULL, _TEXT, _SAME = ord("n"), ord("t"), ord("u")
_INSERT, _UPDATE, _NEW, _TRUNCATE = ord("I"), ord("U"), ord("N"), ord("T")
RELATION: Final = ord("R")
"""The first byte of a message that describes a table."""
_ROWS = frozenset(b"IUD")


@dataclass(frozen=True)
class Described:
    """A table as the stream announces it: it may change in mid-stream."""

    oid: int
    columns: tuple[str, ...]
    types: tuple[int, ...]
    keys: tuple[int, ...]


@dataclass(slots=True)
class Change:
    """One change. ``new`` and ``old`` are values in the order of ``table``; ``old`` only where the server sends it.

    Args:
        kind: what was done.
        size: bytes of its message.
    """

    kind: Kind
    table: Described
    new: list[Value] | None
    old: list[Value] | None
    size: int


class Decoder:
    """Turns messages into changes.

    Args:
        low: changes of transactions whose commit begins before it are left out.
    """

    def __init__(self, low: int = 0) -> None:
        self._tables: dict[int, Described] = {}
        self._low = low
        self.skipping = False
        """Whether the transaction that is being told is left out."""
        self.end = 0
        """Where the last commit that was seen ends."""

    def read(self, data: bytes) -> Change | None:
        """The change that a message tells; None if it tells of something else, or of one that is left out.

        Raises FatalError for messages that version 1 of the protocol does not have.
        """
        kind = data[0]
        if kind not in _ROWS:
            self._learn(data)
            return None
        if self.skipping:
            return None
        table = self._tables[_LENGTH.unpack_from(data, 1)[0]]
        if kind == _INSERT:
            return Change("insert", table, _values(data, 6)[0], None, len(data))
        if kind != _UPDATE:
            return Change("delete", table, None, _values(data, 6)[0], len(data))
        old, place = (None, 5) if data[5] == _NEW else _values(data, 6)
        return Change("update", table, _values(data, place + 1)[0], old, len(data))

    def _learn(self, data: bytes) -> None:
        match data[:1]:
            case b"B":
                self.skipping = _BEGIN.unpack_from(data, 1)[0] < self._low
            case b"C":
                self.end = _COMMIT.unpack_from(data, 1)[2]
            case b"R":
                described = _described(data)
                self._tables[described.oid] = described
            case b"T" | b"Y" | b"O" | b"M":
                pass  # tables that were emptied, names of types, origins, messages of others
            case strange:
                raise FatalError(
                    Code.EXTRACTION_FAILED,
                    f"the server sent a message {strange!r} that this version does not know",
                    operation="scan",
                    object="pgoutput",
                )


def heads(table: Described) -> dict[bytes, Kind]:
    """The first eight bytes of messages about one row of the table: a new one, or a deleted one."""
    oid, count = _LENGTH.pack(table.oid), _SHORT.pack(len(table.columns))
    kinds: dict[bytes, Kind] = {b"IN": "insert", b"UN": "update", b"DK": "delete", b"DO": "delete"}
    found = {mark[:1] + oid + mark[1:] + count: kind for mark, kind in kinds.items()}
    return {head: kind for head, kind in found.items() if SHORT not in head}


def taken_apart(parts: Sequence[bytes]) -> list[bytes | None] | None:
    """A message of a known head that was split at :data:`SHORT`, a part a value behind the first, NULL as None.

    None if a value is not sent. A value has one byte before it, like a short text its length.
    """
    found: list[bytes | None] = [b""]
    length = _LENGTH.unpack_from
    for number, part in enumerate(parts):
        place = part[0] + 1 if number else HEAD
        if number:
            found.append(part[:place])
        while place < len(part):
            kind = part[place]
            if kind == _NULL:
                found.append(None)
                place += 1
            elif kind == _TEXT:
                start = place + 5
                place = start + length(part, place + 1)[0]
                found.append(part[start - 1 : place])
            else:
                return None
    return found


def since_emptied(messages: Iterable[bytes], times: int) -> Iterator[bytes]:
    """The messages without the rows before the table was emptied for the last of so many times."""
    for data in messages:
        if data[0] == _TRUNCATE:
            times -= 1
        if times <= 0 or data[0] not in _ROWS:
            yield data


def _values(data: bytes, place: int) -> tuple[list[Value], int]:
    """The values of a row, and where it ends."""
    found: list[Value] = []
    (count,) = _SHORT.unpack_from(data, place)
    place += 2
    length, append = _LENGTH.unpack_from, found.append
    for _ in range(count):
        kind = data[place]
        if kind == _TEXT:
            start = place + 5
            place = start + length(data, place + 1)[0]
            append(data[start:place])
        elif kind == _NULL:
            append(None)
            place += 1
        elif kind == _SAME:
            append(UNCHANGED)
            place += 1
        else:
            raise FatalError(Code.EXTRACTION_FAILED, "the server sent binary values", operation="scan")
    return found, place


def _described(data: bytes) -> Described:
    (oid,) = _LENGTH.unpack_from(data, 1)
    place = data.index(b"\0", 5) + 1
    place = data.index(b"\0", place) + 1  # behind schema and name
    (count,) = _SHORT.unpack_from(data, place + 1)
    place += 3
    names, types, keys = [], [], []
    for number in range(count):
        if data[place] & 1:
            keys.append(number)
        end = data.index(b"\0", place + 1)
        names.append(data[place + 1 : end].decode())
        types.append(_LENGTH.unpack_from(data, end + 1)[0] & 0xFFFFFFFF)
        place = end + 9
    return Described(oid, tuple(names), tuple(types), tuple(keys))
