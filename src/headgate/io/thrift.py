"""Thrift's compact protocol, as far as footers of Parquet need it: any structure is read and written again as it is.

A structure is a dict of field number to :class:`Field`; what no one here knows of is carried along. Maps, which Parquet
has none of, are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_LONG = 15
"""In the head of a list: its length follows."""

Struct = dict[int, "Field"]


class MalformedError(Exception):
    """The bytes are no structure in Thrift's compact protocol."""


@dataclass(slots=True)
class Field:
    """A value and its type: an int, bytes (a double's too), :class:`Items` or a structure; None for booleans."""

    type: int
    value: Any = None


@dataclass(slots=True)
class Items:
    """A list or set of values of one type; booleans are the ints that stand for them.

    A structure among them may be its bytes, as :func:`write` gave them: many of those take less memory.
    """

    type: int
    values: list[Any]


def read(data: bytes) -> Struct:
    """Read one structure, which fills the bytes.

    Raises:
        MalformedError: it does not.
    """
    reader = _Reader(data)
    try:
        found = reader.struct()
    except IndexError:
        raise MalformedError("the structure does not end") from None
    if reader.place != len(data):
        raise MalformedError(f"{len(data) - reader.place} bytes follow the structure")
    return found


def write(struct: Struct) -> bytes:
    """The bytes of a structure, its fields by number."""
    out = bytearray()
    _write_struct(out, struct)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def byte(self) -> int:
        found = self.data[self.place]
        self.place += 1
        return found

    def bytes(self, length: int) -> bytes:
        end = self.place + length
        if end > len(self.data):
            raise IndexError
        found = self.data[self.place : end]
        self.place = end
        return found

    def varint(self) -> int:
        found = shift = 0
        while True:
            byte = self.byte()
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found
            shift += 7

    def signed(self) -> int:
        found = self.varint()
        return (found >> 1) ^ -(found & 1)

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while head := self.byte():
            step, type_ = head >> 4, head & 0x0F
            number = number + step if step else self.signed()
            fields[number] = Field(type_, None if type_ in (TRUE, FALSE) else self.value(type_))
        return fields

    def value(self, type_: int) -> Any:
        match type_:
            case 5 | 6 | 4:  # I32, I64, I16
                return self.signed()
            case 8:  # BINARY
                return self.bytes(self.varint())
            case 12:  # STRUCT
                return self.struct()
            case 9 | 10:  # LIST, SET
                return self.items()
            case 1 | 2 | 3:  # in lists
                return self.byte()
            case 7:  # DOUBLE
                return self.bytes(8)
        raise MalformedError(f"type {type_} is not known")

    def items(self) -> Items:
        head = self.byte()
        length, type_ = head >> 4, head & 0x0F
        if length == _LONG:
            length = self.varint()
        return Items(type_, [self.value(type_) for _ in range(length)])


def _write_struct(out: bytearray, struct: Struct) -> None:
    before = 0
    for number, field in sorted(struct.items()):
        step = number - before
        if 0 < step < _LONG + 1:
            out.append(step << 4 | field.type)
        else:
            out.append(field.type)
            _write_signed(out, number)
        before = number
        if field.type not in (TRUE, FALSE):
            _write_value(out, field.type, field.value)
    out.append(0)


def _write_value(out: bytearray, type_: int, value: Any) -> None:
    match type_:
        case 5 | 6 | 4:
            _write_signed(out, value)
        case 8:
            _write_varint(out, len(value))
            out += value
        case 12 if isinstance(value, bytes):
            out += value
        case 12:
            _write_struct(out, value)
        case 9 | 10:
            length = len(value.values)
            out.append(min(length, _LONG) << 4 | value.type)
            if length >= _LONG:
                _write_varint(out, length)
            for each in value.values:
                _write_value(out, value.type, each)
        case 1 | 2 | 3:
            out.append(value)
        case 7:
            out += value
        case _:
            raise MalformedError(f"type {type_} is not known")


def _write_signed(out: bytearray, value: int) -> None:
    _write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)


def _write_varint(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
