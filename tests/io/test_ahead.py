"""Computing ahead changes when things happen, never what comes out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.io.ahead import ahead


@given(st.lists(st.integers()), st.integers(1, 5))
def test_the_items_come_out_as_they_went_in(items: list[int], depth: int) -> None:
    assert list(ahead(iter([(i,) for i in items]), depth)) == [(i,) for i in items]


@given(st.integers(0, 20))
def test_an_error_comes_after_the_items_before_it(count: int) -> None:
    def items() -> Iterator[tuple[int]]:
        for number in range(count):
            yield (number,)
        raise ValueError("torn")

    seen: list[int] = []

    def take() -> None:
        for (number,) in ahead(items()):
            seen.append(number)

    with pytest.raises(ValueError, match="torn"):
        take()
    assert seen == list(range(count))


def test_a_caller_that_stops_early_leaves_no_thread_behind() -> None:
    made = 0

    def items() -> Iterator[tuple[int]]:
        nonlocal made
        while True:
            made += 1
            yield (made,)

    stream = ahead(items(), depth=3)
    assert next(stream) == (1,)
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert made <= 6
    assert not [thread for thread in threading.enumerate() if thread.name == "headgate-ahead"]
