"""What PostgreSQL's plug-in ``pgoutput`` says of a transaction, as rows: the server's binary messages, version 1.

The format is that of the chapter "Logical Replication Message Formats" of PostgreSQL's manual. Values are text, as the
server writes them; a large value that an update left alone is not sent, and stands here as :data:`UNCHANGED`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from headgate.core.errors import Code, FatalError

Value = bytes | None | Literal[False]
UNCHANGED: Final = False
"""A value that the server did not send, because the update left it alone."""

Kind = Literal["insert", "update", "delete", "truncate"]
_LENGTH = struct.Struct(">i")
_SHORT = struct.Struct(">h")
_VALUE = struct.Struct(">Bi")
"""The kind of a value and its length; where there is no value, what follows it is read and not looked at."""
_AFTER = b"\0\0\0\0"
_BEGIN = struct.Struct(">qqi")
_COMMIT = struct.Struct(">Bqqq")
_NULL, _TEXT, _SAME = ord("n"), ord("t"), ord("u")
_INSERT, _UPDATE, _NEW = ord("I"), ord("U"), ord("N")
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
        lsn: where its transaction's commit begins: before all positions that lie behind it.
        size: bytes of its message.
    """

    kind: Kind
    table: Described
    new: list[Value] | None
    old: list[Value] | None
    lsn: int
    size: int


class Decoder:
    """Turns messages into changes. Those of a transaction carry the place of its commit, which Begin tells.

    Args:
        low: changes of transactions whose commit begins before it are left out.
    """

    def __init__(self, low: int = 0) -> None:
        self.tables: dict[int, Described] = {}
        self._low = low
        self.end = 0
        """Where the last commit that was seen ends."""
        self._lsn = 0

    def changes(self, messages: Iterable[bytes]) -> Iterator[Change]:  # noqa: C901 - one case a message
        """Raises FatalError for messages that version 1 of the protocol does not have."""
        skipped, tables, number = False, self.tables, _LENGTH.unpack_from
        for data in messages:
            kind = data[0]
            if kind in _ROWS:
                if skipped:
                    continue
                old = new = None
                table = tables[number(data, 1)[0]]
                if kind == _INSERT:
                    new, _ = _values(data, 6)
                    yield Change("insert", table, new, None, self._lsn, len(data))
                elif kind == _UPDATE:
                    place = 5
                    if data[5] != _NEW:
                        old, place = _values(data, 6)
                    new, _ = _values(data, place + 1)
                    yield Change("update", table, new, old, self._lsn, len(data))
                else:
                    old, _ = _values(data, 6)
                    yield Change("delete", table, None, old, self._lsn, len(data))
                continue
            match data[:1]:
                case b"B":
                    self._lsn = _BEGIN.unpack_from(data, 1)[0]
                    skipped = self._lsn < self._low
                case b"C":
                    self.end = _COMMIT.unpack_from(data, 1)[2]
                case b"R":
                    described = _described(data)
                    self.tables[described.oid] = described
                case b"T":
                    for place in range(6, 6 + 4 * number(data, 1)[0], 4):
                        oid = number(data, place)[0]
                        if oid in self.tables:
                            yield Change("truncate", self.tables[oid], None, None, self._lsn, len(data))
                case b"Y" | b"O" | b"M":
                    pass  # names of types, origins, messages of others
                case strange:
                    raise FatalError(
                        Code.EXTRACTION_FAILED,
                        f"the server sent a message {strange!r} that this version does not know",
                        operation="scan",
                        object="pgoutput",
                    )


def _values(data: bytes, place: int) -> tuple[list[Value], int]:
    """The values of a row, and where it ends."""
    found: list[Value] = []
    (count,) = _SHORT.unpack_from(data, place)
    place += 2
    unpack, append = _VALUE.unpack_from, found.append
    data += _AFTER
    for _ in range(count):
        kind, size = unpack(data, place)
        if kind == _TEXT:
            start = place + 5
            place = start + size
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
