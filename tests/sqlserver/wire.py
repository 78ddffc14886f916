"""TDS 7.4 on the server's side: packets, tokens and values, written after the published protocol [MS-TDS]."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.types as t

PACKET = 4096
PRELOGIN, LOGIN7, BATCH, RPC, REPLY, ATTENTION, BULK = 18, 16, 1, 3, 4, 6, 7
COLLATION = bytes([0x09, 0x04, 0xD0, 0x00, 0x34])
EPOCH = date(1, 1, 1).toordinal()
NO_LENGTH, NULL_LENGTH = 0xFFFFFFFFFFFFFFFE, 0xFFFFFFFFFFFFFFFF


def receive(connection: Any) -> tuple[int, bytes] | None:
    """A whole message: its kind and what is in it; None at the end of the connection."""
    data = bytearray()
    while True:
        head = _exactly(connection, 8)
        if head is None:
            return None
        kind, status, length = head[0], head[1], int.from_bytes(head[2:4], "big")
        body = _exactly(connection, length - 8)
        if body is None:
            return None
        data += body
        if status & 1:
            return kind, bytes(data)


def _exactly(connection: Any, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = connection.recv(size - len(parts))
        except (TimeoutError, ConnectionError):
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


def send(connection: Any, data: bytes, kind: int = REPLY, *, last: bool = True) -> None:
    """A message, or the full packets of one that goes on."""
    size = PACKET - 8
    for start in range(0, max(1, len(data)), size):
        part = data[start : start + size]
        end = last and start + size >= len(data)
        connection.sendall(struct.pack(">BBHHBB", kind, int(end), len(part) + 8, 0, 1, 0) + part)


class Reading:
    """A cursor over bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        assert self.at + size <= len(self.data), "the client's message ends too early"
        found = self.data[self.at : self.at + size]
        self.at += size
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def text(self, characters: int) -> str:
        return self.take(characters * 2).decode("utf-16-le")

    @property
    def done(self) -> bool:
        return self.at >= len(self.data)


# ------------------------------------------------------------------------------------- what the client sends


def skip_headers(reading: Reading) -> int:
    """ALL_HEADERS; the transaction that the client believes to be in."""
    total = reading.number(4)
    inner = Reading(reading.take(total - 4))
    found = 0
    while not inner.done:
        size, kind = inner.number(4), inner.number(2)
        body = Reading(inner.take(size - 6))
        if kind == 2:
            found = body.number(8)
    return found


def read_login(data: bytes) -> dict[str, Any]:
    def field(at: int) -> str:
        start, length = struct.unpack_from("<HH", data, at)
        return data[start : start + 2 * length].decode("utf-16-le")

    start, length = struct.unpack_from("<HH", data, 44)
    raw = bytes(((byte ^ 0xA5) << 4 | (byte ^ 0xA5) >> 4) & 0xFF for byte in data[start : start + 2 * length])
    return {
        "version": int.from_bytes(data[4:8], "little"),
        "user": field(40),
        "password": raw.decode("utf-16-le"),
        "app": field(48),
        "database": field(68),
        "read_only": bool(data[26] & 0x20),
    }


def read_type(reading: Reading) -> tuple[Any, ...]:
    """TYPE_INFO: (kind, details)."""
    kind = reading.number(1)
    match kind:
        case 0x26 | 0x68 | 0x6D | 0x24:  # INTN, BITN, FLTN, GUID
            return kind, reading.number(1)
        case 0x6A | 0x6C:  # DECIMALN, NUMERICN
            return kind, reading.number(1), reading.number(1), reading.number(1)
        case 0xE7 | 0xA7:  # NVARCHAR, VARCHAR
            size = reading.number(2)
            reading.take(5)
            return kind, size
        case 0xA5:  # VARBINARY
            return kind, reading.number(2)
        case 0x28:  # DATE
            return (kind,)
        case 0x29 | 0x2A | 0x2B:  # TIME, DATETIME2, DATETIMEOFFSET
            return kind, reading.number(1)
        case _:
            raise AssertionError(f"the client sends a type that no test needs: {kind:#x}")


def read_value(reading: Reading, type_: tuple[Any, ...]) -> Any:
    kind = type_[0]
    if kind in (0xE7, 0xA7, 0xA5):
        data = _chunks(reading) if type_[1] == 0xFFFF else _sized(reading)
        if data is None or kind == 0xA5:
            return data
        return data.decode("utf-16-le" if kind == 0xE7 else "cp1252")
    size = reading.number(1)
    if size == 0:
        return None
    body = Reading(reading.take(size))
    match kind:
        case 0x26:
            return int.from_bytes(body.data, "little", signed=size > 1)
        case 0x68:
            return bool(body.data[0])
        case 0x6D:
            return struct.unpack("<f" if size == 4 else "<d", body.data)[0]
        case 0x24:
            return UUID(bytes_le=body.data)
        case 0x6A | 0x6C:
            sign, whole = body.number(1), int.from_bytes(body.data[1:], "little")
            with localcontext() as context:
                context.prec = 40
                return Decimal(whole if sign else -whole).scaleb(-type_[3])
        case 0x28:
            return date.fromordinal(EPOCH + body.number(3))
        case _:
            return _moment(kind, type_[1], body, size)


def _sized(reading: Reading) -> bytes | None:
    size = reading.number(2)
    return None if size == 0xFFFF else reading.take(size)


def _chunks(reading: Reading) -> bytes | None:
    if reading.number(8) == NULL_LENGTH:
        return None
    parts = bytearray()
    while size := reading.number(4):
        parts += reading.take(size)
    return bytes(parts)


def _moment(kind: int, scale: int, body: Reading, size: int) -> Any:
    rest = {0x29: 0, 0x2A: 3, 0x2B: 5}[kind]
    ticks = body.number(size - rest)
    micros = ticks * 10 ** (6 - scale) if scale <= 6 else ticks // 10
    clock = (datetime(1, 1, 1) + timedelta(microseconds=micros)).time()  # noqa: DTZ001 - a time of day
    if kind == 0x29:
        return clock
    moment = datetime.combine(date.fromordinal(EPOCH + body.number(3)), clock)
    if kind == 0x2A:
        return moment
    minutes = int.from_bytes(body.take(2), "little", signed=True)
    return moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))


# ------------------------------------------------------------------------------------- what the server sends


def _named(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("utf-16-le")


def changed(kind: int, new: bytes, old: bytes = b"\0") -> bytes:
    body = bytes([kind]) + new + old
    return b"\xe3" + struct.pack("<H", len(body)) + body


def logged_in(database: str) -> bytes:
    name = "Microsoft SQL Server".encode("utf-16-le")
    body = b"\x01" + bytes.fromhex("74000004") + bytes([len(name) // 2]) + name + bytes([16, 0, 0, 0])
    return (
        changed(1, _named(database))
        + changed(7, bytes([5]) + COLLATION)
        + b"\xad"
        + struct.pack("<H", len(body))
        + body
    )


def told(number: int, text: str) -> bytes:
    """An ERROR token."""
    message = text[:1000].encode("utf-16-le")
    body = struct.pack("<iBBH", number, 1, 16, len(message) // 2) + message + _named("double") + b"\0"
    body += struct.pack("<i", 1)
    return b"\xaa" + struct.pack("<H", len(body)) + body


def done(count: int | None = None, *, error: bool = False, token: int = 0xFD, attention: bool = False) -> bytes:
    status = (0x10 if count is not None else 0) | (2 if error else 0) | (0x20 if attention else 0)
    return bytes([token]) + struct.pack("<HHQ", status, 0, count or 0)


def metadata(schema: pa.Schema) -> bytes:
    parts = [b"\x81", struct.pack("<H", len(schema))]
    for field in schema:
        parts += [struct.pack("<IH", 0, 1), _type_info(field.type), _named(field.name)]
    return b"".join(parts)


def _type_info(type_: Any) -> bytes:
    if t.is_null(type_) or t.is_string(type_) or t.is_large_string(type_):
        return b"\xe7\xff\xff" + COLLATION
    if t.is_binary(type_) or t.is_large_binary(type_) or t.is_fixed_size_binary(type_):
        return b"\xa5\xff\xff"
    if t.is_boolean(type_):
        return b"\x68\x01"
    if t.is_integer(type_):
        return bytes([0x26, _bytes_of(type_)])
    if t.is_floating(type_):
        return bytes([0x6D, 4 if t.is_float32(type_) else 8])
    if t.is_decimal(type_):
        return bytes([0x6A, 17, type_.precision, type_.scale])
    if t.is_date(type_):
        return b"\x28"
    if t.is_time(type_):
        return b"\x29\x06"
    if t.is_timestamp(type_):
        scale = 7 if type_.unit == "ns" else 6
        return bytes([0x2B if type_.tz else 0x2A, scale])
    raise AssertionError(f"no test needs a result of {type_}")


def _bytes_of(type_: Any) -> int:
    """A signed size that holds the type; TINYINT alone has no sign."""
    return {"uint8": 1, "int8": 2, "uint16": 4, "uint32": 8}.get(str(type_)) or int(type_.bit_width) // 8


def row(values: list[Any], schema: pa.Schema) -> bytes:
    return b"\xd1" + b"".join(_value(value, field.type) for value, field in zip(values, schema, strict=True))


def _value(value: Any, type_: Any) -> bytes:
    plp = t.is_null(type_) or t.is_string(type_) or t.is_large_string(type_) or t.is_binary(type_)
    plp = plp or t.is_large_binary(type_) or t.is_fixed_size_binary(type_)
    if value is None:
        return struct.pack("<Q", NULL_LENGTH) if plp else b"\0"
    if plp:
        data = value if isinstance(value, bytes) else str(value).encode("utf-16-le")
        chunk = struct.pack("<I", len(data)) + data if data else b""
        return struct.pack("<Q", len(data)) + chunk + struct.pack("<I", 0)
    if t.is_boolean(type_):
        return bytes([1, int(value)])
    if t.is_integer(type_):
        size = _bytes_of(type_)
        return bytes([size]) + int(value).to_bytes(size, "little", signed=size > 1)
    if t.is_floating(type_):
        single = t.is_float32(type_)
        return bytes([4 if single else 8]) + struct.pack("<f" if single else "<d", value)
    if t.is_decimal(type_):
        with localcontext() as context:
            context.prec = 60
            whole = int(value.scaleb(type_.scale))
        return bytes([17, int(whole >= 0)]) + abs(whole).to_bytes(16, "little")
    if t.is_date(type_):
        return bytes([3]) + int(value.toordinal() - EPOCH).to_bytes(3, "little")
    return _moment_bytes(value, type_)


def _moment_bytes(value: Any, type_: Any) -> bytes:
    offset = b"\0\0" if t.is_timestamp(type_) and type_.tz else b""
    finer = getattr(value, "nanosecond", 0) // 100 if t.is_timestamp(type_) and type_.unit == "ns" else None
    clock: time = value if isinstance(value, time) else value.time()
    micros = ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1_000_000 + clock.microsecond
    ticks = (micros if finer is None else micros * 10 + finer).to_bytes(5, "little")
    day = b"" if clock is value else (value.toordinal() - EPOCH).to_bytes(3, "little")
    body = ticks + day + offset
    return bytes([len(body)]) + body
