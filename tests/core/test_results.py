"""A result is a value or an error, and chains stop at the first error."""

from __future__ import annotations

import pytest

from headgate.core.errors import Code, FatalError
from headgate.core.results import Result

GONE = FatalError(Code.NOT_FOUND, "gone", object="orders")


def half(value: int) -> Result[int]:
    return Result.fail(FatalError(Code.USAGE, f"{value} is odd")) if value % 2 else Result.ok(value // 2)


def test_a_value_goes_through_the_chain() -> None:
    result = Result.ok(12).flat_map(half).flat_map(half)
    assert (result.unwrap(), result.is_failure, result.error, result.error_code) == (3, False, None, None)


def test_the_chain_stops_at_its_first_error() -> None:
    seen: list[int] = []

    def look(value: int) -> Result[int]:
        seen.append(value)
        return half(value)

    result = Result.ok(6).flat_map(look).flat_map(look).flat_map(look)
    assert seen == [6, 3]
    assert (result.error, result.error_code, result.value) == ("3 is odd", Code.USAGE, None)


def test_a_failed_run_has_both_its_receipt_and_its_error() -> None:
    result = Result.fail(GONE, "receipt")
    assert (result.value, result.failure, result.is_failure) == ("receipt", GONE, True)
    assert result.flat_map(Result.ok).failure is GONE


def test_unwrapping_a_failure_raises_its_error() -> None:
    with pytest.raises(FatalError) as caught:
        Result.fail(GONE, 1).unwrap()
    assert caught.value is GONE


def test_values_that_are_false_are_values() -> None:
    assert Result.ok(0).flat_map(lambda value: Result.ok(value + 1)).unwrap() == 1
