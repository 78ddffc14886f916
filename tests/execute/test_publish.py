"""Which positions become watermarks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from headgate.execute import publish


def test_a_source_that_says_nothing_of_its_position_gets_no_watermark() -> None:
    run: Any = SimpleNamespace(request=SimpleNamespace(replay=None, interval=None), positions={0: {}})
    assert publish._watermarks(run) == ()
