"""Computing ahead changes when things happen, never what comes out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.io.ahead import Ahead


@given(st.lists(st.integers()), st.integers(1, 5))
def test_the_items_come_out_as_they_went_in(items: list[int], depth: int) -> None:
    assert list(Ahead(iter([(i,) for i in items]), depth=depth)) == [(i,) for i in items]


@given(st.integers(0, 20))
def test_an_error_comes_after_the_items_before_it(count: int) -> None:
    def items() -> Iterator[tuple[int]]:
        for number in range(count):
            yield (number,)
        raise ValueError("torn")

    seen: list[int] = []

    def take() -> None:
        for (number,) in Ahead(items()):
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

    stream = iter(Ahead(items(), depth=3))
    assert next(stream) == (1,)
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert made <= 6
    assert not [thread for thread in threading.enumerate() if thread.name == "headgate-ahead"]


def test_items_of_several_come_all_each_in_its_order() -> None:
    seen = list(Ahead(iter([(0, n) for n in range(50)]), iter([(1, n) for n in range(70)]), depth=3))
    assert [n for which, n in seen if which == 0] == list(range(50))
    assert [n for which, n in seen if which == 1] == list(range(70))


def test_whoever_waits_is_told_when_another_thread_ends_it() -> None:
    released, waiting = threading.Event(), threading.Event()

    def items() -> Iterator[tuple[int]]:
        waiting.set()
        released.wait()
        yield (1,)

    stream = Ahead(items(), cancel=released.set)
    told: list[HeadgateError] = []

    def take() -> None:
        with pytest.raises(FatalError) as raised:
            list(stream)
        told.append(raised.value)

    taker = threading.Thread(target=take)
    taker.start()
    waiting.wait()
    stream.close()
    taker.join()
    assert [error.code for error in told] == [Code.INTERRUPTED]
