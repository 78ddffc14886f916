"""Which positions become watermarks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headgate.core.errors import Code, FatalError
from headgate.core.events import Emitter
from headgate.execute import publish


def test_a_source_that_says_nothing_of_its_position_gets_no_watermark() -> None:
    run: Any = SimpleNamespace(request=SimpleNamespace(replay=None, interval=None), positions={0: {}})
    assert publish._watermarks(run) == ()


def test_stores_that_would_disagree_are_not_passed_over_in_silence() -> None:
    store: Any = SimpleNamespace(name="second", resume=lambda *_: None)
    claim: Any = SimpleNamespace(key="shop/orders")
    with pytest.raises(FatalError) as caught:
        publish.roll_forward(store, claim, "run", Emitter(), Path())
    assert caught.value.code is Code.STATE_INVALID
