from __future__ import annotations

import gc

import pytest

from headgate.core.collection import uncollected


def test_the_collector_is_on_again_whatever_happens_within() -> None:
    with pytest.raises(ZeroDivisionError), uncollected():
        _ = 1 / gc.isenabled()
    assert gc.isenabled()


def test_an_inner_pause_does_not_end_the_outer_one() -> None:
    with uncollected():
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_whoever_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
