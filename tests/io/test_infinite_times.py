"""Infinite dates and moments are refused as they come from databases; the first and the last finite ones pass."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from headgate.core.errors import Code, FatalError
from headgate.io import infinite_times

EARLIEST = (-10, -20)
FIRST: list[Any] = [None, EARLIEST]


def array(values: list[Any], type_: pa.DataType) -> pa.Array[Any]:
    return pa.array(values, pa.int32() if pa.types.is_date32(type_) else pa.int64()).cast(type_)


@pytest.mark.parametrize("earliest", FIRST)
@pytest.mark.parametrize(
    ("type_", "bits"), [(pa.date32(), 31), (pa.timestamp("us"), 63), (pa.timestamp("s", "UTC"), 63)]
)
def test_both_infinities_are_refused(earliest: tuple[int, int] | None, type_: pa.DataType, bits: int) -> None:
    for infinity in (2**bits - 1, 1 - 2**bits):
        with pytest.raises(FatalError, match='column "ends" holds infinity') as refused:
            infinite_times.check(array([None, 0, infinity], type_), "ends", earliest)
        assert refused.value.code is Code.EXTRACTION_FAILED
        assert 'isfinite("ends")' in refused.value.hint


@pytest.mark.parametrize(("type_", "first"), [(pa.date32(), -10), (pa.timestamp("us"), -20)])
def test_what_a_driver_wrapped_around_is_refused(type_: pa.DataType, first: int) -> None:
    infinite_times.check(array([first, None], type_), "ends", EARLIEST)
    with pytest.raises(FatalError, match="holds infinity"):
        infinite_times.check(array([first - 1], type_), "ends", EARLIEST)


@pytest.mark.parametrize("earliest", FIRST)
def test_all_else_passes(earliest: tuple[int, int] | None) -> None:
    for type_, bits in ((pa.date32(), 31), (pa.timestamp("us"), 63)):
        for values in ([], [None], [2**bits - 2, 0]):
            infinite_times.check(array(values, type_), "ends", earliest)
    infinite_times.check(array([2 - 2**31], pa.date32()), "ends")
    infinite_times.check(pa.array([2**63 - 1, -(2**63)]), "ends", earliest)
    infinite_times.check(pa.array([float("inf")]), "ends", earliest)
