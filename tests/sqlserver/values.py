"""Values between the protocol and the engine."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pyarrow as pa


def array(values: Any, type_: tuple[Any, ...]) -> Any:
    if type_[0] in (0x6A, 0x6C):
        return pa.array(values, pa.decimal128(type_[2], type_[3]))
    known = {0x28: pa.date32(), 0x29: pa.time64("us"), 0x2A: pa.timestamp("us"), 0x2B: pa.timestamp("us", "UTC")}
    known |= {0xE7: pa.string(), 0xA5: pa.binary(), 0x68: pa.bool_()}
    if type_[0] == 0x26:
        return pa.array(values, {1: pa.uint8(), 2: pa.int16(), 4: pa.int32(), 8: pa.int64()}[type_[1]])
    if type_[0] == 0x6D:
        return pa.array(values, pa.float32() if type_[1] == 4 else pa.float64())
    return pa.array(values, known[type_[0]])


def cells(column: Any) -> list[Any]:
    """Values; times of nanoseconds as they are, without pandas."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return [None if each is None else _Fine(each) for each in column.cast(pa.int64()).to_pylist()]
    found: list[Any] = column.to_pylist()
    return found


class _Fine:
    """A moment with nanoseconds."""

    def __init__(self, nanoseconds: int) -> None:
        self.nanosecond = nanoseconds % 1000
        self._moment = datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)  # noqa: DTZ001

    def time(self) -> time:
        return self._moment.time()

    def toordinal(self) -> int:
        return self._moment.toordinal()
